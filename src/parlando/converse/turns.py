"""Who speaks when: samples in, turns out. A pure state machine that counts samples and knows no clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from parlando.audio.clip import Clip
from parlando.audio.speechlike import LEAST_SWING_DECIBELS, level_swing_decibels
from parlando.converse.listening import FRAME_SECONDS, BandDetector, Detector, Heard
from parlando.core.errors import AudioError, ConfigError, TooLargeError

RECENT_FRAMES, LEAST_LOUD, LEAST_VOICED = 8, 5, 3
# Whispered speech has no pitch and begins later, once its level has swung as syllables make it.
WHISPER_FRAMES = 24
BRIDGE_SECONDS = 0.06  # what goes on is not over for so long
PAUSE_FRAMES = 10  # after which a turn may be over
LONGEST_SECONDS = 120.0


@dataclass(frozen=True)
class TurnOptions:
    """When a turn begins and ends.

    ``threshold`` is the detector's; ``lead_seconds`` before the first sound belong to a turn, which is over after
    ``silence_seconds`` without speech.
    """

    threshold: float = 0.5
    lead_seconds: float = 0.3
    silence_seconds: float = 0.5

    def __post_init__(self) -> None:
        for name, most in (("threshold", 1.0), ("lead_seconds", 10.0), ("silence_seconds", 30.0)):
            value = getattr(self, name)
            if not 0 <= value <= most:
                raise ConfigError(f"turns.{name}: {value} is out of range; use 0 to {most:g}")


USUAL_TURNS = TurnOptions()


@dataclass(frozen=True)
class Started:
    """Somebody began to speak; ``start_seconds`` count from the first sample that was ever taken."""

    start_seconds: float


@dataclass(frozen=True)
class Paused:
    """Somebody is silent for a moment: what was said so far, and perhaps all of it."""

    clip: Clip


@dataclass(frozen=True)
class Stopped:
    """Somebody has spoken: what was said, from ``start_seconds`` to ``end_seconds``."""

    clip: Clip
    start_seconds: float
    end_seconds: float


class TurnTaker:
    """Turns of one listener's microphone. Without ``options`` nobody watches, and `commit` ends the turns.

    At most ``LONGEST_SECONDS`` are kept; a turn as long as that is over.
    """

    def __init__(
        self, sample_rate: int, options: TurnOptions | None = USUAL_TURNS, detector: Detector | None = None
    ) -> None:
        self.speaking = False
        self._rate, self._options, self._given = sample_rate, options, detector
        self._kept: deque[np.ndarray] = deque()
        self._kept_samples = self._taken_samples = 0
        self._unheard = np.zeros(0, np.float32)
        self._detector = self._new_detector()
        self._forget()

    def watch(self, options: TurnOptions | None) -> None:
        """Go by other options from now on; a turn that has begun is forgotten, its sound is not."""
        if options != self._options:
            self._options = options
            self._detector = self._new_detector()
            self._forget()

    def take(self, samples: np.ndarray) -> Iterator[Started | Paused | Stopped]:
        """What happens in the next samples (float32 [n]).

        Raises:
            TooLargeError: nobody watches, and more is kept than a turn may have.
        """
        if self._options is None:
            if self._kept_samples + len(samples) > LONGEST_SECONDS * self._rate:
                raise TooLargeError(f"more than {LONGEST_SECONDS:g} s of audio wait; commit or clear the buffer")
            self._keep(samples)
            return
        self._unheard = np.concatenate([self._unheard, samples])
        size = self._detector.frame_samples
        while len(self._unheard) >= size:
            frame, self._unheard = self._unheard[:size], self._unheard[size:]
            self._keep(frame)
            yield from self._hear(self._detector.hear(frame), self._options)

    def commit(self) -> Clip:
        """Everything that is kept, as a turn that is over.

        Raises:
            AudioError: nothing is.
        """
        self._keep(self._unheard)
        if not self._kept_samples:
            raise AudioError("no audio waits for a commit; append some first")
        clip = self._clip()
        self.clear()
        return clip

    def clear(self) -> None:
        """Forget everything that is kept."""
        self._unheard = self._unheard[:0]
        self._kept.clear()
        self._kept_samples = 0
        self._forget()

    @property
    def kept_seconds(self) -> float:
        """How much is kept."""
        return (self._kept_samples + len(self._unheard)) / self._rate

    @property
    def taken_seconds(self) -> float:
        """How much was taken, since the first sample."""
        return (self._taken_samples + len(self._unheard)) / self._rate

    def _hear(self, heard: Heard, options: TurnOptions) -> Iterator[Started | Paused | Stopped]:
        self._recent.append(heard)
        if not self.speaking:
            evidence_frames = self._evidence()
            lead_seconds = options.lead_seconds + (evidence_frames or WHISPER_FRAMES) * FRAME_SECONDS
            self._cut(round(lead_seconds * self._rate))
            if evidence_frames:
                self.speaking, self._silent_frames = True, 0
                self._begun_samples = self._taken_samples - self._kept_samples
                yield Started(self._begun_samples / self._rate)
            return
        self._silent_frames = 0 if heard.goes_on else self._silent_frames + 1
        silent_seconds = self._silent_frames * FRAME_SECONDS
        too_long = self._kept_samples >= LONGEST_SECONDS * self._rate
        if silent_seconds >= max(options.silence_seconds, BRIDGE_SECONDS) or too_long:
            stopped = Stopped(self._clip(), self._begun_samples / self._rate, self._taken_samples / self._rate)
            unheard = self._unheard
            self.clear()
            self._unheard = unheard
            yield stopped
        elif self._silent_frames == PAUSE_FRAMES:
            yield Paused(self._clip())

    def _evidence(self) -> int:
        """In how many of the last frames somebody began to speak; 0 if nobody did."""
        last = list(self._recent)[-RECENT_FRAMES:]
        loud = [each for each in last if each.begins]
        if len(loud) >= LEAST_LOUD and sum(each.voiced for each in loud) >= LEAST_VOICED:
            return RECENT_FRAMES
        if len(self._recent) < WHISPER_FRAMES or not all(each.goes_on for each in self._recent):
            return 0
        recent = self._clip().samples[-round(WHISPER_FRAMES * FRAME_SECONDS * self._rate) :]
        return WHISPER_FRAMES if level_swing_decibels(recent, self._rate) >= LEAST_SWING_DECIBELS else 0

    def _new_detector(self) -> Detector:
        return self._given or BandDetector(self._rate, self._options.threshold if self._options else 0.5)

    def _forget(self) -> None:
        self.speaking, self._silent_frames, self._begun_samples = False, 0, self._taken_samples
        self._recent: deque[Heard] = deque(maxlen=WHISPER_FRAMES)

    def _keep(self, samples: np.ndarray) -> None:
        if len(samples):
            self._kept.append(samples)
            self._kept_samples += len(samples)
            self._taken_samples += len(samples)

    def _cut(self, most_samples: int) -> None:
        """Keep the newest samples only, to a frame."""
        while self._kept and self._kept_samples - len(self._kept[0]) >= most_samples:
            self._kept_samples -= len(self._kept.popleft())

    def _clip(self) -> Clip:
        return Clip(np.concatenate([np.zeros(0, np.float32), *self._kept]), self._rate)
