"""Training of the flow: mel frames from codes, a prompt and a speaker embedding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import nn

from parlando.core.errors import ConfigError
from parlando.models.cosyvoice.parts.flow import Flow, FlowConfig
from parlando.models.cosyvoice.parts.flow_training import FlowDraw, FlowExamples, FlowOdds, draw_flow, flow_losses
from parlando.models.cosyvoice.parts.part_weights import FLOW_FILE, save_trained
from parlando.nn.checkpoint import load_strictly
from parlando.train.cosyvoice.digits import merged, share_digits
from parlando.train.cosyvoice.flow_examples import FlowMixConfig, FlowSampler
from parlando.train.cosyvoice.start import find_flow
from parlando.train.loop.optim import OptimConfig
from parlando.train.loop.task import Arrays, Extent, Learner, Objective, Task

_SEEDS = 1_000_003
_FIRST_BATCHES = 4


@dataclass(frozen=True)
class FlowTrainConfig:
    """A training of the flow; ``mean_weight`` is that of the encoder's own distance from the mel.

    One that starts from a run or a model has the ``flow`` of that.

    Until ``velocity_after`` of the budget the encoder learns alone, by that distance. With ``code_levels`` above 1
    codes that have a digit in common share a part of their embedding, so that rare ones are known.
    Held-out mels are solved for ``held_out_solved`` utterances, the loss is taken over ``held_out_batch``.
    """

    flow: FlowConfig = field(default_factory=FlowConfig)
    mix: FlowMixConfig = field(default_factory=FlowMixConfig)
    odds: FlowOdds = field(default_factory=FlowOdds)
    optim: OptimConfig = field(default_factory=OptimConfig)
    mean_weight: float = 0.0
    velocity_after: float = 0.0
    code_levels: int = 1
    held_out_batch: int = 24
    held_out_solved: int = 6
    start_from: str | None = None

    def __post_init__(self) -> None:
        if self.velocity_after and not self.mean_weight:
            raise ConfigError("train.velocity_after: before it there is only the mean to learn; give mean_weight too")


@dataclass(frozen=True)
class FlowBatch(Arrays):
    """Examples, and what a step leaves to chance of them."""

    examples: FlowExamples
    draw: FlowDraw


class FlowTask(Task[FlowBatch]):
    """Trains a `Flow`.

    Raises:
        ConfigError: a frame of the corpus is not as long as a token, or the codes or embeddings do not fit the flow.
    """

    batch_setting = "train.mix.tokens_per_batch"

    def __init__(self, sampler: FlowSampler, config: FlowTrainConfig) -> None:
        self.sampler = sampler
        started = find_flow(config.start_from) if config.start_from else None
        sizes = replace(config.flow, speaker_dim=sampler.speaker_dim) if started is None else started.config
        self.config = replace(config, flow=sizes)
        self._check()
        self.flow = started or Flow(sizes)
        if started is None:
            self._start_at_mean()
        if config.code_levels > 1:
            share_digits(self.flow.input_embedding, self.config.flow.vocab_size, config.code_levels)

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """The flow."""
        return {"flow": self.flow}

    @property
    def learners(self) -> Mapping[str, Learner]:
        """The flow."""
        return {"model": Learner(self.flow, self.config.optim)}

    def _check(self) -> None:
        flow, mel = self.config.flow, self.sampler.mel.config
        codes, packed = self.sampler.tokens, self.sampler.corpus.config
        if codes.num_codebooks != 1 or codes.codebook_size != flow.vocab_size:
            raise ConfigError(
                f"'{codes.folder}' has {codes.num_codebooks} codebooks of {codes.codebook_size} codes, the flow one of "
                f"{flow.vocab_size}; encode the corpus with this family's tokenizer"
            )
        if flow.speaker_dim != self.sampler.speaker_dim:
            raise ConfigError(
                f"'{codes.folder}' has speaker embeddings of {self.sampler.speaker_dim} numbers, the flow takes "
                f"{flow.speaker_dim}; encode the corpus with the speaker encoder that it was trained with"
            )
        if packed.sample_rate != mel.sample_rate or packed.frame_samples != (
            mel.hop_samples * flow.encoder.frames_per_token
        ):
            raise ConfigError(
                f"frames of {packed.frame_samples} samples at {packed.sample_rate} Hz do not match tokens of "
                f"{flow.encoder.frames_per_token} mel frames of {mel.hop_samples}; pack the corpus again"
            )

    def _start_at_mean(self) -> None:
        """Begin with the mean mel: its distance from zero would take a small flow most of a short training."""
        batches = [self.sampler.batch(step) for step in range(_FIRST_BATCHES)]
        mels = [
            mel[: int(length) * self.config.flow.encoder.frames_per_token]
            for batch in batches
            for mel, length in zip(batch.mel, batch.lengths, strict=True)
        ]
        mean = torch.cat(mels).mean(dim=0)
        estimator = self.flow.decoder.estimator
        at_ends = (self.flow.encoder_proj.bias, estimator.final_proj.bias if self.config.flow.prior == "zero" else None)
        for bias in at_ends:
            if bias is not None:
                bias.data.copy_(mean)

    def batch(self, number: int) -> FlowBatch:
        """Utterances, and a draw for them."""
        examples, seed = self.sampler.batch(number), number % _SEEDS
        return FlowBatch(examples, draw_flow(examples, torch.Generator().manual_seed(seed), self.config.odds))

    def extent(self, batch: FlowBatch) -> Extent:
        """In tokens."""
        packed, tokens = self.sampler.corpus.config, int(batch.examples.lengths.sum())
        seconds = tokens * packed.frame_samples / packed.sample_rate
        return Extent(tokens, seconds, batch.examples.tokens.numel())

    def objectives(self, batch: FlowBatch, progress: float) -> Iterator[Objective]:
        """The flow's."""
        encoder_only = progress < self.config.velocity_after
        losses = flow_losses(self.flow, batch.examples, batch.draw, encoder_only=encoder_only)
        yield Objective("model", losses.get("velocity", 0.0) + self.config.mean_weight * losses["mean"], losses)

    def evaluate(self, device: torch.device) -> Mapping[str, float]:
        """Held-out losses with the same draws every time, and the solved mels' mean absolute distance from the real."""
        examples = self.sampler.held_out(self.config.held_out_batch)
        draw = draw_flow(examples, torch.Generator().manual_seed(0), self.config.odds)
        batch = FlowBatch(examples, draw).to(device)
        numbers = {name: float(value) for name, value in flow_losses(self.flow, batch.examples, batch.draw).items()}
        return {**numbers, "mel": self.solved_distance(self.config.held_out_solved)}

    @torch.no_grad()
    def solved_distance(self, utterances: int, steps: int | None = None) -> float:
        """Mean absolute distance of solved mels (natural log) from the real, another utterance of the voice given."""
        held = self.sampler.continuations(utterances)
        made = self.flow.eval().synthesise([(prompt, tokens) for prompt, tokens, _ in held], steps=steps)
        far = [(mel.T.cpu() - real).abs().mean() for mel, (_, _, real) in zip(made, held, strict=True)]
        return float(torch.stack(far).mean())

    def export(self, folder: Path) -> None:
        """``flow.safetensors`` (float32) and ``flow.json``."""
        plain = Flow(self.flow.config)
        load_strictly(plain, merged(self.flow), "the trained flow")
        save_trained(plain, plain.config, folder / FLOW_FILE)
