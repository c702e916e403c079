"""Frames of a spectrogram read faster or slower, as a stream; a vocoder that finds its own pitch keeps it."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor


class FrameTempo:
    """Interpolates frames linearly: n frames become ``floor(n / speed)``; any pieces give the same frames.

    Frame i of the output lies at ``(i + 0.5) * speed - 0.5`` of the input, as when an image is resized; past the ends
    the first and the last frame go on. State: the input frames that are still needed.
    """

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._frames: Tensor | None = None
        self._dropped, self._made = 0, 0

    def push(self, frames: Float[Tensor, "1 bin frame"], final: bool) -> Float[Tensor, "1 bin made"]:
        """Output frames that are final after these."""
        if self._speed == 1.0:
            return frames
        held = frames if self._frames is None else torch.cat([self._frames, frames], dim=2)
        received = self._dropped + held.shape[2]
        places = self._places(self._ready(received, final), held)
        before = places.floor().long().clamp(0, max(received - 1, 0)) - self._dropped
        after = (before + 1).clamp_max(max(held.shape[2] - 1, 0))
        share = (places.clamp(0, max(received - 1, 0)) - (before + self._dropped)).to(held.dtype)
        made = torch.lerp(held[:, :, before], held[:, :, after], share)
        self._made += len(places)
        self._keep(held)
        return made

    def needed(self, made: int) -> int:
        """How many input frames there must be in all for so many to come out before the last piece."""
        return made if self._speed == 1.0 else math.ceil((made + 1.5) * self._speed + 0.5)

    def _ready(self, received: int, final: bool) -> int:
        """How many output frames can be had of so many input frames."""
        if final:
            return int(received / self._speed)
        # The last one lies at most a whole frame before what was received, and is not beyond the end to come.
        return max(self._made, int((received - 0.5) / self._speed - 0.5))

    def _places(self, end: int, like: Tensor) -> Float[Tensor, " made"]:
        index = torch.arange(self._made, max(end, self._made), device=like.device, dtype=torch.float64)
        return (index + 0.5) * self._speed - 0.5

    def _keep(self, held: Tensor) -> None:
        next_place = max(0, int((self._made + 0.5) * self._speed - 0.5))
        cut = min(max(0, next_place - self._dropped), held.shape[2])
        self._frames, self._dropped = held[:, :, cut:], self._dropped + cut
