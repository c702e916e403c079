"""The policy on a machine of arithmetic: a clock, a step that costs so much per row, and listeners that play."""

from __future__ import annotations

import random
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parlando.engine.chunking import Chunker, HopSchedule
from parlando.engine.playback import Playback
from parlando.engine.scheduler import Policy, Scheduler
from parlando.engine.urgency import Costs, Turn, decoding_rate, lead_seconds

FRAME_SECONDS = 0.04


class Speaker:
    """One request of some sentences: what the scheduler sees of a session, and what a listener hears."""

    names = count()

    def __init__(self, clock, sentences, listens=True):
        self.clock, self.sentences = clock, list(sentences)
        self.playback = Playback(clock=clock) if listens else None
        self.name, self.asked_seconds = next(self.names), clock.seconds
        self.first_seconds, self.underrun_seconds, self.taken_rows = None, 0.0, []
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
    awaiting = False

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
        self.scheduler = Scheduler(rows, policy, self.clock)
        self.arrivals, self.done, self.rested, self.most_rested = [], [], {}, 0

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
                    if speaker.playback is not None:
                        speaker.playback.close()
        self.scheduler.release()
        assert self.scheduler.free_rows == self.rows, "every row comes back"
        return self.done

    def turn(self):
        self.scheduler.release()
        plan = self.scheduler.plan()
        assert all(seat in plan.steps for seat in plan.prefills), "who was prefilled is stepped"
        for row, session in plan.prefills:
            session.speaker.taken_rows.append(row)
        self.note_rests(plan)
        if plan.steps:
            prefills, batch = len(plan.prefills), len(plan.steps)
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


def test_admitted_listeners_never_run_out_on_a_machine_that_cannot_feed_all():
    """Five of these streams can be fed, twelve come at once; the old order, everybody who fits, makes all stutter."""
    heard = {}
    for name, policy in {
        "deadlines": Policy(frame_seconds=FRAME_SECONDS, max_waiting=99),
        "everybody": Policy(frame_seconds=FRAME_SECONDS, max_waiting=99, margin=1e-9),
    }.items():
        machine = Machine(8, policy, step_seconds=0.005, row_seconds=0.006)
        machine.arrive(0.0, [100])
        for index in range(12):
            machine.arrive(2.0 + index / 1000, [150, 50])
        heard[name] = machine.run()
    assert sum(speaker.underrun_seconds for speaker in heard["deadlines"]) == 0.0
    assert max(speaker.underrun_seconds for speaker in heard["everybody"]) > 1.0


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


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), row_seconds=st.floats(0.001, 0.006))
def test_a_request_keeps_its_row_from_sentence_to_sentence(seed, row_seconds):
    policy = Policy(frame_seconds=FRAME_SECONDS, max_waiting=99)
    machine, chance = Machine(3, policy, 0.004, row_seconds), random.Random(seed)
    for _ in range(10):
        machine.arrive(chance.uniform(0, 1), [chance.randint(5, 40) for _ in range(3)])
    for speaker in machine.run():
        assert len(set(speaker.taken_rows)) == 1
        assert speaker.underrun_seconds == 0.0


def test_a_row_is_kept_for_a_while_and_only_for_who_may_say_more():
    clock = Clock()
    scheduler = Scheduler(1, Policy(keep_seconds=1.0, frame_seconds=FRAME_SECONDS), clock)
    first, second = Speaker(clock, [1]), Speaker(clock, [1])
    scheduler.add(first.session)
    assert [seat.session for seat in scheduler.plan().steps] == [first.session]
    first.frame()
    scheduler.release()
    scheduler.add(second.session)
    assert not scheduler.plan(), "the row is the first one's"
    assert scheduler.free_rows == 0
    clock.seconds = 0.9
    scheduler.release()
    assert not scheduler.plan()
    clock.seconds = 1.0
    scheduler.release()
    assert [seat.session for seat in scheduler.plan().prefills] == [second.session]
    second.frame()
    second.playback.close()
    scheduler.release()
    assert scheduler.free_rows == 1, "who has nothing more to say keeps nothing"


def test_who_is_in_the_middle_goes_before_newcomers_and_is_never_refused():
    clock = Clock()
    scheduler = Scheduler(1, Policy(max_waiting=1, frame_seconds=FRAME_SECONDS), clock)
    newcomer, other, speaking = (Speaker(clock, [9, 9]) for _ in range(3))
    speaking.playback.hand_out(0.3)
    for speaker in (newcomer, other, speaking):
        scheduler.add(speaker.session)
    assert [seat.session for seat in scheduler.plan().prefills] == [speaking.session]


def test_only_what_a_step_in_real_time_has_room_for_steps_when_somebody_is_pressed():
    clock = Clock()
    scheduler = Scheduler(4, Policy(prefills_per_turn=4, frame_seconds=FRAME_SECONDS, most_rests=2), clock)
    speakers = [Speaker(clock, [99]) for _ in range(4)]
    for batch in range(1, 5):
        scheduler.costs.learn(Turn(0, batch, batch, batch * 0.015))
    for speaker, lead in zip(speakers, (9.0, 0.5, 7.0, 8.0), strict=True):
        speaker.playback.hand_out(lead)
        scheduler.add(speaker.session)
    assert len(scheduler.plan().steps) == 4, "who was just prefilled steps"
    for _ in range(2):
        stepping = {seat.session.speaker for seat in scheduler.plan().steps}
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


def test_decoding_is_as_fast_as_its_threads():
    clock = Clock()
    assert decoding_rate([Playback(clock=clock)], FRAME_SECONDS, 2) == float("inf")
    playback = Playback(clock=clock)
    playback.decoded(10, 0.1)
    assert decoding_rate([playback, Playback(clock=clock)], FRAME_SECONDS, 2) == pytest.approx(8.0)


def test_a_machine_that_cannot_feed_one_listener_is_not_held_back():
    machine = Machine(4, Policy(frame_seconds=FRAME_SECONDS), step_seconds=0.1, row_seconds=0.0)
    for _ in range(8):
        machine.arrive(0.0, [20])
    machine.run()
    assert machine.clock.seconds < 8 * 20 * 0.1 / 3, "they share their steps"
    assert machine.scheduler.streams == 4


def test_leads_count_what_was_made_and_not_decoded():
    clock = Clock()
    speaker, unheard = Speaker(clock, [99]), Speaker(clock, [99], listens=False)
    assert lead_seconds(speaker.session, FRAME_SECONDS) == float("-inf")
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
