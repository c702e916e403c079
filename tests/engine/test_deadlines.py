"""The policy on a machine of arithmetic: a clock, a step that costs so much per row, and listeners that play."""

from __future__ import annotations

import random
from itertools import count

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parlando.core.types import Prompt
from parlando.engine.chunking import Chunker, HopSchedule
from parlando.engine.demand import can_feed
from parlando.engine.playback import NEWCOMER_SECONDS, Playback
from parlando.engine.scheduler import Policy, Scheduler
from parlando.engine.urgency import RECENT_TURNS, Costs, Turn, lead_seconds

FRAME_SECONDS = 0.04


class Speaker:
    """One request of some sentences: what the scheduler sees of a session, and what a listener hears."""

    names = count()

    def __init__(self, clock, sentences, listens=True):
        self.clock, self.sentences = clock, list(sentences)
        self.playback = Playback(clock=clock) if listens else None
        self.name, self.asked_seconds = next(self.names), clock.seconds
        self.first_seconds, self.underrun_seconds = None, 0.0
        self.finish = None
        self.begin()

    def __repr__(self):
        return f"speaker {self.name}"

    def begin(self):
        self.session = Session(self)
        if self.playback is not None:
            self.playback.begin_sentence()
        self.chunker = Chunker(HopSchedule(), self.playback, FRAME_SECONDS)

    def frame(self):
        self.session.frame_count += 1
        last = self.session.frame_count == self.sentences[0]
        if frames := self.chunker.push(None) or (last and self.chunker.flush()):
            self.hear(len(frames))
        if last:
            self.session.finish = "end"

    def hear(self, frames):
        if self.first_seconds is None:
            self.first_seconds = self.clock.seconds - self.asked_seconds
        if self.playback is not None:
            if self.playback.begun:
                self.underrun_seconds += max(0.0, -self.playback.lead_seconds)
            self.playback.decoded(frames, 0.0)
            self.playback.hand_out(frames * FRAME_SECONDS)


class Session:
    awaiting = resting = False
    parked = None
    prompt = Prompt((0,), np.zeros(1, bool), np.zeros((0, 1)))

    def __init__(self, speaker):
        self.speaker, self.playback = speaker, speaker.playback
        self.frame_count, self.finish = 0, None

    @property
    def over(self):
        return self.finish is not None


class Clock:
    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds


class Machine:
    """``step_seconds`` of a step before its rows, ``row_seconds`` for each of them."""

    def __init__(self, rows, policy, step_seconds, row_seconds, prefill_seconds=0.01):
        self.clock = Clock()
        self.rows, self.step_seconds, self.row_seconds = rows, step_seconds, row_seconds
        self.prefill_seconds = prefill_seconds
        self.scheduler = Scheduler(rows, policy)
        self.arrivals, self.done, self.rested, self.most_rested = [], [], {}, 0
        self.parked = 0

    def arrive(self, at_seconds, sentences, listens=True):
        self.arrivals.append((at_seconds, sentences, listens))

    def run(self):
        self.arrivals.sort(key=lambda arrival: arrival[0])
        open_speakers, idle = [], 0
        while self.arrivals or open_speakers:
            while self.arrivals and self.arrivals[0][0] <= self.clock.seconds:
                _, sentences, listens = self.arrivals.pop(0)
                open_speakers.append(Speaker(self.clock, sentences, listens))
                self.scheduler.add(open_speakers[-1].session)
            if not self.turn():
                idle += 1
                assert idle < 10_000, "nobody is ever served"
                self.clock.seconds += 0.005
            for speaker in [each for each in open_speakers if each.session.over]:
                del speaker.sentences[0]
                if speaker.sentences:
                    speaker.begin()
                    self.scheduler.add(speaker.session)
                else:
                    open_speakers.remove(speaker)
                    self.done.append(speaker)
        self.scheduler.release()
        assert self.scheduler.free_rows == self.rows, "every row comes back"
        return self.done

    def turn(self):
        self.scheduler.release()
        plan = self.scheduler.plan()
        assert all(slot in plan.steps for slot in plan.entries), "who was given a row is stepped"
        for _, session in plan.parks:
            session.parked = session.frame_count
            self.parked += 1
        prefills = 0
        for _, session in plan.entries:
            assert session.parked in (None, session.frame_count), "nothing was made of it meanwhile"
            prefills += session.parked is None
            session.parked = None
        self.note_rests(plan)
        if plan.steps:
            batch = len(plan.steps)
            prefill_seconds = self.prefill_seconds * prefills
            seconds = prefill_seconds + self.step_seconds + self.row_seconds * batch
            self.clock.seconds += seconds
            self.scheduler.costs.learn(Turn(prefills, batch, batch, seconds, prefill_seconds))
        for _, session in plan.steps:
            session.speaker.frame()
        return bool(plan)

    def note_rests(self, plan):
        stepping = {session.speaker for _, session in plan.steps}
        running = self.scheduler.sessions[: len(self.scheduler.sessions) - self.scheduler.waiting]
        for speaker in {session.speaker for session in running}:
            self.rested[speaker] = 0 if speaker in stepping else self.rested.get(speaker, 0) + 1
            self.most_rested = max(self.most_rested, self.rested[speaker])


def test_who_comes_behind_long_texts_has_the_row_of_somebody_who_is_ahead():
    """Eight who are told five minutes each, and a ninth: without lending, the ninth waits until one of them is over."""
    machine = Machine(8, Policy(frame_seconds=FRAME_SECONDS), step_seconds=0.004, row_seconds=0.0005)
    for _ in range(8):
        machine.arrive(0.0, [120] * 60)
    machine.arrive(4.0, [100])
    *_, ninth = sorted(machine.run(), key=lambda speaker: speaker.asked_seconds)
    assert ninth.first_seconds < 0.5
    assert machine.parked > 0
    assert sum(speaker.underrun_seconds for speaker in machine.done) == 0.0


def test_more_listeners_than_rows_share_them_without_a_gap():
    machine = Machine(2, Policy(frame_seconds=FRAME_SECONDS), step_seconds=0.003, row_seconds=0.0005)
    for index in range(5):
        machine.arrive(index * 0.5, [200, 150])
    assert sum(speaker.underrun_seconds for speaker in machine.run()) == 0.0
    assert machine.parked > 0


def test_who_takes_no_more_sound_lends_the_row_first():
    clock = Clock()
    scheduler = Scheduler(2, Policy(prefills_per_turn=3, frame_seconds=FRAME_SECONDS))
    reading, stalled, newcomer = (Speaker(clock, [99]) for _ in range(3))
    for speaker, lead in ((reading, 5.0), (stalled, 0.4)):
        speaker.playback.hand_out(lead)
        scheduler.add(speaker.session)
    scheduler.plan()
    stalled.playback.hold()
    scheduler.add(newcomer.session)
    plan = scheduler.plan()
    assert [slot.session for slot in plan.parks] == [stalled.session]
    assert [slot.session for slot in plan.entries] == [newcomer.session]
    assert scheduler.waiting == 1
    clock.seconds = 3.0
    stalled.playback.go_on()
    assert stalled.playback.lead_seconds == pytest.approx(0.4), "what was not played meanwhile is still ahead"


def test_who_waits_for_text_lends_the_row_too():
    clock = Clock()
    scheduler = Scheduler(1, Policy(frame_seconds=FRAME_SECONDS))
    waiting, newcomer = Speaker(clock, [99]), Speaker(clock, [99])
    scheduler.add(waiting.session)
    scheduler.plan()
    waiting.session.awaiting = True
    scheduler.add(newcomer.session)
    assert [slot.session for slot in scheduler.plan().parks] == [waiting.session]


def test_nobody_whom_nobody_listens_to_takes_a_row_from_anybody():
    clock = Clock()
    scheduler = Scheduler(1, Policy(frame_seconds=FRAME_SECONDS))
    ahead, unheard = Speaker(clock, [99]), Speaker(clock, [99], listens=False)
    ahead.playback.hand_out(60.0)
    scheduler.add(ahead.session)
    scheduler.plan()
    scheduler.add(unheard.session)
    assert not scheduler.plan().parks


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    rows=st.integers(1, 8),
    row_seconds=st.floats(0.0005, 0.03),
    unheard=st.integers(0, 3),
)
def test_whatever_comes_everybody_is_served_and_rests_are_bounded(seed, rows, row_seconds, unheard):
    policy = Policy(frame_seconds=FRAME_SECONDS, max_waiting=99, most_rests=5)
    machine, chance = Machine(rows, policy, 0.004, row_seconds), random.Random(seed)
    for _ in range(8):
        sentences = [chance.randint(1, 60) for _ in range(chance.randint(1, 3))]
        machine.arrive(chance.uniform(0, 3), sentences)
    for _ in range(unheard):
        machine.arrive(chance.uniform(0, 3), [chance.randint(1, 60)], listens=False)
    done = machine.run()
    assert len(done) == 8 + unheard
    assert machine.most_rested <= 5


def test_who_is_in_the_middle_goes_before_newcomers_and_is_never_refused():
    clock = Clock()
    scheduler = Scheduler(1, Policy(max_waiting=1, frame_seconds=FRAME_SECONDS))
    newcomer, other, speaking = (Speaker(clock, [9, 9]) for _ in range(3))
    speaking.playback.hand_out(0.2)
    for speaker in (newcomer, other, speaking):
        scheduler.add(speaker.session)
    assert [slot.session for slot in scheduler.plan().entries] == [speaking.session]


def test_only_what_a_step_in_real_time_has_room_for_steps_when_somebody_is_pressed():
    clock = Clock()
    scheduler = Scheduler(4, Policy(prefills_per_turn=4, frame_seconds=FRAME_SECONDS, most_rests=2))
    speakers = [Speaker(clock, [99]) for _ in range(4)]
    for batch in range(1, 5):
        scheduler.costs.learn(Turn(0, batch, batch, batch * 0.015))
    for speaker, lead in zip(speakers, (9.0, 0.5, 7.0, 8.0), strict=True):
        speaker.playback.hand_out(lead)
        scheduler.add(speaker.session)
    assert len(scheduler.plan().steps) == 4, "who was just prefilled steps"
    for _ in range(2):
        stepping = {slot.session.speaker for slot in scheduler.plan().steps}
        assert stepping == {speakers[1], speakers[2]}, "the pressed one, and the next that is due"
    assert len(scheduler.plan().steps) == 4, "two rests are enough"
    speakers[1].playback.hand_out(9.0)
    assert len(scheduler.plan().steps) == 4, "nobody is pressed"


def test_the_sound_that_is_made_is_that_of_the_last_steps():
    costs = Costs(FRAME_SECONDS)
    assert costs.sound_rate == float("inf")
    for _ in range(200):
        costs.learn(Turn(prefills=1, batch=4, frames=5, seconds=0.10, prefill_seconds=0.02))
    assert costs.sound_rate == pytest.approx(4 * FRAME_SECONDS / 0.10)
    assert costs.prefill_seconds == pytest.approx(0.02)


def test_the_largest_batch_says_how_much_sound_can_be_made():
    costs = Costs(FRAME_SECONDS)
    costs.learn(Turn(0, 8, 8, 0.016))
    costs.learn(Turn(0, 1, 1, 0.002))
    assert costs.sound_rate == pytest.approx(8 * FRAME_SECONDS / 0.016)


@pytest.mark.parametrize("slower", [0.25, 1.0, 5.0])
def test_smaller_batches_say_how_fast_the_machine_is_by_now(slower):
    costs = Costs(FRAME_SECONDS)
    for _ in range(50):
        costs.learn(Turn(0, 8, 8, 0.016))
        costs.learn(Turn(0, 1, 1, 0.004))
    for _ in range(RECENT_TURNS):
        costs.learn(Turn(0, 1, 1, 0.004))
    for _ in range(50):
        costs.learn(Turn(0, 1, 1, 0.004 * slower))
        costs.learn(Turn(0, 2, 2, 0.006 * slower))
    assert costs.sound_rate == pytest.approx(8 * FRAME_SECONDS / 0.016 / slower, rel=0.01)
    for _ in range(200):
        costs.learn(Turn(0, 8, 8, 0.032))
    assert costs.sound_rate == pytest.approx(8 * FRAME_SECONDS / 0.032, rel=0.01)


def listener(lead, remaining):
    playback = Playback(Clock(), lead + remaining)
    playback.hand_out(lead)
    playback.over = not remaining
    return playback


@pytest.mark.parametrize(
    ("listeners", "rate", "enough"),
    [
        ([], 0.1, True),
        ([(0.0, 9.0)], 1.0, True),
        ([(0.0, 9.0)], 0.9, False),
        ([(0.0, 9.0), (9.0, 9.0)], 1.0, True),
        ([(0.0, 9.0), (8.0, 9.0)], 1.0, False),
        ([(0.0, 1.0), (0.0, 1.0), (9.0, 90.0)], 2.0, True),
        ([(60.0, float("inf")), (90.0, float("inf"))], 1.5, False),
        ([(60.0, float("inf")), (90.0, float("inf"))], 2.0, True),
        ([(1.0, 0.0)] * 9, 0.1, True),
    ],
)
def test_what_is_made_must_suffice_at_every_moment(listeners, rate, enough):
    assert can_feed([listener(*each) for each in listeners], rate) is enough


def test_who_takes_no_more_sound_needs_none():
    playback = listener(1.0, 9.0)
    playback.hold()
    assert can_feed([playback], 0.1)


def test_leads_count_what_was_made_and_not_decoded():
    clock = Clock()
    speaker, unheard = Speaker(clock, [99]), Speaker(clock, [99], listens=False)
    assert lead_seconds(speaker.session, FRAME_SECONDS) == NEWCOMER_SECONDS
    assert lead_seconds(unheard.session, FRAME_SECONDS) == float("inf")
    speaker.playback.hand_out(1.0)
    speaker.session.frame_count = 10
    assert lead_seconds(speaker.session, FRAME_SECONDS) == pytest.approx(1.4)


def test_costs_of_batches_that_were_never_seen_are_hoped_to_fit():
    costs = Costs(FRAME_SECONDS)
    assert costs.largest_batch(8, 0.04) == 8
    costs.learn(Turn(0, 8, 8, 0.05))
    assert costs.largest_batch(8, 0.04) == 7
    for _ in range(9):
        costs.learn(Turn(0, 8, 8, 0.0))
    assert costs.largest_batch(8, 0.04) == 8
