"""The mel spectrogram that the flow makes and the vocoder hears."""

from __future__ import annotations

from parlando.audio.mel import MelConfig
from parlando.models.cosyvoice.parts.hift import HiFTConfig

_HOPS_PER_WINDOW = 4
_HIGHEST_HZ = 8000.0


def mel_config(hift: HiFTConfig) -> MelConfig:
    """The analysis, for `audio.fbank.MirroredMel`: bands up to 8 kHz, a frame per hop of the vocoder."""
    hop = hift.samples_per_frame
    return MelConfig(hift.source.sample_rate, _HOPS_PER_WINDOW * hop, hop, hift.mel_bins, highest_hz=_HIGHEST_HZ)


def flow_mel_config() -> MelConfig:
    """That of the published size: 80 bands at 24 kHz, 50 frames a second."""
    return mel_config(HiFTConfig())
