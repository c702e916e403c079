"""What `parlando.audio.inspect` finds in a file, as data and as rows of text."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from parlando.audio.clip import Clip
from parlando.audio.silence import Span


@dataclass(frozen=True)
class AudioReport:
    """Measurements of one file.

    Shares are 0 to 1, ``clicks`` and ``speech`` are in samples, levels are minus infinity for silence, ``pitch_hz`` is
    0 when nothing is voiced.
    """

    name: str
    clip: Clip = field(repr=False)
    channels: int
    loudness_lufs: float
    peak_dbfs: float
    clipped_share: float
    speech: tuple[Span, ...]
    longest_pause_seconds: float
    clicks: tuple[int, ...]
    pitch_hz: float
    bandwidth_hz: float

    @property
    def speech_share(self) -> float:
        """Part of the duration in which somebody speaks."""
        return sum(map(len, self.speech)) / len(self.clip.samples)

    @property
    def silence_share(self) -> float:
        """Part of the duration in which nobody speaks."""
        return 1.0 - self.speech_share

    def rows(self) -> list[tuple[str, str]]:
        """Name and value of every measurement, for people."""
        return [
            ("duration", f"{self.clip.duration_seconds:.2f} s"),
            ("sample rate", f"{self.clip.sample_rate} Hz"),
            ("channels", str(self.channels)),
            ("loudness", _level(self.loudness_lufs, "LUFS")),
            ("peak", _level(self.peak_dbfs, "dBFS")),
            ("clipped", f"{self.clipped_share:.2%}"),
            ("speech", f"{self.speech_share:.0%}"),
            ("silence", f"{self.silence_share:.0%}"),
            ("longest pause", f"{self.longest_pause_seconds:.2f} s"),
            ("clicks", str(len(self.clicks))),
            ("pitch (median)", f"{self.pitch_hz:.0f} Hz" if self.pitch_hz else "nothing voiced"),
            ("bandwidth", f"{self.bandwidth_hz / 1000:.1f} kHz"),
        ]


def _level(value: float, unit: str) -> str:
    return f"{value:.1f} {unit}" if math.isfinite(value) else "silent"
