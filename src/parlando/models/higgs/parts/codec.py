"""What every audio codec of the family offers, and which one a checkpoint's config asks for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor, nn

from parlando.models.higgs.parts.spectral import SpectralCodec, SpectralCodecConfig
from parlando.models.higgs.parts.unified_codec import UnifiedCodec, UnifiedCodecConfig


@runtime_checkable
class Codec(Protocol):
    """Samples to codes and back; ``past_frames`` and ``future_frames`` are the exact reach of `decode`."""

    @property
    def sample_rate(self) -> int:
        """Samples per second, in and out."""
        ...

    @property
    def samples_per_frame(self) -> int:
        """Samples that one code frame stands for."""
        ...

    @property
    def num_codebooks(self) -> int:
        """Codes per frame."""
        ...

    @property
    def codebook_size(self) -> int:
        """Codewords per codebook."""
        ...

    @property
    def past_frames(self) -> int:
        """Frames before a frame that its samples depend on."""
        ...

    @property
    def future_frames(self) -> int:
        """Frames after a frame that its samples depend on."""
        ...

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """The weights, whose device is where the codec computes."""
        ...

    def encode(self, wave: Float[Tensor, "batch sample"]) -> Int[Tensor, "batch codebook frame"]:
        """Codes of a batch of equal lengths."""
        ...

    def decode(self, codes: Int[Tensor, "batch codebook frame"]) -> Float[Tensor, "batch sample"]:
        """Exactly ``samples_per_frame`` samples per frame."""
        ...


CodecConfig = UnifiedCodecConfig | SpectralCodecConfig
CodecModule = UnifiedCodec | SpectralCodec


def build_codec(config: CodecConfig) -> CodecModule:
    """The codec of a config, in evaluation mode, with fresh weights."""
    codec = UnifiedCodec(config) if isinstance(config, UnifiedCodecConfig) else SpectralCodec(config)
    return codec.eval()
