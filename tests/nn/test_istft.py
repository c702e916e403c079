import pytest
import torch

from parlando.nn.istft import InverseSTFT, SpectrumHead


@pytest.mark.parametrize(("fft", "hop"), [(64, 16), (100, 24), (1024, 240)])
@pytest.mark.parametrize("frames", [1, 2, 7])
def test_n_frames_make_exactly_n_hops(fft, hop, frames):
    spectrum = torch.randn(2, fft // 2 + 1, frames, dtype=torch.complex64)
    assert InverseSTFT(fft, hop)(spectrum).shape == (2, frames * hop)


@pytest.mark.parametrize(("fft", "hop"), [(64, 16), (100, 24), (1024, 240)])
def test_a_signal_comes_back_from_its_spectrum(fft, hop):
    frames = 9
    wave = torch.randn(2, frames * hop, generator=torch.Generator().manual_seed(0))
    trim = (fft - hop) // 2
    padded = torch.nn.functional.pad(wave, (trim, fft - hop - trim))
    spectrum = torch.stft(padded, fft, hop, window=torch.hann_window(fft), center=False, return_complex=True)
    assert spectrum.shape[2] == frames
    assert torch.allclose(InverseSTFT(fft, hop)(spectrum), wave, atol=2e-5)


def test_a_frame_reaches_as_far_as_said():
    istft = InverseSTFT(64, 16)
    assert istft.reach_frames == 2
    spectrum = torch.randn(1, 33, 11, dtype=torch.complex64, generator=torch.Generator().manual_seed(1))
    changed = spectrum.clone()
    changed[:, :, 5] += spectrum[:, :, 0]
    moved = (istft(changed) - istft(spectrum)).abs().view(11, 16).amax(1) > 1e-6
    assert moved.nonzero().flatten().tolist() == [3, 4, 5, 6, 7]


def test_the_head_is_bounded_and_computes_in_float32():
    head = SpectrumHead(8, 64, 16).to(torch.bfloat16)
    torch.nn.init.constant_(head.project.bias, 50.0)
    wave = head(torch.zeros(1, 5, 8, dtype=torch.bfloat16))
    assert wave.dtype == torch.float32
    assert wave.isfinite().all()
    assert wave.abs().max() <= 2 * SpectrumHead.LOUDEST
    wave.sum().backward()
    assert head.project.weight.grad is not None
