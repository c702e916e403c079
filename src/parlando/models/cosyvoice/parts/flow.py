"""Speech tokens to mel frames: an encoder with look-ahead, and a conditional flow that an Euler solver follows.

Streaming is exact: per solver step and layer a state holds keys, values and convolution histories, so a chunk costs
only its own frames and a stream equals the chunk-masked computation on the whole sequence, its last chunk included.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from parlando.core.config import AtLeastOne, NotNegative, Size
from parlando.core.errors import AudioError, ConfigError
from parlando.models.cosyvoice.parts.flow_encoder import FlowEncoder, FlowEncoderConfig, FlowEncoderState
from parlando.models.cosyvoice.parts.flow_estimator import Conditions, Estimator, EstimatorConfig, EstimatorState
from parlando.nn.chunked import ChunkGrid, Span
from parlando.nn.flow_matching import cosine_grid, guide, positional_noise, solve_euler

Attention = Literal["chunked", "full"]
Prior = Literal["zero", "mean"]


@dataclass(frozen=True)
class FlowConfig:
    """Sizes of the flow and how it is solved; the defaults are the published ones.

    Noise is drawn in blocks of ``noise_block_frames`` frames (`nn.flow_matching.positional_noise`) and multiplied by
    ``temperature``: below 1, a small flow leaves less noise in the mel, and its voice varies less (Matcha-TTS, 2024).

    With ``first_tokens`` the first chunk ends so many tokens after the prompt, and the one before it where the prompt's
    look-ahead begins, instead of both on the grid: less has to be waited for and computed before there is any sound.

    Three things that the published flow has not make a small one clear: ``speaker_in_encoder`` tells the encoder who
    speaks, so that its mean frames are that voice's; with ``prior`` "mean" the noise, of a standard deviation of
    ``noise_scale``, is added to those frames (Grad-TTS, Popov et al., 2021), and the flow has only to find the rest.
    """

    vocab_size: Size = 6561
    mel_bins: Size = 80
    speaker_dim: Size = 192
    solver_steps: AtLeastOne = 10
    guidance: NotNegative = 0.7
    temperature: NotNegative = 1.0
    noise_block_frames: Size = 15_000
    first_tokens: AtLeastOne | None = None
    prior: Prior = "zero"
    noise_scale: NotNegative = 1.0
    speaker_in_encoder: bool = False
    encoder: FlowEncoderConfig = field(default_factory=FlowEncoderConfig)
    estimator: EstimatorConfig = field(default_factory=EstimatorConfig)

    def __post_init__(self) -> None:
        encoder = self.encoder
        if self.solver_steps < 1:
            raise ConfigError(f"flow.solver_steps: at least 1 is needed, got {self.solver_steps}")
        if not 1 <= encoder.lookahead_tokens <= encoder.chunk_tokens:
            raise ConfigError(
                f"flow.encoder.lookahead_tokens: {encoder.lookahead_tokens} is not within 1..{encoder.chunk_tokens}, "
                "the chunk's tokens"
            )
        if self.first_tokens is not None and self.first_tokens > encoder.chunk_tokens:
            raise ConfigError(
                f"flow.first_tokens: {self.first_tokens} are more than a chunk has; use at most {encoder.chunk_tokens}"
            )

    @property
    def grid(self) -> ChunkGrid:
        """The chunks of the streaming attention, in tokens."""
        return ChunkGrid(self.encoder.chunk_tokens, self.encoder.left_chunks)

    def grid_after(self, prompt_tokens: int) -> ChunkGrid:
        """The same of a stream that continues so many tokens."""
        if self.first_tokens is None:
            return self.grid
        split = prompt_tokens - self.encoder.lookahead_tokens
        shift = -(prompt_tokens + self.first_tokens) % self.encoder.chunk_tokens
        return replace(self.grid, shift=shift, split=split if split > 0 else None)


@dataclass(frozen=True)
class FlowPrompt:
    """What the frames to come continue: the prompt's speech tokens, its mel (natural log), and a speaker embedding.

    Tokens and mel are of one stretch of audio (`trimmed` makes them so) and empty for a voice without a clip.
    """

    tokens: Int[Tensor, " token"]
    mel: Float[Tensor, "frame bin"]
    speaker: Float[Tensor, " dim"]

    def trimmed(self, frames_per_token: int) -> FlowPrompt:
        """Tokens and mel cut at their ends to the length that they share."""
        return self.first(min(len(self.tokens), len(self.mel) // frames_per_token), frames_per_token)

    def first(self, tokens: int, frames_per_token: int) -> FlowPrompt:
        """No more than its first ``tokens`` tokens and their frames."""
        return FlowPrompt(self.tokens[:tokens], self.mel[: tokens * frames_per_token], self.speaker)


@dataclass
class FlowState:
    """One request's stream; made by `Flow.open`, changed by `Flow.push`, of no use to anyone else.

    Its size grows with the frames heard: each holds a key and a value of every attention layer and solver step, twice
    with guidance (4.6 MB a frame at the published sizes in float32), unless ``left_chunks`` bounds it.
    """

    prompt_mel: Float[Tensor, "frame bin"]
    speaker: Float[Tensor, "1 bin"]
    voice: Float[Tensor, "1 1 dim"] | None
    encoder: FlowEncoderState
    steps: list[EstimatorState]
    grid: ChunkGrid
    pending: list[int] = field(default_factory=list)
    past_tokens: int = 0
    closed: bool = False

    def fork(self) -> FlowState:
        """One that goes on by itself from here; both share what they remember until they write."""
        memories = copy.deepcopy((self.encoder, self.steps))
        return replace(self, encoder=memories[0], steps=memories[1], pending=list(self.pending))

    def close(self) -> None:
        """Forget everything; later pushes give nothing."""
        self.closed = True
        self.pending.clear()
        self.steps.clear()
        self.encoder.layers.clear()
        self.encoder.up_layers.clear()


class FlowDecoder(nn.Module):
    """The estimator and the way its velocities are followed."""

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        self.config = config
        self.estimator = Estimator(config.estimator, config.mel_bins)

    def new_states(self, steps: int, lasting: bool) -> list[EstimatorState]:
        """One state per solver step."""
        reach = self.config.grid.reach
        reach_frames = None if reach is None else reach * self.config.encoder.frames_per_token
        return [self.estimator.new_state(lasting, reach_frames) for _ in range(steps)]

    def start(
        self, mean: Float[Tensor, "batch frame bin"], noise: Float[Tensor, "#batch frame bin"]
    ) -> Float[Tensor, "batch frame bin"]:
        """Where the way to the mel begins: standard normal noise, scaled, around zero or the encoder's frames."""
        scaled = self.config.noise_scale * noise
        return scaled.expand_as(mean) if self.config.prior == "zero" else mean + scaled

    def forward(
        self, conditions: Conditions, span: Span, states: Sequence[EstimatorState]
    ) -> Float[Tensor, "batch frame bin"]:
        """The mel of the frames of ``span``, in as many Euler steps as there are states."""
        rows, frames, bins = conditions.mean.shape
        noise = self.config.temperature * positional_noise(span.past, frames, bins, self.config.noise_block_frames)
        start = self.start(conditions.mean, noise.to(conditions.mean)[None])
        seen = span.visibility(conditions.mean.device)
        if self.config.guidance:
            conditions = conditions.with_unconditional()
            seen = seen if seen is None or len(seen) == 1 else seen.repeat(2, 1, 1, 1)

        def velocity(x: Tensor, time: float, step: int) -> Tensor:
            both = x.repeat(len(conditions.mean) // rows, 1, 1)
            found = self.estimator(both, x.new_full((len(both),), time), conditions, seen, states[step])
            return guide(found[:rows], found[rows:], self.config.guidance) if self.config.guidance else found

        return solve_euler(velocity, start, cosine_grid(len(states)))


class Flow(nn.Module):
    """Speech tokens to mel frames; weights are read-only, all state of a stream is in its `FlowState`."""

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        self.config = config
        self.input_embedding = nn.Embedding(config.vocab_size, config.encoder.input_dim)
        self.spk_embed_affine_layer = nn.Linear(config.speaker_dim, config.mel_bins)
        self.voice_embedding = None
        if config.speaker_in_encoder:
            self.voice_embedding = nn.Linear(config.speaker_dim, config.encoder.input_dim, bias=False)
        self.encoder = FlowEncoder(config.encoder)
        self.encoder_proj = nn.Linear(config.encoder.dim, config.mel_bins)
        self.decoder = FlowDecoder(config)

    @torch.inference_mode()
    def open(self, prompt: FlowPrompt, steps: int | None = None) -> FlowState:
        """A stream that continues a prompt, whose whole chunks are computed at once; ``steps`` None: the config's.

        Raises:
            AudioError: the prompt's tokens and mel do not have the same length, or not the model's sizes.
            IndexError: a token outside the vocabulary.
        """
        self._check(prompt)
        state = FlowState(
            prompt.mel,
            self.project_speaker(prompt.speaker[None]),
            self._voice(prompt.speaker[None]),
            self.encoder.new_state(lasting=True),
            self.decoder.new_states(self.config.solver_steps if steps is None else steps, lasting=True),
            self.config.grid_after(len(prompt.tokens)),
        )
        state.pending.extend(prompt.tokens.tolist())
        if ready := self._ready(state):
            self._advance(state, ready)
        return state

    @torch.inference_mode()
    def push(self, state: FlowState, tokens: Sequence[int], final: bool = False) -> Float[Tensor, "1 bin frame"]:
        """The mel (float32, natural log) of the frames that no later token can change, the prompt's left out.

        Tokens wait in the state until their chunk and its look-ahead are whole. Concatenated, the results equal
        ``synthesise(..., attention="chunked")``. After ``final`` everything is ignored. A state whose push was
        interrupted by an exception cannot be used again.

        Raises:
            IndexError: a token outside the vocabulary, which a sampler must never make.
        """
        if state.closed:
            return self._no_frames()
        self._check_tokens(tokens)
        state.pending.extend(tokens)
        new = len(state.pending) if final else self._ready(state)
        mels = [self._advance(state, size) for size in self._chunks(state, new)]
        if final:
            state.close()
        return torch.cat(mels, dim=2) if mels else self._no_frames()

    def tokens_until(self, state: FlowState, frames: int) -> int:
        """How many more tokens must be pushed before that many frames are final, counted from the prompt's end."""
        encoder = self.config.encoder
        tokens = math.ceil((len(state.prompt_mel) + frames) / encoder.frames_per_token)
        return state.grid.end(tokens - 1) + encoder.lookahead_tokens - state.past_tokens - len(state.pending)

    @torch.inference_mode()
    def synthesise(
        self,
        requests: Sequence[tuple[FlowPrompt, Sequence[int]]],
        attention: Attention = "chunked",
        steps: int | None = None,
    ) -> list[Float[Tensor, "bin _"]]:
        """The mels of several whole requests, each a prompt and its tokens, computed as one padded batch.

        ``attention`` is "chunked", which is what streaming gives, or "full": every frame sees the whole sequence, which
        no stream can.

        Raises:
            AudioError: a prompt's tokens and mel do not have the same length, or not the model's sizes.
            IndexError: a token outside the vocabulary.
        """
        ratio, chunked = self.config.encoder.frames_per_token, attention == "chunked"
        if chunked and self.config.first_tokens is not None and len(requests) > 1:  # each has chunks of its own
            return [self.synthesise([request], attention, steps)[0] for request in requests]
        tokens = [self._whole(prompt, target) for prompt, target in requests]
        if not any(len(row) for row in tokens):
            return [self._no_frames()[0] for _ in requests]
        padded = pad_sequence(tokens, batch_first=True)
        lengths = torch.tensor([len(row) for row in tokens], device=self._weight.device)
        grid = self.config.grid_after(len(requests[0][0].tokens)) if chunked else None
        span = Span(0, padded.shape[1], grid, lengths if len(lengths.unique()) > 1 else None)
        speakers = torch.stack([prompt.speaker for prompt, _ in requests])
        conditions = Conditions(
            self.encode(padded, speakers, span),
            self.project_speaker(speakers),
            self._prompt_frames([prompt.mel for prompt, _ in requests], span.new * ratio),
        )
        states = self.decoder.new_states(self.config.solver_steps if steps is None else steps, lasting=False)
        mels = self.decoder(conditions, span.scaled(ratio), states).float()
        return [
            mel[len(prompt.mel) : len(row) * ratio].T
            for mel, (prompt, _), row in zip(mels, requests, tokens, strict=True)
        ]

    def encode(
        self, tokens: Int[Tensor, "batch token"], speaker: Float[Tensor, "batch dim"], span: Span
    ) -> Float[Tensor, "batch frame bin"]:
        """The mean frames of whole sequences, said by whom the embeddings are of."""
        state = self.encoder.new_state(lasting=False)
        embedded = self._embed(tokens, self._voice(speaker))
        return self.encoder_proj(self.encoder(embedded, embedded[:, :0], span, state))

    def project_speaker(self, embedding: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch bin"]:
        """Speaker embeddings of any length, normalised and projected."""
        return self.spk_embed_affine_layer(functional.normalize(embedding.to(self._weight), dim=1))

    def _voice(self, embedding: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch 1 inputs"] | None:
        """What every token's embedding is shifted by, for an encoder that is told who speaks."""
        if self.voice_embedding is None:
            return None
        return self.voice_embedding(functional.normalize(embedding.to(self._weight), dim=1))[:, None]

    def _embed(
        self, tokens: Int[Tensor, "batch token"], voice: Float[Tensor, "batch 1 inputs"] | None
    ) -> Float[Tensor, "batch token inputs"]:
        embedded = self.input_embedding(tokens)
        return embedded if voice is None else embedded + voice

    def _ready(self, state: FlowState) -> int:
        """How many pending tokens fill whole chunks whose look-ahead has come."""
        known = state.past_tokens + len(state.pending) - self.config.encoder.lookahead_tokens
        end = state.past_tokens
        while state.grid.end(end) <= known:
            end = state.grid.end(end)
        return end - state.past_tokens

    def _chunks(self, state: FlowState, tokens: int) -> Iterator[int]:
        """Sizes of the pieces that tokens are computed in, a chunk each, however many there are.

        Products of other shapes round otherwise, which a vocoder's phase would add up: in equal pieces a stream and
        the whole are equal to the last bit.
        """
        start, last = state.past_tokens, state.past_tokens + tokens
        while start < last:
            end = min(state.grid.end(start), last)
            yield end - start
            start = end

    def _advance(self, state: FlowState, new: int) -> Float[Tensor, "1 bin frame"]:
        """Compute the first ``new`` pending tokens and hand out their frames, those of the prompt excepted."""
        ratio = self.config.encoder.frames_per_token
        known = self._ids(state.pending[: new + self.config.encoder.lookahead_tokens])[None]
        embedded = self._embed(known, state.voice)
        span = Span(state.past_tokens, new, state.grid)
        mean = self.encoder_proj(self.encoder(embedded[:, :new], embedded[:, new:], span, state.encoder))
        first, last = state.past_tokens * ratio, (state.past_tokens + new) * ratio
        prompt = self._prompt_frames([state.prompt_mel[first:last]], last - first)
        mel = self.decoder(Conditions(mean, state.speaker, prompt), span.scaled(ratio), state.steps)
        del state.pending[:new]
        state.past_tokens += new
        return mel[:, max(0, len(state.prompt_mel) - first) :].transpose(1, 2).float()

    def _whole(self, prompt: FlowPrompt, tokens: Sequence[int]) -> Int[Tensor, " token"]:
        """The checked tokens of a request, prompt first."""
        self._check(prompt)
        return torch.cat([prompt.tokens.long().to(self._weight.device), self._ids(tokens)])

    def _prompt_frames(self, mels: Sequence[Tensor], frames: int) -> Float[Tensor, "batch frame bin"]:
        """Prompts' mels with zeros up to ``frames``."""
        return torch.stack([functional.pad(mel.to(self._weight), (0, 0, 0, frames - len(mel))) for mel in mels])

    def _ids(self, tokens: Sequence[int]) -> Int[Tensor, " token"]:
        self._check_tokens(tokens)
        return torch.tensor(tokens, dtype=torch.long, device=self._weight.device)

    def _check_tokens(self, tokens: Sequence[int]) -> None:
        wrong = [token for token in tokens if not 0 <= token < self.config.vocab_size]
        if wrong:
            raise IndexError(f"speech token {wrong[0]} is not within 0..{self.config.vocab_size - 1}")

    def _no_frames(self) -> Float[Tensor, "1 bin frame"]:
        return torch.zeros(1, self.config.mel_bins, 0, device=self._weight.device)

    @property
    def _weight(self) -> Tensor:
        """Any weight: its device and dtype are those of the computation."""
        return self.encoder.after_norm.weight

    def _check(self, prompt: FlowPrompt) -> None:
        """Refuse a prompt whose parts do not fit each other or the model."""
        config = self.config
        self._check_tokens(prompt.tokens.tolist())
        if prompt.mel.shape[1] != config.mel_bins or len(prompt.speaker) != config.speaker_dim:
            raise AudioError(
                f"voice prompt: {prompt.mel.shape[1]} mel bins and a speaker embedding of {len(prompt.speaker)}, "
                f"but the model has {config.mel_bins} and {config.speaker_dim}; prepare the voice with this model"
            )
        if len(prompt.mel) != len(prompt.tokens) * config.encoder.frames_per_token:
            raise AudioError(
                f"voice prompt: {len(prompt.mel)} mel frames for {len(prompt.tokens)} tokens, but a token has "
                f"{config.encoder.frames_per_token}; cut them to one length (FlowPrompt.trimmed)"
            )
