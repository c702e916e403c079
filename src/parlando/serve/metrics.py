"""Counters, gauges and histograms in Prometheus' text format, and what one stream adds to them."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

SECONDS_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
Labels = tuple[tuple[str, str], ...]


def _labelled(name: str, labels: Labels) -> str:
    def quoted(value: str) -> str:
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'"{escaped}"'

    return name + ("{" + ",".join(f"{key}={quoted(value)}" for key, value in labels) + "}" if labels else "")


@dataclass
class _Histogram:
    counts: list[int] = field(default_factory=lambda: [0] * (len(SECONDS_BUCKETS) + 1))
    total: float = 0.0

    def lines(self, name: str, labels: Labels) -> Iterator[str]:
        seen = 0
        for bound, count in zip((*map(str, SECONDS_BUCKETS), "+Inf"), self.counts, strict=True):
            seen += count
            yield f"{_labelled(f'{name}_bucket', (*labels, ('le', bound)))} {seen}"
        yield f"{_labelled(f'{name}_sum', labels)} {self.total:.6f}"
        yield f"{_labelled(f'{name}_count', labels)} {seen}"


class Registry:
    """Everything counted by one server; any thread may count."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counters: dict[str, dict[Labels, float]] = defaultdict(lambda: defaultdict(float))
        self._histograms: dict[str, dict[Labels, _Histogram]] = defaultdict(lambda: defaultdict(_Histogram))
        self._gauges: dict[str, Callable[[], Mapping[Labels, float]]] = {}

    def count(self, name: str, amount: float = 1.0, /, **labels: str) -> None:
        """Add to a counter, whose name ends in ``_total``."""
        with self._lock:
            self._counters[name][tuple(labels.items())] += amount

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        """Add a value, in seconds or a ratio, to a histogram."""
        with self._lock:
            histogram = self._histograms[name][tuple(labels.items())]
            histogram.counts[bisect_left(SECONDS_BUCKETS, value)] += 1
            histogram.total += value

    def gauge(self, name: str, read: Callable[[], Mapping[Labels, float]]) -> None:
        """Have a value per set of labels read whenever somebody looks."""
        self._gauges[name] = read

    def render(self) -> str:
        """All of it as Prometheus reads it."""
        lines = []
        for name, read in self._gauges.items():
            lines.append(f"# TYPE {name} gauge")
            lines += [f"{_labelled(name, labels)} {value:g}" for labels, value in read().items()]
        with self._lock:
            for name, values in self._counters.items():
                lines.append(f"# TYPE {name} counter")
                lines += [f"{_labelled(name, labels)} {value:g}" for labels, value in values.items()]
            for name, histograms in self._histograms.items():
                lines.append(f"# TYPE {name} histogram")
                lines += [line for labels, one in histograms.items() for line in one.lines(name, labels)]
        return "\n".join(lines) + "\n"


@dataclass
class StreamStats:
    """One stream as it goes: tokens, sound, and how a listener who began at the first sound would fare."""

    clock: Callable[[], float] = time.perf_counter
    begun_seconds: float = 0.0
    first_audio_seconds: float | None = None
    audio_seconds: float = 0.0
    underrun_seconds: float = 0.0
    prompt_tokens: int = 0
    output_tokens: int = 0
    finish: str = "end"
    _played_until: float = 0.0

    def __post_init__(self) -> None:
        self.begun_seconds = self.clock()

    @property
    def whole_seconds(self) -> float:
        """Since the beginning."""
        return self.clock() - self.begun_seconds

    def sound(self, seconds: float) -> None:
        """Count sound that is ready now; what a player had to wait for it is an underrun."""
        if not seconds:
            return
        now = self.clock()
        if self.first_audio_seconds is None:
            self.first_audio_seconds, self._played_until = now - self.begun_seconds, now
        self.underrun_seconds += max(0.0, now - self._played_until)
        self._played_until = max(now, self._played_until) + seconds
        self.audio_seconds += seconds

    def publish(self, registry: Registry, model: str) -> None:
        """Add it all to a registry."""
        if self.first_audio_seconds is not None:
            registry.observe("parlando_first_audio_seconds", self.first_audio_seconds, model=model)
            registry.observe("parlando_real_time_factor", self.whole_seconds / self.audio_seconds, model=model)
            registry.observe("parlando_underrun_seconds", self.underrun_seconds, model=model)
        registry.count("parlando_audio_seconds_total", self.audio_seconds, model=model)
        registry.count("parlando_streams_total", model=model, finish=self.finish)
