import pytest
import torch

from parlando.train.discriminator import (
    SCALES,
    BandDiscriminator,
    Discriminators,
    discriminator_loss,
    generator_losses,
)


@pytest.fixture(scope="module")
def judges():
    torch.manual_seed(0)
    return Discriminators()


def wave(seed=0):
    return 0.1 * torch.randn(2, 4_800, generator=torch.Generator().manual_seed(seed))


def test_every_scale_judges_every_band_and_frame(judges):
    judged = judges(wave())
    assert len(judged) == len(SCALES) == 3
    for (scores, features), (_, hop) in zip(judged, SCALES, strict=True):
        assert scores.shape == (2, 12, 4_800 // hop + 1)
        assert len(features) == 4
        assert {(f.shape[0], f.shape[1] % 12, f.shape[2]) for f in features} == {(2, 0, scores.shape[2])}


def test_bands_are_judged_apart():
    torch.manual_seed(1)
    judge = BandDiscriminator(256, 64, bands=4, width=2)
    time = torch.arange(2_048) / 24_000
    low, high = (torch.sin(2 * torch.pi * hz * time)[None] for hz in (750, 11_000))
    moved = (judge(low + high)[0] - judge(low)[0])[:, :, 8:-8].abs().amax((0, 2))
    assert moved[3] > 5 * moved[0]
    assert moved.argmax() == 3


def test_the_hinge_rests_where_judges_are_right_by_a_margin():
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


def test_gradients_reach_judges_and_waves(judges):
    made = wave(1).requires_grad_()
    discriminator_loss(judges(wave()), judges(made)).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in judges.parameters())
    judges.zero_grad()
    adversarial, matching = generator_losses(judges(wave()), judges(made))
    made.grad = None
    (adversarial + matching).backward()
    assert made.grad.isfinite().all()
    assert made.grad.abs().sum() > 0
    judges.zero_grad()


def test_silence_does_not_break_the_gradient(judges):
    made = torch.zeros(1, 4_800, requires_grad=True)
    generator_losses(judges(torch.zeros(1, 4_800)), judges(made))[0].backward()
    assert made.grad.isfinite().all()
    judges.zero_grad()
