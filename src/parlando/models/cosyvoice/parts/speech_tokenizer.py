"""The speech tokenizer (CosyVoice 2, Du et al., 2024): a recogniser's encoder cut off by a finite scalar quantiser."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from parlando.audio.fbank import WhisperMel
from parlando.audio.mel import MelConfig
from parlando.core.config import AtLeastOne, Count, Positive, Size
from parlando.core.errors import AudioError, ConfigError
from parlando.nn.conv import output_length
from parlando.nn.fsq import LEAST_LEVELS, FiniteScalarQuantizer
from parlando.nn.rope import RopeConfig, RopeTable, rotate

STRIDES = (2, 2)
WINDOWS_AT_ONCE = 8


@dataclass(frozen=True)
class SpeechTokenizerConfig:
    """The published size by default.

    A clip of more than ``window_seconds`` is encoded in windows of that length that share ``overlap_seconds``; of the
    shared part each window gives the half that is farther from its end.
    """

    mel: MelConfig = field(default_factory=lambda: MelConfig(16_000, 400, 160, 128, floor=1e-10))
    hidden_size: Size = 1280
    num_heads: AtLeastOne = 20
    num_layers: Count = 6
    memory_kernel: AtLeastOne = 31
    levels: tuple[AtLeastOne, ...] = (3,) * 8
    rope: RopeConfig = field(default_factory=RopeConfig)
    attention_norm_eps: Positive = 1e-6
    mlp_norm_eps: Positive = 1e-5
    window_seconds: Positive = 30.0
    overlap_seconds: Positive = 4.0

    def __post_init__(self) -> None:
        if self.hidden_size % (2 * self.num_heads):
            raise ConfigError(f"speech tokenizer: {self.hidden_size} is not {self.num_heads} heads of an even size")
        if not self.levels or min(self.levels) < LEAST_LEVELS:
            raise ConfigError(f"speech tokenizer: levels {list(self.levels)} must each be {LEAST_LEVELS} or more")
        if self.memory_kernel % 2 == 0:
            raise ConfigError(f"speech tokenizer: memory_kernel {self.memory_kernel} must be odd")
        if not 0 < self.overlap_seconds < self.window_seconds:
            raise ConfigError("speech tokenizer: overlap_seconds must be above 0 and below window_seconds")

    @property
    def frames_per_token(self) -> int:
        """Mel frames that one token covers."""
        return STRIDES[0] * STRIDES[1]

    @property
    def token_rate(self) -> float:
        """Tokens per second."""
        return self.mel.sample_rate / (self.mel.hop_samples * self.frames_per_token)


class MemoryAttention(nn.Module):
    """Attention over all tokens, plus a depth-wise convolution of the values (FSMN, Zhang et al., 2018)."""

    def __init__(self, config: SpeechTokenizerConfig) -> None:
        super().__init__()
        dim, kernel = config.hidden_size, config.memory_kernel
        self.num_heads = config.num_heads
        self.query, self.value, self.out = (nn.Linear(dim, dim) for _ in range(3))
        self.key = nn.Linear(dim, dim, bias=False)
        self.fsmn_block = nn.Conv1d(dim, dim, kernel, padding=(kernel - 1) // 2, groups=dim, bias=False)

    def forward(
        self, x: Float[Tensor, "batch token dim"], rope: RopeTable, present: Bool[Tensor, "batch token"]
    ) -> Float[Tensor, "batch token dim"]:
        """Every present token attends to every present token; the others' results mean nothing."""
        query, key, value = (p(x).unflatten(-1, (self.num_heads, -1)) for p in (self.query, self.key, self.value))
        mixed = functional.scaled_dot_product_attention(
            rotate(query, rope).transpose(1, 2),
            rotate(key, rope).transpose(1, 2),
            value.transpose(1, 2),
            attn_mask=present[:, None, None, :],
        )
        masked = value.flatten(2) * present[..., None]
        memory = self.fsmn_block(masked.transpose(1, 2)).transpose(1, 2) + masked
        return self.out(mixed.transpose(1, 2).flatten(2)) + memory * present[..., None]


class TokenizerBlock(nn.Module):
    """A transformer layer that normalises first."""

    def __init__(self, config: SpeechTokenizerConfig) -> None:
        super().__init__()
        dim = config.hidden_size
        self.attn = MemoryAttention(config)
        self.attn_ln = nn.LayerNorm(dim, config.attention_norm_eps)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
        self.mlp_ln = nn.LayerNorm(dim, config.mlp_norm_eps)

    def forward(
        self, x: Float[Tensor, "batch token dim"], rope: RopeTable, present: Bool[Tensor, "batch token"]
    ) -> Float[Tensor, "batch token dim"]:
        """Attention, then feed-forward."""
        x = x + self.attn(self.attn_ln(x), rope, present)
        return x + self.mlp(self.mlp_ln(x))


class TokenizerEncoder(nn.Module):
    """Two convolutions that each halve the rate, then transformer layers."""

    def __init__(self, config: SpeechTokenizerConfig) -> None:
        super().__init__()
        self.config = config
        self.conv1 = nn.Conv1d(config.mel.num_bands, config.hidden_size, 3, stride=STRIDES[0], padding=1)
        self.conv2 = nn.Conv1d(config.hidden_size, config.hidden_size, 3, stride=STRIDES[1], padding=1)
        self.blocks = nn.ModuleList(TokenizerBlock(config) for _ in range(config.num_layers))

    def forward(
        self, log_mel: Float[Tensor, "batch band frame"], num_frames: Int[Tensor, " batch"]
    ) -> tuple[Float[Tensor, "batch token dim"], Bool[Tensor, "batch token"]]:
        """Hidden vectors and which of them are there: clip b has ``num_frames[b]`` frames, what follows is padding."""
        hidden, lengths = log_mel, num_frames
        for conv in (self.conv1, self.conv2):
            hidden = functional.gelu(conv(hidden * _present(lengths, hidden.shape[2])[:, None]))
            lengths = (lengths - 1) // conv.stride[0] + 1
        x, present = hidden.transpose(1, 2), _present(lengths, hidden.shape[2])
        table = RopeTable.build(self.config.rope, self.config.hidden_size // self.config.num_heads, x.shape[1], x)
        for block in self.blocks:
            x = block(x, table.at(slice(None)), present)
        return x, present


@dataclass(frozen=True)
class _Window:
    """Mel frames ``start..end`` and, of their tokens, the used ``first_token..last_token``; ends exclusive."""

    start: int
    end: int
    first_token: int
    last_token: int


class SpeechTokenizer(nn.Module):
    """Mono waveforms at ``config.mel.sample_rate`` to one code per token, clips of any length in batches."""

    def __init__(self, config: SpeechTokenizerConfig) -> None:
        super().__init__()
        self.config = config
        self.log_mel = WhisperMel(config.mel)
        self.encoder = TokenizerEncoder(config)
        self.quantizer = FiniteScalarQuantizer(config.hidden_size, config.levels)

    def num_tokens(self, num_frames: int) -> int:
        """How many tokens ``num_frames`` mel frames give."""
        return output_length((self.encoder.conv1, self.encoder.conv2), num_frames)

    def forward(
        self, log_mel: Float[Tensor, "batch band frame"], num_frames: Int[Tensor, " batch"]
    ) -> tuple[Float[Tensor, "batch token digit"], Int[Tensor, "batch token"], Bool[Tensor, "batch token"]]:
        """Training pass: straight-through digits, codes, and which tokens are there."""
        hidden, present = self.encoder(log_mel, num_frames)
        return *self.quantizer(hidden), present

    @torch.no_grad()
    def encode_mels(self, log_mels: Sequence[Float[Tensor, "band _"]]) -> list[Int[Tensor, " _"]]:
        """Codes of each clip's whole log mel, windowed where it is long; int64 on the model's device."""
        pieces = [(index, piece) for index, mel in enumerate(log_mels) for piece in self._windows(mel.shape[1])]
        kept: list[list[Tensor]] = [[] for _ in log_mels]
        for first in range(0, len(pieces), WINDOWS_AT_ONCE):
            some = pieces[first : first + WINDOWS_AT_ONCE]
            windows = [log_mels[index][:, piece.start : piece.end].t() for index, piece in some]
            together = pad_sequence(windows, batch_first=True).transpose(1, 2).to(self.encoder.conv1.weight)
            lengths = torch.tensor([len(window) for window in windows], device=together.device)
            codes = self.quantizer.encode(self.encoder(together, lengths)[0])
            for (index, piece), row in zip(some, codes, strict=True):
                kept[index].append(row[piece.first_token : piece.last_token])
        return [torch.cat(parts) for parts in kept]

    @torch.no_grad()
    def encode(self, waves: Sequence[Float[Tensor, " _"]]) -> list[Int[Tensor, " _"]]:
        """Codes of mono clips at the tokenizer's rate.

        Raises:
            AudioError: a clip is not finite, or too short for a token.
        """
        return self.encode_mels([self._mel(wave, index) for index, wave in enumerate(waves)])

    def _mel(self, wave: Float[Tensor, " sample"], index: int) -> Float[Tensor, "band frame"]:
        if not wave.isfinite().all():
            raise AudioError(f"clip {index}: a sample is not a number or infinite; export the audio again")
        return self.log_mel(wave[None].to(self.log_mel.window))[0]

    def _windows(self, num_frames: int) -> Iterable[_Window]:
        """Windows that start and overlap on whole tokens, and the tokens of each that are used."""
        stride, rate = self.config.frames_per_token, self.config.token_rate
        margin = round(self.config.overlap_seconds * rate / 2)
        length = round(self.config.window_seconds * rate)
        total, start = self.num_tokens(num_frames), 0
        while True:
            end = min(start + length, total)
            is_last = end == total
            frames = (start * stride, num_frames if is_last else end * stride)
            yield _Window(*frames, margin if start else 0, end - start - (0 if is_last else margin))
            if is_last:
                return
            start = end - 2 * margin


def _present(lengths: Int[Tensor, " batch"], total: int) -> Bool[Tensor, "batch position"]:
    return torch.arange(total, device=lengths.device) < lengths[:, None]
