import numpy as np
import pytest
import torch

from parlando.audio.mel import MelConfig, MelSpectrogram, hz_to_mel, mel_filterbank, mel_to_hz

CONFIG = MelConfig(24_000, 1024, 240, 80)


def slaney_hz(mel):
    return mel * 200 / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)


def independent_filterbank(rate, fft, bands, low, high):
    """Band by band and bin by bin, as the formula is written."""
    to_mel = lambda hz: 3 * hz / 200 if hz < 1000 else 15 + 27 * np.log(hz / 1000) / np.log(6.4)  # noqa: E731
    edges = [slaney_hz(m) for m in np.linspace(to_mel(low), to_mel(high), bands + 2)]
    table = np.zeros((bands, fft // 2 + 1))
    for band, (left, middle, right) in enumerate(zip(edges, edges[1:], edges[2:], strict=False)):
        for index in range(fft // 2 + 1):
            hz = index * rate / fft
            if left < hz <= middle:
                table[band, index] = (hz - left) / (middle - left)
            elif middle < hz < right:
                table[band, index] = (right - hz) / (right - middle)
        table[band] *= 2 / (right - left)
    return table


@pytest.mark.parametrize(("hz", "mel"), [(0, 0), (500, 7.5), (1000, 15), (6400, 42)])
def test_the_scale_is_slaneys(hz, mel):
    assert hz_to_mel(hz) == pytest.approx(mel)
    assert mel_to_hz(torch.tensor([float(mel)])).item() == pytest.approx(hz, rel=1e-6)


@pytest.mark.parametrize(("bands", "low", "high"), [(80, 0, None), (20, 80, 7_600)])
def test_the_filterbank_is_the_formula(bands, low, high):
    config = MelConfig(16_000, 512, 160, bands, low, high)
    expected = independent_filterbank(16_000, 512, bands, low, high or 8_000)
    assert np.abs(mel_filterbank(config).numpy() - expected).max() < 1e-7 + 1e-5 * expected.max()


@pytest.mark.parametrize(("samples", "frames"), [(240, 1), (479, 1), (480, 2), (2_400, 10)])
def test_one_frame_per_whole_hop(samples, frames):
    assert MelSpectrogram(CONFIG)(torch.zeros(2, samples)).shape == (2, frames, 80)


def test_silence_is_the_floor():
    assert torch.allclose(MelSpectrogram(CONFIG)(torch.zeros(1, 960)), torch.tensor(1e-5).log())


@pytest.mark.parametrize("frame", [0, 3, 9])
def test_frame_i_is_centred_on_sample_i_and_a_half_hops(frame):
    wave = torch.zeros(1, 2_400)
    wave[0, frame * 240 + 120] = 1
    mel = MelSpectrogram(CONFIG)(wave)[0].mean(1)
    assert mel.argmax() == frame
    if 0 < frame < 9:
        assert mel[frame - 1].item() == pytest.approx(mel[frame + 1].item(), abs=1e-4)


def test_a_tone_is_loudest_in_the_band_around_it_and_scales_by_logarithm():
    tone = torch.sin(2 * np.pi * 1_000 * torch.arange(4_800) / 24_000)[None]
    mel = MelSpectrogram(CONFIG)
    quiet, loud = mel(0.1 * tone)[0, 10], mel(0.2 * tone)[0, 10]
    assert mel_filterbank(CONFIG)[quiet.argmax(), round(1_000 * 1024 / 24_000)] > 0
    assert (loud - quiet)[quiet.argmax()].item() == pytest.approx(np.log(2), abs=1e-4)
