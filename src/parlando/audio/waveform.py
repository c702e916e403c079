"""Waveforms as tensors [channel, sample], for programs that are written for such."""

from __future__ import annotations

from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from parlando.audio.files import write_audio
from parlando.core.errors import AudioError


def save(uri: str | Path, src: Float[Tensor, "channel sample"], sample_rate: int) -> None:
    """Write a waveform as `torchaudio.save` would; the format follows the path's ending.

    Raises:
        AudioError: there is more than one channel.
        ConfigError: the ending names no known format.
        FileMissingError: the folder is not there.
    """
    if src.ndim != 2 or src.shape[0] != 1:
        raise AudioError(f"expected a waveform of shape [1, sample], got {list(src.shape)}; speech here is mono")
    write_audio(uri, src[0].detach().cpu().numpy(), sample_rate)
