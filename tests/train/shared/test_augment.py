"""Augmented clips: as loud as before, different, and some left alone."""

import pytest
import torch

from parlando.train.shared.augment import AugmentConfig, augment

RATE = 16_000


@pytest.fixture
def waves():
    torch.manual_seed(0)
    return torch.randn(6, RATE // 2) * torch.linspace(0.02, 0.3, 6)[:, None]


def test_levels_stay_and_a_share_is_left_alone(waves):
    rough = augment(waves, RATE, AugmentConfig(share=0.5))
    same = (rough == waves).all(1)
    assert 0 < int(same.sum()) < len(waves)
    assert torch.allclose(rough.square().mean(1), waves.square().mean(1), rtol=1e-3)
    assert not (augment(waves, RATE, AugmentConfig(share=1.0)) == waves).all(1).any()
    assert torch.equal(augment(waves, RATE, AugmentConfig(share=0.0)), waves)


def test_a_narrow_band_ends_where_it_should(waves):
    config = AugmentConfig(
        1.0, curve_db=0.0, narrow_share=1.0, lowest_cut_hz=4000, loudest_noise_db=70, softest_noise_db=80
    )
    spectrum = torch.fft.rfft(augment(waves, RATE, config)).abs()
    assert (spectrum[:, -2:].mean(1) < 0.02 * spectrum[:, 50:1500].mean(1)).all()


def test_silence_stays_silent_and_finite():
    rough = augment(torch.zeros(2, 800), RATE, AugmentConfig(share=1.0))
    assert rough.abs().max() < 1e-6
