"""Whether a recording can serve as the reference of a voice, and which part of it is used."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from parlando.audio.clip import Clip, as_mono, check_sample_rate, within_full_scale
from parlando.audio.silence import Span, is_silent, speech_spans
from parlando.audio.speechlike import is_speechlike
from parlando.core.errors import AudioError

FLAT_SHARE, SHORTEST_FLAT = 5e-5, 3
"""Of the peak, how far samples of a flat top may lie apart; and how many of them make one."""
TOP_SHARE, CROWDED = 0.03, 4.0
"""Coarse samples make flat tops, too; of what was clipped, that share at the top holds so many times the next one."""
FULL_SCALE, FULL_SCALE_BANDS, CROWDED_BAND = 0.999, ((0.93, 1.07), (0.75, 0.89)), 2.2
"""Coders round flat tops off. A tone has up to 1.8 times as many samples in the upper band, speech less than one."""


@dataclass(frozen=True)
class ReferenceLimits:
    """What a reference may be. Shares and offset are of full scale 1.0; ``speech_only`` refuses steady noise."""

    min_speech_seconds: float = 1.0
    used_seconds: float = 30.0
    max_seconds: float = 600.0
    min_sample_rate: int = 4000
    max_clipped_share: float = 0.005
    max_offset: float = 0.1
    speech_only: bool = True


DEFAULT_LIMITS = ReferenceLimits()


@dataclass(frozen=True)
class CheckedReference:
    """The part of a recording to use: from its first speech on, silence at both ends removed.

    ``start_seconds`` and ``end_seconds`` say where that part lies in the recording; ``note`` says when speech was left
    out and is empty otherwise.
    """

    clip: Clip
    speech_seconds: float
    start_seconds: float
    end_seconds: float
    note: str = ""


def clipped_share(samples: np.ndarray) -> float:
    """Share of the samples (of [n] or [n, channel]) that lie in flat tops at the peak of either side, 0 to 1.

    Whatever the peak's level is: floats may go beyond full scale unharmed, and what was clipped may be turned down.
    """
    channels = [samples] if samples.ndim == 1 else [*samples.T]
    flat = sum(_flat_samples(side) for channel in channels for side in (channel, -channel))
    return max(flat, _rounded_samples(np.abs(samples))) / samples.size if samples.size else 0.0


def _flat_samples(samples: np.ndarray) -> int:
    """How many samples lie in flat tops at the highest level, where it is crowded."""
    peak = float(samples.max(initial=0.0))
    top, next_below = (int(np.count_nonzero(samples >= peak * (1 - parts * TOP_SHARE))) for parts in (1, 2))
    if peak <= 0 or top < CROWDED * (next_below - top):
        return 0
    at_top = np.concatenate(([0], samples >= peak * (1 - FLAT_SHARE), [0])).astype(np.int8)
    starts, ends = np.flatnonzero(np.diff(at_top)).reshape(-1, 2).T
    lengths = ends - starts
    return int(lengths[lengths >= SHORTEST_FLAT].sum())


def _rounded_samples(levels: np.ndarray) -> int:
    """How many samples are at full scale or above where far more crowd around it than below: a coder's flat tops."""
    around, below = (int(np.count_nonzero((levels >= low) & (levels < high))) for low, high in FULL_SCALE_BANDS)
    return int(np.count_nonzero(levels >= FULL_SCALE)) if around > CROWDED_BAND * below else 0


def check_reference(
    samples: np.ndarray, sample_rate: int, where: str = "reference", limits: ReferenceLimits = DEFAULT_LIMITS
) -> CheckedReference:
    """Check a recording and keep its first ``limits.used_seconds``, ended at a pause where there is one.

    Raises:
        AudioError: not finite, empty, at too low a rate, too short, too long, silent, clipped, with a constant offset,
            with too little speech, or with nothing but noise.
    """
    rate, mono = check_sample_rate(sample_rate, where), within_full_scale(as_mono(samples, where))
    _check_whole(mono, rate, where, limits)
    spans = speech_spans(mono, rate)
    used = used_spans(spans, round(limits.used_seconds * rate))
    speech_seconds = sum(map(len, used)) / rate
    if speech_seconds < limits.min_speech_seconds:
        raise AudioError(
            f"{where}: {speech_seconds:.2f} s of speech; a voice needs at least {limits.min_speech_seconds:g} s, "
            "better 5 to 15 s; record more"
        )
    if limits.speech_only and not is_speechlike(np.concatenate([mono[span.start : span.end] for span in used]), rate):
        raise AudioError(
            f"{where}: no speech found, only steady noise; record one speaker for 5 to 15 s, with little noise"
        )
    start, end = used[0].start, used[-1].end
    note = "" if end == spans[-1].end else _cut_note(where, start / rate, end / rate)
    return CheckedReference(Clip(mono[start:end], rate), speech_seconds, start / rate, end / rate, note)


def _check_whole(mono: np.ndarray, rate: int, where: str, limits: ReferenceLimits) -> None:
    seconds = len(mono) / rate
    if rate < limits.min_sample_rate:
        raise AudioError(f"{where}: {rate} hertz hold no speech; record it at {limits.min_sample_rate} or more")
    if seconds > limits.max_seconds:
        raise AudioError(
            f"{where}: {seconds / 60:.0f} minutes long; cut out the best 5 to 15 s of one speaker "
            f"(at most {limits.max_seconds / 60:g} minutes are accepted)"
        )
    if seconds < limits.min_speech_seconds:
        raise AudioError(
            f"{where}: too short, {seconds:.2g} s; a voice needs at least {limits.min_speech_seconds:g} s of speech, "
            "better 5 to 15 s; record more"
        )
    offset = float(mono.mean(dtype=np.float64))
    if abs(offset) > limits.max_offset:
        raise AudioError(
            f"{where}: a constant offset of {offset:+.2f}; remove it (a high-pass filter does) and try again"
        )
    if is_silent(mono, rate):
        raise AudioError(f"{where}: it is silent; record it again, closer or louder")
    share = clipped_share(mono)
    if share > limits.max_clipped_share:
        raise AudioError(f"{where}: {share:.1%} of the samples are clipped; record it again at a lower level")


def used_spans(spans: list[Span], longest: int) -> list[Span]:
    """The spans within ``longest`` samples of the first one's start; a first span longer than that is cut."""
    if not spans:
        return []
    limit = spans[0].start + longest
    return [span for span in spans if span.end <= limit] or [Span(spans[0].start, limit)]


def _cut_note(where: str, start_seconds: float, end_seconds: float) -> str:
    return (
        f"{where}: only {start_seconds:.1f} s to {end_seconds:.1f} s are used; a transcript must be of that part alone"
    )
