"""The published features: equal to golden tensors, and what each recipe promises about frames, ends and silence."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from parlando.audio.fbank import KaldiConfig, KaldiFbank, MirroredMel, WhisperMel, kaldi_filterbank
from parlando.audio.mel import MelConfig
from parlando.core.errors import AudioError

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "cosyvoice" / "frontend_io.safetensors"
WHISPER = WhisperMel(MelConfig(16_000, 400, 160, 128, floor=1e-10))
MIRRORED = MirroredMel(MelConfig(24_000, 1920, 480, 80, highest_hz=8_000.0))
KALDI = KaldiFbank(KaldiConfig())


@pytest.fixture(scope="module")
def io():
    return load_file(GOLDEN)


def test_the_kaldi_filterbank_equals_golden(io):
    found, exact = (
        module(io["wav_16k"][None].to(dtype))[0]
        for module, dtype in ((KALDI, torch.float32), (KaldiFbank(KaldiConfig()).double(), torch.float64))
    )
    golden = io["fbank_80"]
    # What was published is rounded itself, by up to 5e-4 in one band that is all but silent.
    rounding = (golden - (exact - exact.mean(0))).abs()
    assert ((found - found.mean(0) - golden).abs() < 1e-4 + rounding).all()
    assert (rounding < 1e-4).double().mean() > 0.999


def test_the_whisper_mel_equals_golden(io):
    assert (WHISPER(io["wav_16k"][None])[0] - io["log_mel_128"]).abs().max() < 1e-4


def test_the_mirrored_mel_equals_golden(io):
    assert (MIRRORED(io["wav_24k"][None]) - io["mel_24k"]).abs().max() < 1e-4


@pytest.mark.parametrize(("samples", "frames"), [(400, 1), (559, 1), (560, 2), (16_000, 98)])
def test_kaldi_frames_lie_wholly_in_the_clip(samples, frames):
    assert KALDI(torch.randn(2, samples)).shape == (2, frames, 80)


@pytest.mark.parametrize(("module", "samples", "frames"), [(WHISPER, 16_159, 100), (MIRRORED, 24_479, 50)])
def test_mels_have_a_frame_for_every_whole_hop(module, samples, frames):
    assert module(torch.randn(2, samples)).shape[2] == frames


def test_the_kaldi_filters_have_height_one_at_their_middles_and_leave_out_the_lowest_hertz():
    filters = kaldi_filterbank(KaldiConfig(num_bands=20))
    assert filters.shape == (20, 257)
    assert filters[:, 0].max() == filters[:, 256].max() == 0
    assert 0.8 < filters.max(1).values.min() <= filters.max() <= 1


def test_each_clip_of_a_batch_has_its_own_loudest_band(io):
    loud = io["wav_16k"][None, :8_000]
    together = WHISPER(torch.cat((loud, 0.1 * loud)))
    assert torch.allclose(together[0], WHISPER(loud)[0], atol=1e-6)
    assert torch.allclose(together[1] - together[0], torch.tensor(-0.5), atol=1e-3)


def test_silence_is_finite():
    assert torch.allclose(WHISPER(torch.zeros(1, 1_600)), torch.tensor((-10 + 4) / 4))
    assert torch.allclose(KALDI(torch.zeros(1, 1_600)), torch.tensor(torch.finfo(torch.float32).eps).log())
    assert MIRRORED(torch.zeros(1, 1_920)).isfinite().all()


@pytest.mark.parametrize(("module", "samples"), [(KALDI, 399), (WHISPER, 200), (MIRRORED, 720)])
def test_a_clip_too_short_for_a_frame_says_so(module, samples):
    with pytest.raises(AudioError, match=r"s of audio are too short; give at least 0\.0"):
        module(torch.zeros(1, samples))
    module(torch.zeros(1, samples + 1))
