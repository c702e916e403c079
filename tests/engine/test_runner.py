from __future__ import annotations

import pytest

from parlando.engine.runner import FailureScope, Runner, last_frames
from parlando.engine.scheduler import Plan, Slot
from parlando.engine.session import Session
from parlando.engine.urgency import Turn


def slot(fake, row, **sampler):
    return Slot(row, Session(row, fake.prompt(row), fake.Sampler(row, **sampler), 99, lambda _: None))


def test_one_turn_prefills_and_then_steps_everybody(fake):
    lm = fake.LM()
    runner = Runner(lm, rows=4, length=20)
    old, new = slot(fake, 2), slot(fake, 0)
    first = runner.run(Plan((), (old,), (old,)))
    second = runner.run(Plan((), (new,), (new, old)))
    assert lm.calls == [("prefill", 2), ("step", (2,)), ("prefill", 0), ("step", (0, 2))]
    assert (first.prefills, first.batch, first.frames) == (1, 1, 2)
    assert (second.prefills, second.batch, second.frames) == (1, 2, 3)
    assert lm.cache.length(1) == lm.cache.length(3) == 0
    runner.free(2)
    assert lm.cache.length(2) == 0


def test_idle_rows_between_are_fed_nothing(fake):
    slots = [slot(fake, 1), slot(fake, 3)]
    runner = Runner(fake.LM(), rows=4, length=20)
    runner.run(Plan(tuple(slots), ()))
    assert last_frames(slots) == [None, slots[0].session.last_frame, None, slots[1].session.last_frame]


def test_nobody_left_after_the_prefill_means_no_step(fake):
    lm = fake.LM()
    short = slot(fake, 0, frames=0)
    turn = Runner(lm, rows=1, length=20).run(Plan((), (short,), (short,)))
    assert turn == Turn(prefills=1, batch=0, frames=0, seconds=turn.seconds, prefill_seconds=turn.prefill_seconds)
    assert lm.calls == [("prefill", 0)]
    assert short.session.finish == "end"


def test_isolation_keeps_failures_and_lets_interrupts_through(fake):
    kept, stopped = slot(fake, 0).session, slot(fake, 1).session
    with FailureScope(kept):
        raise ValueError("mine")
    with pytest.raises(KeyboardInterrupt), FailureScope(stopped):
        raise KeyboardInterrupt
    assert (kept.finish, stopped.finish) == ("failed", "failed")


def test_a_parked_session_goes_on_in_another_row_as_if_nothing_had_been(fake):
    lm = fake.LM()
    runner = Runner(lm, rows=2, length=20)
    lent, guest = slot(fake, 0), slot(fake, 0)
    runner.run(Plan((), (lent,), (lent,)))
    runner.run(Plan((lent,), (guest,), (guest,)))
    assert lent.session.parked
    back = Slot(1, lent.session)
    runner.run(Plan((), (back,), (guest, back)))
    assert lent.session.parked is None
    runner.run(Plan((), (), (guest, back)))
    wanted = fake.frames_alone(lent.session.prompt, fake.Sampler(0))
    made = [lent.session._frames[index] for index in range(lent.session.frame_count)]
    assert made == wanted[: len(made)]
    assert len(made) == 4
