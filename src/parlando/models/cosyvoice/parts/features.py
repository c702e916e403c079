"""The mel spectrogram that the flow makes and the vocoder hears: 80 bands up to 8 kHz, 50 frames a second."""

from __future__ import annotations

from parlando.audio.mel import MelConfig

SAMPLE_RATE = 24_000
_HIGHEST_HZ = 8000.0


def flow_mel_config() -> MelConfig:
    """The published analysis, for `audio.fbank.MirroredMel`."""
    return MelConfig(SAMPLE_RATE, fft_samples=1920, hop_samples=480, num_bands=80, highest_hz=_HIGHEST_HZ)
