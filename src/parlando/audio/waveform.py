"""Waveforms as tensors [channel, sample], for programs that are written for such."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from jaxtyping import Float
from torch import Tensor

from parlando.audio.files import encode_audio, write_audio
from parlando.core.errors import AudioError


def save(
    uri: str | Path | BinaryIO, src: Float[Tensor, "channel sample"], sample_rate: int, *, format: str | None = None
) -> None:
    """Write a waveform as `torchaudio.save` would; the format follows the path's ending, and is wav in a buffer.

    Raises:
        AudioError: there is more than one channel.
        ConfigError: format or ending names no known format.
        FileMissingError: the folder is not there.
    """
    if src.ndim != 2 or src.shape[0] != 1:
        raise AudioError(f"expected a waveform of shape [1, sample], got {list(src.shape)}; speech here is mono")
    samples = src[0].detach().cpu().numpy()
    if isinstance(uri, str | Path):
        write_audio(uri, samples, sample_rate, format)
    else:
        uri.write(encode_audio(samples, sample_rate, format or "wav"))
