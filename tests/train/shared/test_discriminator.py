import pytest
import torch

from parlando.core.errors import ConfigError
from parlando.train.shared.discriminator import (
    DiscriminatorConfig,
    Discriminators,
    PeriodDiscriminator,
    discriminator_loss,
    generator_losses,
)


@pytest.fixture(scope="module")
def discriminators():
    torch.manual_seed(0)
    return Discriminators()


def wave(seed=0):
    return 0.1 * torch.randn(2, 4_800, generator=torch.Generator().manual_seed(seed))


def test_every_part_discriminators_the_whole_wave(discriminators):
    discriminatord = discriminators(wave())
    assert len(discriminatord) == 3 + 5
    for (scores, features), hop in zip(discriminatord, (128, 256, 512), strict=False):
        assert scores.shape[0] == 2
        assert scores.shape[3] == 4_800 // hop + 1
        assert len(features) == 4
    for (scores, features), period in zip(discriminatord[3:], (2, 3, 5, 7, 11), strict=True):
        assert scores.shape[3] == period
        assert len(features) == 4


def test_a_recipe_says_how_many_and_how_wide():
    made = Discriminators(DiscriminatorConfig(periods=(2,), period_widths=(4, 6), fft_samples=(256,), spectrum_width=3))
    (_, spectra), (_, periods) = made(wave())
    assert [features.shape[1] for features in spectra] == [3] * 4
    assert [features.shape[1] for features in periods] == [4, 6]
    with pytest.raises(ConfigError, match="give a period or a window at least"):
        DiscriminatorConfig(periods=(), fft_samples=())


def test_a_period_sees_only_samples_that_lie_so_far_apart():
    torch.manual_seed(1)
    discriminator = PeriodDiscriminator(5, widths=(2, 2))
    quiet = torch.zeros(1, 450)
    click = quiet.clone()
    click[0, 200] = 1.0
    moved = (discriminator(click)[0] - discriminator(quiet)[0]).detach().abs()[0, 0].amax(0)
    assert moved[0] > 0
    assert float(moved[1:].max()) == 0


def test_they_are_small_enough_for_a_processor(discriminators):
    assert sum(p.numel() for p in discriminators.parameters()) < 100_000


def test_the_hinge_rests_where_discriminators_are_right_by_a_margin():
    right = [(torch.full((1, 2, 3), 1.5), [])]
    wrong = [(torch.full((1, 2, 3), -1.5), [])]
    assert float(discriminator_loss(right, wrong)) == 0
    assert float(discriminator_loss(wrong, right)) == 5.0


def test_generator_losses_are_known_numbers():
    real = [(torch.zeros(1, 1, 2), [torch.tensor([2.0, -2.0]), torch.tensor([1.0, 1.0])])]
    made = [(torch.full((1, 1, 2), -1.0), [torch.tensor([1.0, -2.0]), torch.tensor([1.0, 3.0])])]
    adversarial, matching = generator_losses(real, made)
    assert float(adversarial) == 2.0
    assert float(matching) == pytest.approx((0.5 / 2 + 1.0 / 1) / 2)


def test_gradients_reach_discriminators_and_waves(discriminators):
    made = wave(1).requires_grad_()
    discriminator_loss(discriminators(wave()), discriminators(made)).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in discriminators.parameters())
    discriminators.zero_grad()
    adversarial, matching = generator_losses(discriminators(wave()), discriminators(made))
    made.grad = None
    (adversarial + matching).backward()
    assert made.grad.isfinite().all()
    assert made.grad.abs().sum() > 0
    discriminators.zero_grad()


def test_silence_does_not_break_the_gradient(discriminators):
    made = torch.zeros(1, 4_800, requires_grad=True)
    generator_losses(discriminators(torch.zeros(1, 4_800)), discriminators(made))[0].backward()
    assert made.grad.isfinite().all()
    discriminators.zero_grad()
