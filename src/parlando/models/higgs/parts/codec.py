"""What every audio codec of the family offers, and which one a checkpoint's config asks for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from parlando.core.config import from_mapping, to_mapping
from parlando.core.errors import ConfigError
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


CodecModule = UnifiedCodec | SpectralCodec

_KINDS: Mapping[str, tuple[type[Any], type[Any]]] = {
    "dac": (UnifiedCodecConfig, UnifiedCodec),
    "spectral": (SpectralCodecConfig, SpectralCodec),
}


def build_codec(config: Mapping[str, Any]) -> CodecModule:
    """The codec that a checkpoint's ``codec`` table describes, in evaluation mode, with fresh weights.

    Raises:
        ConfigError: the kind is missing or unknown, or a setting is.
    """
    kind = config.get("kind")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise ConfigError(f"codec.kind: {kind!r} is not one of {', '.join(map(repr, _KINDS))}")
    settings, module = _KINDS[kind]
    return module(from_mapping(settings, config, "codec")).eval()


def codec_config(codec: CodecModule) -> dict[str, Any]:
    """The plain table from which `build_codec` makes an equal codec."""
    return to_mapping(codec.config)


def encode_all(codec: Codec, waves: Sequence[Float[Tensor, " _"]]) -> list[Int[Tensor, "codebook _"]]:
    """Codes of clips of any lengths, in order; each clip's codes are those it would get alone.

    Clips of equal length share a batch. Others must not: the encoders look across a whole clip (normalisation over
    time, attention), so padding one to another's length would change its codes.
    """
    groups: dict[int, list[int]] = defaultdict(list)
    for index, wave in enumerate(waves):
        groups[wave.shape[0]].append(index)
    codes: dict[int, Tensor] = {}
    for members in groups.values():
        codes.update(zip(members, codec.encode(torch.stack([waves[index] for index in members])), strict=True))
    return [codes[index] for index in range(len(waves))]
