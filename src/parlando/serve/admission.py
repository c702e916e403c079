"""Who may begin to speak, who waits and who is sent away, judged by how much sound has been promised already.

A stream that waits is an entry in a list: it has no thread and no row. Everything here runs on the event loop.
"""

from __future__ import annotations

import heapq
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from parlando.core.errors import OverloadedError
from parlando.engine.demand import can_feed
from parlando.engine.playback import Playback
from parlando.serve.config import Limits
from parlando.serve.lack import Lack

MEMORY = 0.2  # the weight of the newest request in running means
MARGIN = 1.1  # how much more sound the machine must make than will be heard
PROMISED_SHARE = 0.5  # of that, to those who wait: a machine is slower when it is full
SETTLED_SECONDS = 1.0  # of sound that a listener has who can do without a row for a while
SETTLING_RATE, LEAST_SETTLING = 3.0, 2  # seconds of sound a second that are kept for each of them; how many may be
PRESSED_SECONDS = 0.2  # of sound left: while somebody has less, or had to wait just now, nobody begins
SHARED_STREAMS = 3.0  # a machine that feeds so many keeps room for one of somebody else
SURE_SECONDS = 0.3  # somebody must be found to come too late for so long, to be sent away
SECONDS_PER_CHARACTER, LONG_CHARACTERS = 0.08, 3  # a digit, or a sign of a script without letters, is read as a word
FIRST_WIDE = "\u2e80"


def expected_seconds(text: str, speed: float) -> float:
    """About how long it takes to say a text."""
    long = sum(character.isdigit() or character >= FIRST_WIDE for character in text)
    return SECONDS_PER_CHARACTER * (len(text) + (LONG_CHARACTERS - 1) * long) / speed


@dataclass(eq=False)
class Entrant:
    """A stream that asks to be spoken: by whom and for whom, and what to do when it may begin or has to go.

    ``dismiss`` is told why, be it what ``begin`` raised, or nothing if it was cancelled. ``lacks`` are what it may have
    to wait for, once it has begun, before the machine can make its sound.
    """

    caller: str
    playback: Playback
    begin: Callable[[], None]
    dismiss: Callable[[Exception | None], None]
    is_cancelled: Callable[[], bool] = lambda: False
    lacks: Sequence[Lack] = ()
    asked_seconds: float = 0.0
    begun_seconds: float = 0.0
    late_since_seconds: float | None = None
    waited: bool = False

    @property
    def lacking(self) -> bool:
        """Whether it waits for text or for what is to be encoded first, and not for the machine."""
        return any(lack.now for lack in self.lacks)

    @property
    def lacked_seconds(self) -> float:
        """How long it has waited for that."""
        return sum(lack.seconds for lack in self.lacks)


@dataclass
class Admission:
    """Lets a stream begin when everybody can be fed to the end, and refuses one whose first sound would come too late.

    ``sound_rate`` says how much sound the machine makes by now, in seconds of it a second, and may be mistaken. So
    nobody begins while somebody is about to run out, and never are there more than ``rows``, or than a third of those
    who can be fed and two at the least, who have just begun; who lacks text, or something that is encoded first, is not
    counted. A machine that cannot feed one listener takes as many as it has rows, for nothing that it does would be in
    time.
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
            raise self._refusal(predicted_seconds, predicted_seconds if full else self._longest_silence_seconds())
        entrant.asked_seconds = self.clock()
        self.waiting.append(entrant)
        self.proceed()
        entrant.waited = entrant in self.waiting

    def proceed(self) -> None:
        """Begin with whoever may by now, and send away who has left or is sure to wait too long."""
        for entrant in [each for each in self.waiting if each.is_cancelled()]:
            self._dismiss(entrant, None)
        while self.waiting and self._may_begin(entrant := self._queue()[0]):
            self.waiting.remove(entrant)
            self.running.append(entrant)
            entrant.begun_seconds = self.clock()
            try:
                entrant.begin()
            except Exception as error:  # noqa: BLE001  the listener is told, and nobody else loses a place
                self.running.remove(entrant)
                entrant.dismiss(error)
        self._refuse_late()

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
        return self._begins_seconds(entrant) + self._silence_seconds()

    def _begins_seconds(self, entrant: Entrant | None) -> float:
        """Seconds until a stream that has to wait would begin."""
        if entrant is not None and self._can_feed(*self.waiting, entrant):
            return 0.0 if self._has_time() else SETTLED_SECONDS * (1 + len(self.waiting) / self._beginners)
        counters = self._counters(PROMISED_SHARE * self._capacity(entrant))
        for each in self.waiting:
            heapq.heapreplace(counters, counters[0] + each.playback.remaining_seconds)
        return counters[0]

    def _refuse_late(self) -> None:
        """Dismiss whose first sound would come too late even if all goes well from now on: the sooner they know it."""
        silence_seconds = self._silence_seconds()
        most_seconds = max(self.limits.max_first_audio_seconds, self.first_audio_seconds)
        counters = self._counters(self._capacity(None), len(self.running))
        kept: list[Entrant] = []
        for entrant in self._queue():
            waited_seconds = self.clock() - entrant.asked_seconds + silence_seconds
            late = waited_seconds + counters[0] > most_seconds and not self._can_feed(*kept, entrant)
            if waited_seconds > most_seconds or self._is_sure(entrant, late):
                # Before it goes: whoever comes again comes behind all who wait now.
                predicted_seconds = max(self.predicted_seconds(), waited_seconds)
                self._dismiss(entrant, self._refusal(predicted_seconds, waited_seconds))
            elif not late:
                kept.append(entrant)
                heapq.heapreplace(counters, counters[0] + entrant.playback.remaining_seconds)

    def _is_sure(self, entrant: Entrant, late: bool) -> bool:
        """Whether somebody was found to be late for a while: the machine may seem slow for a moment."""
        if not late:
            entrant.late_since_seconds = None
            return False
        if entrant.late_since_seconds is None:
            entrant.late_since_seconds = self.clock()
        return self.clock() - entrant.late_since_seconds >= SURE_SECONDS

    def _dismiss(self, entrant: Entrant, error: Exception | None) -> None:
        self.waiting.remove(entrant)
        entrant.dismiss(error)

    def _silence_seconds(self) -> float:
        """How long who has to wait will have no sound once they have begun: as lately, or as somebody by now."""
        return max(self.first_audio_seconds, self._longest_silence_seconds())

    def _longest_silence_seconds(self) -> float:
        """How long somebody who has begun waits for their first sound by now, as far as the machine is to blame."""
        silent = [each for each in self.running if not (each.playback.begun or each.lacking)]
        return max((self.clock() - each.begun_seconds - each.lacked_seconds for each in silent), default=0.0)

    def _counters(self, most: float, most_served: int | None = None) -> list[float]:
        """A heap of when each of so many will be free, as at a bank: a listener stays until they were given all.

        By default those who stay longest have one each, and the others will do with what is left.
        """
        counters = [0.0] * max(1, int(min(most, self.limits.max_streams)))
        ends = sorted((_end(each.playback) for each in self.running), reverse=True)
        for end_seconds in ends[: most_served or len(counters)]:
            heapq.heapreplace(counters, counters[0] + end_seconds)
        return counters

    def _capacity(self, entrant: Entrant | None) -> float:
        """How many listeners can be fed at once, and one less for who has one already if there are several."""
        capacity = self._fed if self._fed >= 1 else self.rows
        is_first = entrant is None or all(each.caller != entrant.caller for each in self.running)
        return capacity if is_first or capacity < SHARED_STREAMS else capacity - 1

    def _queue(self) -> list[Entrant]:
        """Who waits: whose caller is served least comes first, and then who came first."""
        served = Counter(entrant.caller for entrant in self.running)
        return sorted(self.waiting, key=lambda entrant: (served[entrant.caller], entrant.asked_seconds))

    def _may_begin(self, entrant: Entrant) -> bool:
        return not self.running or (self._has_time() and self._can_feed(entrant))

    def _can_feed(self, *more: Entrant) -> bool:
        """Whether there is sound for these beside those who run, judged by what the last of them may have."""
        return can_feed([each.playback for each in (*self.running, *more)], self._capacity(more[-1]))

    def _has_time(self) -> bool:
        """Whether nobody is about to run out, and not too many have just begun."""
        listeners = [each.playback for each in self.running if not each.lacking]
        pressed = any(each.begun and -SETTLED_SECONDS < each.lead_seconds < PRESSED_SECONDS for each in listeners)
        unsettled = sum(not each.begun or each.lead_seconds < SETTLED_SECONDS for each in listeners)
        return unsettled < self._beginners and not (pressed and self._fed >= 1)

    @property
    def _beginners(self) -> float:
        """How many may have just begun, or soon run out: few enough that a machine that turns out slower feeds them."""
        return self.rows if self._fed < 1 else min(self.rows, max(LEAST_SETTLING, self._fed / SETTLING_RATE))

    @property
    def _fed(self) -> float:
        """How many listeners the machine feeds; none are in time where it is less than one."""
        return self.sound_rate() / MARGIN

    def _refusal(self, predicted_seconds: float, least_seconds: float) -> OverloadedError:
        """To ask again when the prediction allows it, and not before what kept others waiting had as long again."""
        wait_seconds = max(1.0, least_seconds, predicted_seconds - self.limits.max_first_audio_seconds)
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
