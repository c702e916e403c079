"""Where somebody speaks: an energy detector whose threshold follows the recording's own noise and level."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

TINY = 1e-12


@dataclass(frozen=True)
class Span:
    """A stretch of speech, in samples: ``start`` inclusive, ``end`` exclusive."""

    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start


@dataclass(frozen=True)
class VadOptions:
    """How speech is told from silence; levels in decibels.

    A frame is loud when it is ``above_noise`` over the quietest tenth of the clip, but the threshold stays between
    ``lowest_below_peak`` and ``highest_below_peak`` under the loudest frames, and never under ``silence_level`` (full
    scale is 0). Gaps up to ``bridge_seconds`` belong to the speech around them; stretches with less than
    ``shortest_seconds`` of loud frames are noises; what is left grows by ``lead_seconds`` and ``hangover_seconds``
    for soft beginnings and endings.
    """

    frame_seconds: float = 0.01
    silence_level: float = -60.0
    above_noise: float = 6.0
    lowest_below_peak: float = 40.0
    highest_below_peak: float = 10.0
    bridge_seconds: float = 0.15
    shortest_seconds: float = 0.05
    lead_seconds: float = 0.04
    hangover_seconds: float = 0.1


DEFAULT_VAD = VadOptions()


def frame_levels(samples: np.ndarray, frame_samples: int) -> np.ndarray:
    """Level (dB re full scale) of each frame [frame], the clip's constant offset removed; a short last frame counts."""
    if not len(samples):
        return np.zeros(0)
    wave = np.asarray(samples, dtype=np.float64) - np.mean(samples, dtype=np.float64)
    starts = np.arange(0, len(wave), frame_samples)
    counts = np.diff(np.append(starts, len(wave)))
    return 10 * np.log10(np.add.reduceat(wave * wave, starts) / counts + TINY)


def is_silent(samples: np.ndarray, sample_rate: int, options: VadOptions = DEFAULT_VAD) -> bool:
    """Whether no frame rises above the silence level."""
    return not (frame_levels(samples, _frame_samples(sample_rate, options)) > options.silence_level).any()


def speech_spans(samples: np.ndarray, sample_rate: int, options: VadOptions = DEFAULT_VAD) -> list[Span]:
    """The stretches of speech, in order, apart from each other."""
    lead, hangover = round(options.lead_seconds * sample_rate), round(options.hangover_seconds * sample_rate)
    cores = _loud_spans(samples, sample_rate, options)
    grown = [Span(max(0, core.start - lead), min(len(samples), core.end + hangover)) for core in cores]
    return _join(grown, gap=0)


def trim_silence(
    samples: np.ndarray, sample_rate: int, keep_seconds: float = 0.0, options: VadOptions = DEFAULT_VAD
) -> np.ndarray:
    """The samples from the first to the last speech, ``keep_seconds`` more on each side; nothing when nobody speaks."""
    spans = speech_spans(samples, sample_rate, options)
    if not spans:
        return samples[:0]
    keep = round(keep_seconds * sample_rate)
    return samples[max(0, spans[0].start - keep) : spans[-1].end + keep]


def speech_seconds(samples: np.ndarray, sample_rate: int, options: VadOptions = DEFAULT_VAD) -> float:
    """How long somebody speaks, pauses not counted."""
    return sum(map(len, speech_spans(samples, sample_rate, options))) / sample_rate


def longest_pause_seconds(samples: np.ndarray, sample_rate: int, options: VadOptions = DEFAULT_VAD) -> float:
    """The longest silence between two stretches of speech; 0 when there is no such pause."""
    cores = _loud_spans(samples, sample_rate, options)
    gaps = [after.start - before.end for before, after in pairwise(cores)]
    return max(gaps, default=0) / sample_rate


def _frame_samples(sample_rate: int, options: VadOptions) -> int:
    return max(1, round(options.frame_seconds * sample_rate))


def _threshold(levels: np.ndarray, options: VadOptions) -> float:
    noise, loudest = np.percentile(levels, (10, 95))
    adaptive = np.clip(
        noise + options.above_noise, loudest - options.lowest_below_peak, loudest - options.highest_below_peak
    )
    return max(float(adaptive), options.silence_level)


def _loud_spans(samples: np.ndarray, sample_rate: int, options: VadOptions) -> list[Span]:
    frame = _frame_samples(sample_rate, options)
    levels = frame_levels(samples, frame)
    if not len(levels):
        return []
    loud = levels > _threshold(levels, options)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], loud.astype(np.int8), [0]))))
    runs = [Span(int(start), int(end)) for start, end in edges.reshape(-1, 2)]
    joined = _join(runs, gap=round(options.bridge_seconds / options.frame_seconds))
    needed = math.ceil(options.shortest_seconds / options.frame_seconds - TINY)
    kept = [run for run in joined if loud[run.start : run.end].sum() >= needed]
    return [Span(run.start * frame, min(run.end * frame, len(samples))) for run in kept]


def _join(spans: list[Span], gap: int) -> list[Span]:
    joined: list[Span] = []
    for span in spans:
        if joined and span.start - joined[-1].end <= gap:
            joined[-1] = Span(joined[-1].start, span.end)
        else:
            joined.append(span)
    return joined


class SilenceMeter:
    """The longest stretch of a signal, in samples, that stays 40 dB below the loudest sample before it.

    It need not find stretches of up to ``notable_samples``.
    """

    QUIET_SHARE = 0.01

    def __init__(self, notable_samples: float = 0.0) -> None:
        self.longest_samples = 0
        self._notable_samples = notable_samples
        self._peak = 0.0
        self._running_samples = 0

    def push(self, samples: np.ndarray) -> int:
        """Take more of the signal; returns the longest stretch so far."""
        level = np.abs(samples)
        self._peak = max(self._peak, float(level.max(initial=0.0)))
        loud = level > self._peak * self.QUIET_SHARE
        before = int(loud.argmax()) if loud.any() else len(samples)
        stretches = [self.longest_samples, self._running_samples + before]
        self._running_samples += before
        if before < len(samples):
            self._running_samples = int(loud[::-1].argmax())
            if len(samples) > self._notable_samples:
                stretches.append(int(np.diff(np.flatnonzero(loud)).max(initial=1)) - 1)
        self.longest_samples = max(*stretches, self._running_samples)
        return self.longest_samples
