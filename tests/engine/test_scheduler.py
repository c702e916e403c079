from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from parlando.core.errors import ConfigError, EngineBusyError
from parlando.core.types import Prompt
from parlando.engine.scheduler import Plan, Policy, Scheduler, Slot


class Request:
    """As much of a session as the scheduler looks at."""

    def __init__(self, name="", positions=10, of_the_voice=0):
        self.name = name
        self.prompt = Prompt(
            (0,) * positions, np.zeros(positions, bool), np.zeros((0, 1)), voice_positions=of_the_voice
        )
        self.over = self.awaiting = self.resting = False
        self.playback, self.frame_count, self.finish, self.parked = None, 0, "end", None

    def __repr__(self):
        return self.name


def test_scheduling_needs_no_torch():
    program = "import sys, parlando.engine.scheduler; assert 'torch' not in sys.modules; print('light')"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert result.stdout.strip() == "light", result.stderr


def test_newcomers_are_prefilled_a_few_per_turn_and_step_in_the_same_turn():
    scheduler = Scheduler(3, Policy(prefills_per_turn=2))
    a, b, c, d = (Request(name) for name in "abcd")
    for request in (a, b, c, d):
        scheduler.add(request)
    assert scheduler.plan() == Plan((), (Slot(0, a), Slot(1, b)), (Slot(0, a), Slot(1, b)))
    assert scheduler.plan() == Plan((), (Slot(2, c),), (Slot(0, a), Slot(1, b), Slot(2, c)))
    assert scheduler.plan() == Plan((), (), (Slot(0, a), Slot(1, b), Slot(2, c)))
    b.awaiting = True
    assert scheduler.plan() == Plan((), (), (Slot(0, a), Slot(2, c))), "who waits for outside input keeps its row, idle"
    assert scheduler.sessions == (a, b, c, d)
    assert (scheduler.waiting, scheduler.free_rows) == (1, 0)


def test_newcomers_come_along_while_their_prompts_are_short_enough_for_one_pass():
    scheduler = Scheduler(4, Policy(), joined_positions=30)
    a, b, long, d, e = (Request(*each) for each in (("a",), ("b", 30, 20), ("long", 11), ("d",), ("e",)))
    for request in (a, b, long, d, e):
        scheduler.add(request)
    assert [slot.session for slot in scheduler.plan().entries] == [a, long]
    assert [slot.session for slot in scheduler.plan().entries] == [b], "its voice may be unread, so it counts, too"
    assert [slot.session for slot in scheduler.plan().entries] == [d]


def test_one_newcomer_is_read_however_long_its_prompt():
    scheduler = Scheduler(2, Policy(), joined_positions=30)
    long = Request("long", 100)
    scheduler.add(long)
    assert [slot.session for slot in scheduler.plan().entries] == [long]


def test_a_row_that_comes_free_goes_to_the_first_in_the_queue():
    scheduler = Scheduler(2, Policy())
    a, b, c, d = (Request(name) for name in "abcd")
    for request in (a, b, c, d):
        scheduler.add(request)
    scheduler.plan()
    scheduler.plan()
    a.over = c.over = True
    assert scheduler.release() == (Slot(0, a),)
    assert scheduler.drop() == (c,)
    assert scheduler.plan() == Plan((), (Slot(0, d),), (Slot(0, d), Slot(1, b)))


def test_no_work_is_a_false_plan_that_cannot_be_changed():
    plan = Scheduler(1, Policy()).plan()
    assert not plan
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.steps = ()


def test_a_full_queue_refuses_and_says_how_full():
    scheduler = Scheduler(1, Policy(max_waiting=1))
    scheduler.add(Request())
    scheduler.add(Request())
    with pytest.raises(EngineBusyError, match="0 requests run and 2 wait; try again later"):
        scheduler.add(Request())
    scheduler.plan()
    with pytest.raises(EngineBusyError, match="1 requests run and 1 wait"):
        scheduler.add(Request())


def test_without_a_queue_only_free_rows_accept():
    scheduler = Scheduler(1, Policy(max_waiting=0))
    scheduler.add(Request())
    with pytest.raises(EngineBusyError):
        scheduler.add(Request())


@pytest.mark.parametrize("values", [{"prefills_per_turn": 0}, {"max_waiting": -1}])
def test_an_impossible_policy_is_refused(values):
    with pytest.raises(ConfigError, match="prefills_per_turn must be at least 1"):
        Policy(**values)


class SchedulerMachine(RuleBasedStateMachine):
    """Any order of arrivals, turns, ends and cancellations."""

    ROWS, WAITING, PREFILLS = 3, 4, 2

    def __init__(self):
        super().__init__()
        self.scheduler = Scheduler(self.ROWS, Policy(self.PREFILLS, self.WAITING))
        self.queue, self.placed = [], {}

    @rule()
    def arrive(self):
        request = Request()
        if len(self.queue) < self.WAITING + self.ROWS - len(self.placed):
            self.scheduler.add(request)
            self.queue.append(request)
        else:
            with pytest.raises(EngineBusyError):
                self.scheduler.add(request)

    @rule()
    def turn(self):
        free = sorted(set(range(self.ROWS)) - set(self.placed))
        plan = self.scheduler.plan()
        admitted = list(zip(free, self.queue, strict=False))[: self.PREFILLS]
        assert list(plan.entries) == admitted, "first come, first served, lowest row first, a few at a time"
        del self.queue[: len(admitted)]
        self.placed.update(admitted)
        assert list(plan.steps) == sorted(self.placed.items()), "whoever has a row steps every turn"

    @precondition(lambda self: self.queue or self.placed)
    @rule(data=st.data())
    def leave(self, data):
        request = data.draw(st.sampled_from([*self.queue, *self.placed.values()]))
        request.over = True
        rows = [row for row, placed in self.placed.items() if placed is request]
        assert [slot.row for slot in self.scheduler.release()] == rows
        assert list(self.scheduler.drop()) == [waiting for waiting in self.queue if waiting is request]
        self.queue = [waiting for waiting in self.queue if waiting is not request]
        self.placed = {row: placed for row, placed in self.placed.items() if placed is not request}

    @invariant()
    def rows_add_up(self):
        assert self.scheduler.free_rows + len(self.placed) == self.ROWS
        assert list(self.scheduler.sessions) == [placed for _, placed in sorted(self.placed.items())] + self.queue


SchedulerMachine.TestCase.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
TestSchedulerMachine = SchedulerMachine.TestCase
