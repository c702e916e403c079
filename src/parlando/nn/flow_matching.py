"""Conditional flow matching (Lipman et al., 2023): the path from noise to data, its loss, and an Euler solver.

Time runs from 0 (noise) to 1 (data). Guidance without a classifier is that of Ho & Salimans (2022).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise

import torch
from jaxtyping import Bool, Float
from torch import Tensor

SIGMA_MIN = 1e-6
_HELD_BLOCKS = 4


def cosine_grid(steps: int) -> tuple[float, ...]:
    """``steps + 1`` times from 0 to 1 that stand close at the start: ``1 - cos(pi/2 * i/steps)``."""
    return tuple(1 - math.cos(math.pi / 2 * step / steps) for step in range(steps + 1))


def solve_euler(
    velocity: Callable[[Tensor, float, int], Tensor], noise: Float[Tensor, "*rest"], times: Sequence[float]
) -> Float[Tensor, "*rest"]:
    """Follow ``velocity(x, time, step)`` from noise at the first time to the last."""
    x = noise
    for step, (time, until) in enumerate(pairwise(times)):
        x = x + (until - time) * velocity(x, time, step)
    return x


def guide(
    conditional: Float[Tensor, "*rest"], unconditional: Float[Tensor, "*rest"], rate: float
) -> Float[Tensor, "*rest"]:
    """The conditional velocity, pushed away from the unconditional one by ``rate`` times their difference."""
    return (1 + rate) * conditional - rate * unconditional


@lru_cache(maxsize=_HELD_BLOCKS)
def _noise_block(channels: int, frames: int, seed: int) -> Float[Tensor, "channel frame"]:
    with torch.inference_mode(mode=False):
        return torch.randn([channels, frames], generator=torch.Generator().manual_seed(seed))


def positional_noise(first: int, count: int, channels: int, block_frames: int) -> Float[Tensor, "frame channel"]:
    """The normal noise of the frames ``first..first+count-1`` of any sequence: a pure function of the position.

    Noise is drawn in blocks of ``block_frames`` frames, block number n from seed n, on the CPU, as float32.
    """
    blocks = range(first // block_frames, (first + count - 1) // block_frames + 1)
    pieces = [
        _noise_block(channels, block_frames, block)[
            :, max(0, first - block * block_frames) : first + count - block * block_frames
        ]
        for block in blocks
    ]
    return torch.cat(pieces, dim=1).T if pieces else torch.zeros(0, channels)


def path(
    data: Float[Tensor, "batch frame bin"], noise: Float[Tensor, "batch frame bin"], time: Float[Tensor, " batch"]
) -> tuple[Float[Tensor, "batch frame bin"], Float[Tensor, "batch frame bin"]]:
    """Where each row is at its time on the straight way from noise to data, and its velocity there."""
    at = time[:, None, None]
    rest = 1 - SIGMA_MIN
    return (1 - rest * at) * noise + at * data, data - rest * noise


def flow_matching_loss(
    predicted: Float[Tensor, "batch frame bin"],
    velocity: Float[Tensor, "batch frame bin"],
    valid: Bool[Tensor, "batch frame"] | None,
) -> Float[Tensor, ""]:
    """The mean squared error over the values of the valid frames (None: all of them)."""
    error = (predicted - velocity).square().mean(dim=-1)
    return error.mean() if valid is None else error[valid].mean()
