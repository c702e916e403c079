"""Who may begin, who waits and who is sent away: the bookkeeping of admission, on a clock of its own."""

from __future__ import annotations

import pytest

from parlando.core.errors import OverloadedError
from parlando.engine.playback import Playback
from parlando.serve.admission import (
    PRESSED_SECONDS,
    SETTLED_SECONDS,
    SURE_SECONDS,
    Admission,
    Entrant,
    expected_seconds,
)
from parlando.serve.config import Limits
from parlando.serve.lack import Lack


class Clock:
    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds


class Desk:
    """An admission whose machine makes ``rate`` seconds of sound a second, and what became of who came."""

    def __init__(self, rate=10.0, rows=8, **limits):
        self.clock, self.rate = Clock(), rate
        self.admission = Admission(rows, Limits(**limits), lambda: self.rate, self.clock)
        self.begun, self.dismissed = [], []

    def come(self, caller="ann", seconds=5.0, cancelled=False):
        entrant = Entrant(
            caller,
            Playback(self.clock, seconds),
            lambda: self.begun.append(entrant),
            lambda error: self.dismissed.append((entrant, error)),
            lambda: cancelled,
        )
        self.admission.enter(entrant)
        return entrant

    def settle(self, lead=60.0):
        """Everybody who runs has heard something and is so far ahead, with as much still to come as before."""
        for entrant in self.admission.running:
            if not entrant.playback.begun:
                entrant.playback._expected_seconds += lead
                entrant.playback.hand_out(lead)


def lacking(seconds=0.0):
    """Something that somebody waits for, and has waited for so long before."""
    lack = Lack()
    lack.now, lack.seconds = True, seconds
    return lack


def test_who_can_be_fed_begins_at_once_and_the_others_wait_without_a_thread():
    desk = Desk(rate=2.3)
    first, second = desk.come(), desk.come("bob")
    waiting = desk.come("cid", seconds=4.0)
    assert desk.begun == [first, second]
    assert (desk.admission.streams, desk.admission.waiting) == (3, [waiting])
    desk.admission.leave(first)
    assert desk.begun == [first, second, waiting]


def test_long_texts_count_and_not_how_the_last_short_ones_fared():
    desk = Desk(rate=2.3, max_first_audio_seconds=10.0)
    desk.admission.first_audio_seconds = 0.1
    for caller in ("ann", "bob"):
        desk.come(caller, seconds=300.0)
    with pytest.raises(OverloadedError, match=r"300.1 s away; ask again in 290 s") as refused:
        desk.come("cid")
    assert refused.value.retry_after_seconds == pytest.approx(290.1)


def test_streams_that_are_far_ahead_make_room():
    desk = Desk(rate=2.3)
    for caller in ("ann", "bob"):
        desk.come(caller, seconds=300.0)
    desk.settle()
    newcomer = desk.come("cid", seconds=5.0)
    assert newcomer in desk.begun


def test_no_more_are_begun_than_have_rows_until_they_are_ahead():
    """However fast the machine is said to be."""
    desk = Desk(rate=100.0, rows=2, max_first_audio_seconds=10.0)
    entrants = [desk.come(str(index)) for index in range(4)]
    assert desk.begun == entrants[:2]
    desk.settle(SETTLED_SECONDS + 0.1)
    desk.admission.proceed()
    assert desk.begun == entrants


def test_a_third_of_those_who_can_be_fed_begin_at_once_for_the_machine_may_be_slower():
    desk = Desk(rate=8.9, max_first_audio_seconds=10.0)
    for index in range(8):
        desk.come(str(index))
    assert len(desk.begun) == 3
    for count in (6, 8):
        desk.settle(SETTLED_SECONDS + 0.1)
        desk.admission.proceed()
        assert len(desk.begun) == count


@pytest.mark.parametrize("rate", [0.9, 1.2, 2.9])
def test_two_may_begin_at_once_wherever_two_can_be_fed(rate):
    desk = Desk(rate=rate)
    entrants = [desk.come(str(index)) for index in range(2)]
    assert desk.begun == entrants[: 1 if rate == 1.2 else 2]


def test_nobody_begins_while_somebody_is_about_to_run_out():
    desk = Desk(rate=100.0)
    first = desk.come("ann", seconds=20.0)
    first.playback.hand_out(PRESSED_SECONDS / 2)
    second = desk.come("bob", seconds=5.0)
    assert desk.begun == [first]
    desk.clock.seconds = PRESSED_SECONDS
    desk.admission.proceed()
    assert desk.begun == [first], "they have run out"
    first.playback.hand_out(2 * PRESSED_SECONDS)
    desk.admission.proceed()
    assert desk.begun == [first, second]
    assert not desk.dismissed


def test_where_nobody_can_be_in_time_nobody_waits_for_that():
    desk = Desk(rate=0.5)
    desk.come("ann", seconds=20.0).playback.hand_out(PRESSED_SECONDS / 2)
    assert desk.come("bob") in desk.begun


def test_who_waits_for_text_keeps_nobody_from_beginning():
    desk = Desk(rate=100.0, rows=2)
    for index in range(2):
        writer = desk.come(str(index))
        writer.playback.hand_out(PRESSED_SECONDS / 2)
        writer.lacks = [lacking()]
    assert desk.come("bob") in desk.begun


@pytest.mark.parametrize("rate", [4.5, 20.0])
def test_who_is_still_prepared_keeps_nobody_from_beginning(rate):
    """Conversions and voices to be encoded have no sound for long, and the machine has nothing to do with that."""
    desk = Desk(rate=rate, max_first_audio_seconds=10.0)
    for index in range(3 if rate == 4.5 else 8):
        desk.come(str(index), seconds=30.0).lacks = [lacking()]
    assert len(desk.begun) == len(desk.admission.running)
    desk.clock.seconds = 8.0
    assert desk.admission.predicted_seconds() == 0.0
    assert desk.come("bob", seconds=3.0) in desk.begun


def test_preparation_is_not_added_to_what_others_wait():
    desk = Desk(rate=1.2, max_first_audio_seconds=10.0)
    desk.come("ann", seconds=1.0).lacks = [lacking()]
    desk.clock.seconds = 8.0
    waiting = desk.come("bob", seconds=1.0)
    assert desk.admission.predicted_seconds() == pytest.approx(1.0 + 1.0)
    desk.clock.seconds = 17.9
    desk.admission.proceed()
    assert desk.admission.waiting == [waiting]


def test_what_was_prepared_is_counted_like_everybody_else_and_only_from_then_on():
    desk = Desk(rate=5.0, max_first_audio_seconds=10.0)
    for caller in ("ann", "bob"):
        desk.come(caller, seconds=30.0).lacks = [lacking(7.0)]
    for entrant in desk.begun:
        entrant.lacks[0].now = False
    desk.clock.seconds = 9.0
    desk.come("cid", seconds=3.0)
    assert len(desk.begun) == 2, "both are without a sound"
    desk.clock.seconds = 12.9
    desk.admission.proceed()
    assert not desk.dismissed, "who waited for 3.9 s may wait for 5.9 s, as the others did for the machine"
    desk.clock.seconds = 13.1
    desk.admission.proceed()
    assert len(desk.dismissed) == 1


def test_who_is_sent_away_for_waiting_comes_no_sooner_than_that_may_be_over():
    """There is sound enough for one more, and two of the others have none yet, nobody knows why."""
    desk = Desk(rate=5.0, max_first_audio_seconds=10.0)
    desk.admission.first_audio_seconds = 0.1
    silent = [desk.come(caller, seconds=3.0) for caller in ("ann", "bob")]
    desk.clock.seconds = 1.0
    desk.come("cid", seconds=3.0)
    desk.clock.seconds = 5.6
    desk.admission.proceed()
    ((_, error),) = desk.dismissed
    assert error.retry_after_seconds == pytest.approx(4.6 + 5.6)
    assert "10.2 s away; ask again in 10 s" in str(error)
    desk.clock.seconds += error.retry_after_seconds
    with pytest.raises(OverloadedError, match=r"16.8 s away; ask again in 16 s") as refused:
        desk.come("cid", seconds=3.0)
    assert refused.value.retry_after_seconds == pytest.approx(15.8)
    for entrant in silent:
        entrant.playback.hand_out(SETTLED_SECONDS + 0.1)
    assert desk.come("cid", seconds=3.0) in desk.begun


def test_who_waited_while_others_nearly_ran_out_is_not_asked_to_come_in_a_second():
    desk = Desk(rate=20.0, max_first_audio_seconds=10.0)
    first = desk.come("ann", seconds=5.0)
    first.playback.hand_out(PRESSED_SECONDS / 2)
    desk.come("bob", seconds=3.0)
    for step in range(1, 102):
        first.playback.hand_out(0.1)
        desk.clock.seconds = 0.1 * step
        desk.admission.proceed()
    ((_, error),) = desk.dismissed
    assert error.retry_after_seconds == pytest.approx(10.1)


def test_a_silence_keeps_nobody_out_who_need_not_wait():
    desk = Desk(rate=20.0, max_first_audio_seconds=10.0)
    desk.come("ann")
    desk.clock.seconds = 30.0
    assert desk.admission.predicted_seconds() == 0.0
    assert desk.come("bob") in desk.begun


def test_who_is_sure_to_come_too_late_is_told_as_soon_as_that_is_sure():
    """Let in by what the machine made, it would be told after ten seconds; but it became ten times as slow."""
    desk = Desk(rate=29.0, rows=4, max_first_audio_seconds=10.0)
    running = [desk.come(str(index), seconds=4.0) for index in range(4)]
    *early, late = (desk.come(str(index), seconds=9.0) for index in range(4, 7))
    desk.rate, desk.clock.seconds = 2.9, 1.0
    for entrant in running:
        entrant.playback.hand_out(1.0)
    desk.admission.proceed()
    assert not desk.dismissed, "it may be for a moment"
    desk.clock.seconds += SURE_SECONDS
    desk.admission.proceed()
    ((dismissed, error),) = desk.dismissed
    assert dismissed is late
    assert desk.admission.waiting == early
    assert error.retry_after_seconds == pytest.approx(4.0 - SURE_SECONDS + 3 * 9.0 - 10.0)


def test_a_first_sound_that_takes_long_counts_for_those_who_wait():
    desk = Desk(rate=1.2, max_first_audio_seconds=10.0)
    first = desk.come("ann", seconds=1.0)
    desk.come("bob", seconds=1.0)
    desk.clock.seconds = 4.0
    desk.admission.proceed()
    assert not desk.dismissed, "another second, and four more"
    for desk.clock.seconds in (4.6, 5.0):
        assert not desk.dismissed
        desk.admission.proceed()
    assert len(desk.dismissed) == 1, "who waited for 4.6 s would wait for another second, and 4.6 s as ann does"
    assert first in desk.begun


def test_one_caller_leaves_room_for_another():
    desk = Desk(rate=11.0, max_first_audio_seconds=10.0)
    for _ in range(9):
        desk.come("ann", seconds=300.0)
        desk.settle(2.0)
    with pytest.raises(OverloadedError):
        desk.come("ann", seconds=300.0)
    assert len(desk.begun) == 9, "of ten that can be fed"
    other = desk.come("bob", seconds=300.0)
    assert other in desk.begun


@pytest.mark.parametrize(("rate", "own"), [(1.2, 1), (2.3, 2), (3.9, 2), (5.6, 4)])
def test_room_for_another_is_kept_wherever_three_can_be_fed(rate, own):
    desk = Desk(rate=rate, max_first_audio_seconds=10_000.0)
    for _ in range(6):
        desk.come("ann", seconds=300.0)
        desk.settle(SETTLED_SECONDS + 0.1)
    assert len(desk.begun) == own
    other = desk.come("bob", seconds=300.0)
    assert (other in desk.begun) == (rate > 3)


def test_whose_caller_is_served_least_comes_first():
    desk = Desk(rate=1.2)
    first = desk.come("ann", seconds=3.0)
    again, other = desk.come("ann", seconds=3.0), desk.come("bob", seconds=3.0)
    desk.admission.leave(first)
    assert desk.begun == [first, again], "both have nothing now, and this one came first"
    desk.admission.leave(again)
    assert desk.begun[-1] is other


def test_nobody_who_was_let_in_waits_longer_than_the_limit():
    desk = Desk(rate=1.2, max_first_audio_seconds=10.0)
    desk.come("ann", seconds=8.0)
    desk.settle(0.1)
    late = desk.come("bob", seconds=30.0)
    desk.clock.seconds = 10.1
    desk.admission.proceed()
    (dismissed, error) = desk.dismissed[0]
    assert dismissed is late
    assert isinstance(error, OverloadedError)
    assert error.retry_after_seconds == pytest.approx(8.0 + 30.0 - 10.0)
    assert "38.0 s away; ask again in 28 s" in str(error)
    assert desk.admission.waiting == []


def test_who_leaves_while_waiting_is_forgotten():
    desk = Desk(rate=1.2)
    desk.come("ann", seconds=8.0)
    gone = desk.come("bob", seconds=3.0, cancelled=True)
    desk.admission.proceed()
    assert desk.dismissed == [(gone, None)]
    assert desk.admission.streams == 1


def test_there_are_no_more_than_the_limit_says():
    desk = Desk(rate=100.0, max_streams=2)
    desk.come("ann")
    desk.come("bob")
    with pytest.raises(OverloadedError, match="2 requests run or wait"):
        desk.come("cid")


def test_a_machine_that_cannot_feed_one_takes_as_many_as_it_has_rows():
    desk = Desk(rate=0.5, rows=2, max_first_audio_seconds=100.0)
    entrants = [desk.come(str(index), seconds=5.0) for index in range(3)]
    assert desk.begun == entrants[:2]


def test_the_first_sound_is_learned_from_those_who_did_not_wait():
    desk = Desk(rate=1.2)
    first, waited = desk.come("ann", seconds=2.0), desk.come("bob", seconds=2.0)
    desk.admission.leave(first, 0.5)
    assert desk.admission.first_audio_seconds == pytest.approx(0.1)
    desk.admission.leave(waited, 9.0)
    assert desk.admission.first_audio_seconds == pytest.approx(0.1)


def test_who_cannot_begin_is_told_and_takes_no_place():
    desk = Desk(rate=1.2)
    first = desk.come("ann")
    broken, next_one = desk.come("bob"), desk.come("cid")
    problem = RuntimeError("can't start new thread")

    def begin():
        raise problem

    broken.begin = begin
    desk.admission.leave(first)
    assert desk.dismissed == [(broken, problem)]
    assert (desk.admission.running, desk.admission.waiting) == ([next_one], [])


@pytest.mark.parametrize(
    ("text", "speed", "seconds"),
    [
        ("", 1.0, 0.0),
        ("a" * 100, 1.0, 8.0),
        ("a" * 100, 2.0, 4.0),
        ("1234567890", 1.0, 2.4),
        ("你好世界" * 5, 1.0, 4.8),
    ],
)
def test_what_a_text_lasts_follows_its_characters(text, speed, seconds):
    assert expected_seconds(text, speed) == pytest.approx(seconds)
