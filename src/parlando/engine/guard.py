"""Notices a generation that will not end by itself: far longer than its text, or caught in a loop of the same codes."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal

from parlando.core.errors import ConfigError
from parlando.core.types import Frame

Verdict = Literal["length", "repetition"]


@dataclass(frozen=True)
class GuardLimits:
    """What is too much.

    A request may have ``expected_frames * length_factor + length_margin_frames`` frames. A loop is a run of at most
    ``longest_loop_frames`` frames that comes ``loop_rounds`` times in a row and lasts ``loop_frames`` in all;
    ``codebooks`` says how many codes of a frame must agree, ``None`` for all.
    """

    length_factor: float = 2.0
    length_margin_frames: int = 25
    longest_loop_frames: int = 25
    loop_rounds: int = 4
    loop_frames: int = 30
    codebooks: int | None = None

    def __post_init__(self) -> None:
        codebooks = 1 if self.codebooks is None else self.codebooks
        if min(self.longest_loop_frames, codebooks, self.loop_rounds - 1) < 1:
            raise ConfigError(
                f"invalid {self}: longest_loop_frames and codebooks must be at least 1, loop_rounds at least 2"
            )


class RunawayGuard:
    """Watches the frames of one request; constant work per frame. Silence is for whoever has the samples to judge."""

    def __init__(self, expected_frames: float, limits: GuardLimits | None = None) -> None:
        self._limits = limits or GuardLimits()
        allowed = expected_frames * self._limits.length_factor + self._limits.length_margin_frames
        self._most_frames = allowed if expected_frames > 0 else float("inf")
        self._seen_frames = 0
        self._recent: deque[tuple[int, ...]] = deque(maxlen=self._limits.longest_loop_frames)
        self._runs: dict[int, int] = {}

    def check(self, frame: Frame) -> Verdict | None:
        """Take the next frame; what is wrong with the request by now, if anything."""
        self._seen_frames += 1
        looping = self._repeats(frame.codes[: self._limits.codebooks] or (frame.token,))
        if self._seen_frames > self._most_frames:
            return "length"
        return "repetition" if looping else None

    def _repeats(self, key: tuple[int, ...]) -> bool:
        """Count, per period, how many frames in a row equal the one a period before; is one of them a loop by now?"""
        if key not in self._recent:
            self._runs = {}
            self._recent.appendleft(key)
            return False
        periods = [index for index, earlier in enumerate(self._recent, start=1) if earlier == key]
        self._runs = {period: self._runs.get(period, 0) + 1 for period in periods}
        self._recent.appendleft(key)
        return any(self._is_loop(period, run) for period, run in self._runs.items())

    def _is_loop(self, period: int, agreeing: int) -> bool:
        return agreeing + period >= max(period * self._limits.loop_rounds, self._limits.loop_frames)
