"""What a corpus is encoded with: waveforms at the corpus's rate to codes, and to an embedding of who speaks."""

from __future__ import annotations

from typing import Protocol, Self

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from parlando.audio.resample import sinc_resample
from parlando.models.cosyvoice.parts.campplus import CampPlus
from parlando.models.cosyvoice.parts.speech_tokenizer import SpeechTokenizer

LONGEST_SECONDS = 3.0  # more tells little more, and costs as much more


class Encoder(Protocol):
    """What turns waveforms into codes: a trained codec does, and `TokenizerEncoder`."""

    @property
    def num_codebooks(self) -> int:
        """Codes per frame."""
        ...

    @property
    def codebook_size(self) -> int:
        """How many different codes a codebook has."""
        ...

    def encode(self, wave: Float[Tensor, "batch sample"]) -> Int[Tensor, "batch codebook frame"]:
        """Codes of clips of one length."""
        ...

    def to(self, device: str, /) -> Self:
        """Move the weights there."""
        ...


class Embedder(Protocol):
    """What tells whose voice it is; `SpeakerEmbedder` does."""

    @property
    def dim(self) -> int:
        """Size of an embedding."""
        ...

    def embed(self, wave: Float[Tensor, " sample"]) -> Float[Tensor, " dim"]:
        """The embedding of one clip."""
        ...

    def to(self, device: str, /) -> Self:
        """Move the weights there."""
        ...


class TokenizerEncoder(nn.Module):
    """A speech tokenizer as an `Encoder` with one codebook; clips of any length, by windows."""

    num_codebooks = 1

    def __init__(self, tokenizer: SpeechTokenizer, sample_rate: int) -> None:
        super().__init__()
        self.tokenizer, self.sample_rate = tokenizer.eval(), sample_rate

    @property
    def codebook_size(self) -> int:
        """The quantiser's number of codes."""
        return self.tokenizer.quantizer.num_codes

    @torch.no_grad()
    def encode(self, wave: Float[Tensor, "batch sample"]) -> Int[Tensor, "batch 1 frame"]:
        """Codes of clips at ``sample_rate``."""
        heard = sinc_resample(wave, self.sample_rate, self.tokenizer.config.mel.sample_rate)
        return torch.stack(self.tokenizer.encode(list(heard)))[:, None]


class SpeakerEmbedder(nn.Module):
    """A speaker encoder as an `Embedder`; of a longer clip it hears the middle ``longest_seconds``."""

    def __init__(self, encoder: CampPlus, sample_rate: int, longest_seconds: float = LONGEST_SECONDS) -> None:
        super().__init__()
        self.encoder, self.sample_rate = encoder.eval(), sample_rate
        self.longest_samples = round(longest_seconds * sample_rate)

    @property
    def dim(self) -> int:
        """Size of an embedding."""
        return self.encoder.config.embedding_size

    @torch.no_grad()
    def embed(self, wave: Float[Tensor, " sample"]) -> Float[Tensor, " dim"]:
        """The embedding of a clip at ``sample_rate``.

        Raises:
            AudioError: the clip is silent or too short.
        """
        first = max(0, len(wave) - self.longest_samples) // 2
        heard = wave[None, first : first + self.longest_samples]
        return self.encoder.embed(sinc_resample(heard, self.sample_rate, self.encoder.config.fbank.sample_rate)[0])
