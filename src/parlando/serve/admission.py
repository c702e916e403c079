"""Who may begin to speak, who waits and who is sent away, judged by how much sound has been promised already.

A stream that waits is an entry in a list: it has no thread and no row. Everything here runs on the event loop.
"""

from __future__ import annotations

import heapq
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from parlando.core.errors import OverloadedError
from parlando.engine.demand import can_feed
from parlando.engine.playback import Playback
from parlando.serve.config import Limits

MEMORY = 0.2  # the weight of the newest request in running means
MARGIN = 1.1  # how much more sound the machine must make than will be heard
PROMISED_SHARE = 0.5  # of that, to those who wait: a machine is slower when it is full
SETTLED_SECONDS = 1.0  # of sound that a listener has who can do without a row for a while
SHARED_STREAMS = 3.0  # a machine that feeds so many keeps room for one of somebody else
SECONDS_PER_CHARACTER, LONG_CHARACTERS = 0.08, 3  # a digit, or a sign of a script without letters, is read as a word
FIRST_WIDE = "\u2e80"


def expected_seconds(text: str, speed: float) -> float:
    """About how long it takes to say a text."""
    long = sum(character.isdigit() or character >= FIRST_WIDE for character in text)
    return SECONDS_PER_CHARACTER * (len(text) + (LONG_CHARACTERS - 1) * long) / speed


@dataclass(eq=False)
class Entrant:
    """A stream that asks to be spoken: by whom and for whom, and what to do when it may begin or has to go.

    ``dismiss`` is told why, be it what ``begin`` raised, or nothing if it was cancelled.
    """

    caller: str
    playback: Playback
    begin: Callable[[], None]
    dismiss: Callable[[Exception | None], None]
    is_cancelled: Callable[[], bool] = lambda: False
    asked_seconds: float = 0.0
    waited: bool = False


@dataclass
class Admission:
    """Lets a stream begin when everybody can be fed to the end, and refuses one whose first sound would come too late.

    ``sound_rate`` says how much sound the machine makes by now, in seconds of it a second; and never are there more
    than ``rows`` who have just begun, or would soon run out. A machine that cannot feed one listener takes as many,
    for nothing that it does would be in time.
    """

    rows: int
    limits: Limits
    sound_rate: Callable[[], float]
    clock: Callable[[], float] = time.perf_counter
    first_audio_seconds: float = 0.0
    running: list[Entrant] = field(default_factory=list)
    waiting: list[Entrant] = field(default_factory=list)

    @property
    def streams(self) -> int:
        """How many run or wait."""
        return len(self.running) + len(self.waiting)

    def enter(self, entrant: Entrant) -> None:
        """Let a stream begin, now or later.

        Raises:
            OverloadedError: there are too many, or it would wait too long; says when to come again.
        """
        predicted_seconds, most_seconds = self.predicted_seconds(entrant), self.limits.max_first_audio_seconds
        full = self.streams >= self.limits.max_streams
        if full or predicted_seconds > max(most_seconds, self.first_audio_seconds):
            raise self._refusal(predicted_seconds if full else predicted_seconds - most_seconds, predicted_seconds)
        entrant.asked_seconds = self.clock()
        self.waiting.append(entrant)
        self.proceed()
        entrant.waited = entrant in self.waiting

    def proceed(self) -> None:
        """Begin with whoever may by now, and send away who has left or waited too long."""
        for entrant in tuple(self.waiting):
            if entrant.is_cancelled():
                self.waiting.remove(entrant)
                entrant.dismiss(None)
            elif self.clock() - entrant.asked_seconds > self.limits.max_first_audio_seconds:
                # Before it goes: whoever comes again comes behind all who wait now.
                predicted_seconds = self.predicted_seconds()
                refusal = self._refusal(predicted_seconds - self.limits.max_first_audio_seconds, predicted_seconds)
                self.waiting.remove(entrant)
                entrant.dismiss(refusal)
        while self.waiting and self._may_begin(entrant := self._next()):
            self.waiting.remove(entrant)
            self.running.append(entrant)
            try:
                entrant.begin()
            except Exception as error:  # noqa: BLE001  the listener is told, and nobody else loses a place
                self.running.remove(entrant)
                entrant.dismiss(error)

    def leave(self, entrant: Entrant, first_audio_seconds: float | None = None) -> None:
        """Take note that a stream is over, and of when its first sound came if it did not wait."""
        self.running.remove(entrant)
        if first_audio_seconds is not None and not entrant.waited:
            self.first_audio_seconds += MEMORY * (first_audio_seconds - self.first_audio_seconds)
        self.proceed()

    def predicted_seconds(self, entrant: Entrant | None = None) -> float:
        """Seconds until a stream that came now would have its first sound."""
        if not self.waiting and (entrant is None or self._may_begin(entrant)):
            return self.first_audio_seconds
        # As at the counters of a bank, each open until its listener has been given all.
        counters = max(1, int(min(PROMISED_SHARE * self._capacity(entrant), self.limits.max_streams)))
        ends = sorted((_end(each.playback) for each in self.running), reverse=True)[:counters]
        heapq.heapify(ends := [*ends, *[0.0] * (counters - len(ends))])
        for each in self.waiting:
            heapq.heapreplace(ends, ends[0] + each.playback.remaining_seconds)
        return ends[0] + self.first_audio_seconds

    def _capacity(self, entrant: Entrant | None) -> float:
        """How many listeners can be fed at once, and one less for who has one already if there are several."""
        fed = self.sound_rate() / MARGIN
        capacity = fed if fed >= 1 else self.rows
        is_first = entrant is None or all(each.caller != entrant.caller for each in self.running)
        return capacity if is_first or capacity < SHARED_STREAMS else capacity - 1

    def _next(self) -> Entrant:
        """The first to come among those whose caller is served least."""
        served = Counter(entrant.caller for entrant in self.running)
        return min(self.waiting, key=lambda entrant: (served[entrant.caller], entrant.asked_seconds))

    def _may_begin(self, entrant: Entrant) -> bool:
        listeners = [each.playback for each in self.running]
        unsettled = sum(not each.begun or each.lead_seconds < SETTLED_SECONDS for each in listeners)
        return unsettled < self.rows and (
            not listeners or can_feed([*listeners, entrant.playback], self._capacity(entrant))
        )

    def _refusal(self, wait_seconds: float, predicted_seconds: float) -> OverloadedError:
        wait_seconds = max(1.0, wait_seconds)
        return OverloadedError(
            f"{self.streams} requests run or wait and the first sound of one more is {predicted_seconds:.1f} s away; "
            f"ask again in {wait_seconds:.0f} s",
            wait_seconds,
        )


def _end(listener: Playback) -> float:
    """Seconds until a listener has been given everything, at the pace of speech."""
    if listener.held:
        return 0.0
    return (max(0.0, listener.lead_seconds) if listener.begun else 0.0) + listener.remaining_seconds
