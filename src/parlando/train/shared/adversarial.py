"""The adversarial step of whatever makes waves: first discriminators learn, then the generator from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from parlando.train.loop.task import Objective
from parlando.train.shared.discriminator import Discriminators, discriminator_loss, generator_losses

GENERATOR, DISCRIMINATORS = "model", "discriminators"


@dataclass(frozen=True, kw_only=True)
class AdversarialConfig:
    """Discriminators join in after ``adversarial_after`` of the budget."""

    adversarial_after: float = 0.0
    adversarial_weight: float = 0.15
    matching_weight: float = 0.5


def adversarial_objectives(
    discriminators: Discriminators,
    config: AdversarialConfig,
    real: Float[Tensor, "batch sample"],
    made: Float[Tensor, "batch sample"],
    losses: Mapping[str, Tensor],
) -> Iterator[Objective]:
    """The discriminators' objective, then the generator's; ``losses`` are its others, ``loss`` their sum by weight."""
    logged = {name: value for name, value in losses.items() if name != "loss"}
    discriminators.requires_grad_(True)
    found = discriminator_loss(discriminators(real), discriminators(made.detach()))
    yield Objective(DISCRIMINATORS, found, {"discriminator": found})
    discriminators.requires_grad_(False)
    with torch.no_grad():
        real_scores = discriminators(real)
    adversarial, matching = generator_losses(real_scores, discriminators(made))
    loss = losses["loss"] + config.adversarial_weight * adversarial + config.matching_weight * matching
    yield Objective(GENERATOR, loss, {**logged, "adversarial": adversarial, "matching": matching})
