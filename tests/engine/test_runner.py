from __future__ import annotations

from dataclasses import replace

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


def test_newcomers_of_a_turn_are_read_in_one_pass(fake):
    lm = fake.JoiningLM()
    slots = tuple(slot(fake, row) for row in (0, 2))
    turn = Runner(lm, rows=3, length=20).run(Plan((), slots, slots))
    assert [call for call in lm.calls if call[0] != "prefill"] == [("prefill_all", (0, 2)), ("step", (0, 2))]
    assert (turn.prefills, turn.frames) == (2, 4)
    assert [each.session.timings.prefill_seconds is not None for each in slots] == [True, True]
    for each in slots:
        made = [each.session._frames[index] for index in range(2)]
        assert made == fake.frames_alone(each.session.prompt, fake.Sampler(each.row))[:2]


def test_a_newcomer_by_itself_and_a_model_that_does_not_join_are_read_as_ever(fake):
    joining, apart = fake.JoiningLM(), fake.JoiningLM()
    apart.joins_prompts = False
    one, two = (slot(fake, 0),), (slot(fake, 0), slot(fake, 1))
    for lm, slots in ((joining, one), (apart, two)):
        runner = Runner(lm, rows=2, length=20)
        assert runner.joins_prompts == lm.joins_prompts
        runner.run(Plan((), slots, slots))
        assert [name for name, _ in lm.calls] == ["prefill"] * len(slots) + ["step"]


def test_a_prompt_that_fails_among_others_ends_its_own_session_alone(fake):
    lm = fake.JoiningLM()
    voice = {"voice_positions": 9}
    good, bad, cloned = (
        Slot(row, Session(row, replace(fake.prompt(row, 12, sentence), **more), fake.Sampler(row), 99, lambda _: None))
        for row, (sentence, more) in enumerate((("", {}), ("broken", {}), ("", voice)))
    )
    Runner(lm, rows=3, length=20).run(Plan((), (good, bad, cloned), (good, bad, cloned)))
    assert (good.session.finish, bad.session.finish, cloned.session.finish) == (None, "failed", None)
    assert lm.calls[-1] == ("step", (0, 2))
    for each in (good, cloned):
        made = [each.session._frames[index] for index in range(2)]
        assert made == fake.frames_alone(each.session.prompt, fake.Sampler(each.row))[:2]


def test_nothing_is_read_when_no_newcomer_can_begin(fake):
    lm = fake.JoiningLM()
    slots = tuple(
        Slot(
            row, Session(row, replace(fake.prompt(row, 12, "broken"), voice_positions=9), fake.Sampler(row), 99, print)
        )
        for row in range(2)
    )
    Runner(lm, rows=2, length=20).run(Plan((), slots, slots))
    assert [each.session.finish for each in slots] == ["failed", "failed"]
    assert "prefill_all" not in [name for name, _ in lm.calls]
