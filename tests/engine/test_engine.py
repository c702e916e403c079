from __future__ import annotations

import random
import threading
import time
from collections import deque
from itertools import islice
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from parlando.core.errors import (
    CancelledError,
    ConfigError,
    EngineBusyError,
    EngineClosedError,
    GenerationError,
    PromptTooLongError,
)
from parlando.core.types import Frame
from parlando.engine.engine import Engine
from parlando.engine.scheduler import Policy
from waiting import HANG_SECONDS, wait_until


@pytest.fixture
def lm(fake):
    return fake.LM()


@pytest.fixture
def engine(lm):
    """Two rows of 40 positions; afterwards nothing may be left in it."""
    with Engine(lm, rows=2, length=40) as engine:
        yield engine
        assert engine.free_rows == 2
        assert engine.metrics().running == engine.metrics().waiting == 0
        assert all(not row for row in lm.cache.rows)


def submit(engine, fake, seed, frames=5, **sampler):
    return engine.submit(fake.prompt(seed), fake.Sampler(seed, frames, **sampler))


def alone(fake, seed, frames=5):
    return fake.frames_alone(fake.prompt(seed), fake.Sampler(seed, frames))


def test_one_session_is_the_plain_loop(engine, fake):
    session = submit(engine, fake, 1)
    assert list(session) == alone(fake, 1)
    assert session.finish == "end"


def test_three_interleaved_sessions_equal_three_sequential(fake):
    with Engine(fake.LM(), rows=3) as engine:
        iterators = deque((seed, iter(submit(engine, fake, seed, frames=3 + seed))) for seed in range(3))
        frames = {seed: [] for seed in range(3)}
        while iterators:
            seed, iterator = iterators.popleft()
            if (frame := next(iterator, None)) is not None:
                frames[seed].append(frame)
                iterators.append((seed, iterator))
        assert frames == {seed: alone(fake, seed, 3 + seed) for seed in range(3)}
        assert engine.free_rows == 3


def test_sessions_join_and_leave_between_steps(engine, lm, fake):
    long, short, late = (submit(engine, fake, seed, frames) for seed, frames in ((1, 9), (2, 2), (3, 3)))
    while engine.step():
        pass
    assert [call for call in lm.calls if call[0] == "prefill"] == [("prefill", 0), ("prefill", 1), ("prefill", 1)]
    assert [rows for kind, rows in lm.calls if kind == "step"] == [(0,), *[(0, 1)] * 5, *[(0,)] * 3]
    for session, seed, frames in ((long, 1, 9), (short, 2, 2), (late, 3, 3)):
        assert list(session) == alone(fake, seed, frames)


def test_waiting_sessions_run_in_the_order_they_came(engine, lm, fake):
    sessions = [submit(engine, fake, seed) for seed in range(6)]
    assert list(sessions[-1]) == alone(fake, 5)
    assert lm.prompts == [session.prompt for session in sessions]
    assert [session.over for session in sessions] == [True] * 6


def test_running_streams_advance_between_prefills(engine, lm, fake):
    for seed in range(2):
        submit(engine, fake, seed)
    engine.step()
    assert [kind for kind, _ in lm.calls] == ["prefill", "step"]
    while engine.step():
        pass


def test_cancelling_frees_the_row_before_the_next_step(engine, lm, fake):
    first, second = submit(engine, fake, 1, 30), submit(engine, fake, 2)
    engine.step()
    engine.step()
    first.cancel()
    assert engine.free_rows == 1
    assert lm.cache.freed == [0]
    assert list(second) == alone(fake, 2)
    assert all(rows == (1,) for kind, rows in lm.calls[4:] if kind == "step")
    with pytest.raises(CancelledError):
        list(first)


def test_cancelling_while_waiting_leaves_the_queue(engine, fake):
    running = [submit(engine, fake, seed) for seed in range(2)]
    waiting = submit(engine, fake, 3)
    waiting.cancel()
    assert engine.metrics().waiting == 2
    for seed, session in enumerate(running):
        assert list(session) == alone(fake, seed)
    assert engine.metrics().finishes == {"cancelled": 1, "end": 2}
    assert engine.metrics().prefills == 2


def test_cancelling_during_a_step_gives_the_row_to_the_next(lm, fake):
    with Engine(lm, rows=1) as engine:
        first, second = submit(engine, fake, 1, 30), submit(engine, fake, 2)
        engine.step()
        lm.during_step = first.cancel
        engine.step()
        assert engine.free_rows == 1
        assert list(second) == alone(fake, 2)


def test_an_abandoned_consumer_frees_its_row(engine, fake):
    frames = iter(submit(engine, fake, 1, 30))
    next(frames)
    assert engine.free_rows == 1
    del frames
    assert engine.free_rows == 2
    with submit(engine, fake, 2, 30) as session:
        for frame in session:
            assert frame == alone(fake, 2)[0]
            break
    assert engine.free_rows == 2


def test_a_failing_sampler_reaches_its_own_caller_only(engine, fake):
    good, bad = submit(engine, fake, 1), submit(engine, fake, 2, fail_at=3)
    assert list(good) == alone(fake, 1)
    received = []
    with pytest.raises(GenerationError, match="after 2 frames.*cannot sample") as caught:
        received.extend(frame for frame in bad)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert bad.finish == "failed"


def test_a_failing_prefill_reaches_its_own_caller_only(engine, fake):
    good = submit(engine, fake, 1)
    bad = engine.submit(fake.prompt(2, sentence="broken"), fake.Sampler(2))
    assert list(good) == alone(fake, 1)
    with pytest.raises(GenerationError, match="ValueError: no such prompt"):
        list(bad)


def test_a_failing_step_ends_whoever_was_in_it_and_the_engine_lives_on(engine, lm, fake):
    first, second, waiting = (submit(engine, fake, seed) for seed in range(3))
    engine.step()
    engine.step()
    lm.failures = [RuntimeError("out of memory")]
    engine.step()
    for session in (first, second):
        with pytest.raises(GenerationError, match="out of memory"):
            list(session)
    assert list(waiting) == alone(fake, 2)


def test_an_interrupt_goes_through_and_leaves_nothing_half_done(engine, lm, fake):
    running, waiting = submit(engine, fake, 1), submit(engine, fake, 2)
    lm.failures = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        list(running)
    assert engine.free_rows == 2
    assert running.finish == "failed"
    assert list(waiting) == alone(fake, 2)


def test_an_interrupt_in_a_prompt_ends_everybody_in_the_turn(engine, lm, fake, monkeypatch):
    running, prompted, waiting = (submit(engine, fake, seed) for seed in range(3))
    engine.step()
    with monkeypatch.context() as patch:
        patch.setattr(lm, "prefill", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            engine.step()
    assert [session.finish for session in (running, prompted, waiting)] == ["failed", "failed", None]
    assert list(waiting) == alone(fake, 2)


@pytest.mark.parametrize("max_frames", [None, 38])
def test_a_full_row_ends_with_length(engine, fake, max_frames):
    session = engine.submit(fake.prompt(1), fake.Sampler(1, frames=1000), max_frames)
    frames = list(session)
    assert session.finish == "length"
    assert frames == alone(fake, 1, 37), "40 positions hold a prompt of 4 and 36 frames; the 37th is never fed back"


def test_max_frames_ends_with_length(engine, fake):
    session = engine.submit(fake.prompt(1), fake.Sampler(1, frames=1000), max_frames=3)
    assert list(session) == alone(fake, 1, 3)
    assert session.finish == "length"


@pytest.mark.parametrize("length", [40, 41, 400])
def test_a_prompt_without_room_is_refused_when_submitted(engine, fake, length):
    with pytest.raises(PromptTooLongError, match=f"prompt of {length} positions leaves no room in 40"):
        engine.submit(fake.prompt(length=length), fake.Sampler(0))


def test_a_prompt_with_room_for_one_position_gives_two_frames(engine, fake):
    assert len(list(engine.submit(fake.prompt(length=39), fake.Sampler(0)))) == 2


def test_no_frames_at_all_is_no_request(engine, fake):
    with pytest.raises(ConfigError, match="invalid max_frames: must be at least 1, got 0"):
        engine.submit(fake.prompt(), fake.Sampler(0), max_frames=0)


@pytest.mark.parametrize(
    ("rows", "length", "said"),
    [
        (0, 40, "invalid rows: must be at least 1, got 0"),
        (1, 65, "invalid context: must be from 2 to the model's 64 positions, got 65"),
        (1, 1, "must be from 2 to the model's 64 positions, got 1"),
    ],
)
def test_an_impossible_engine_is_refused(lm, rows, length, said):
    with pytest.raises(ConfigError, match=said):
        Engine(lm, rows, length)


def test_a_row_is_the_whole_context_by_default(lm):
    assert Engine(lm).length == 64


def test_a_full_engine_refuses_and_accepts_again_later(lm, fake):
    with Engine(lm, rows=1, policy=Policy(max_waiting=1)) as engine:
        first, second = submit(engine, fake, 1), submit(engine, fake, 2)
        with pytest.raises(EngineBusyError, match="try again later"):
            submit(engine, fake, 3)
        first.cancel()
        third = submit(engine, fake, 3)
        assert list(second) == alone(fake, 2)
        assert list(third) == alone(fake, 3)


def test_closing_ends_everything_and_nothing_new_comes(lm, fake):
    engine = Engine(lm, rows=1)
    running, waiting = submit(engine, fake, 1), submit(engine, fake, 2)
    engine.step()
    engine.close()
    engine.close()
    received = []
    with pytest.raises(EngineClosedError, match="closed after 2 frames"):
        received.extend(frame for frame in running)
    with pytest.raises(EngineClosedError):
        list(waiting)
    assert engine.free_rows == 1
    for refused in (lambda: submit(engine, fake, 3), engine.start):
        with pytest.raises(EngineClosedError, match="the engine is closed"):
            refused()


def test_global_random_generators_are_left_alone(engine, fake):
    def states():
        return random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist()

    before = states()
    list(submit(engine, fake, 1))
    assert states() == before


def test_metrics_count_what_happened(engine, fake):
    sessions = [submit(engine, fake, seed, frames) for seed, frames in ((1, 4), (2, 4), (3, 1))]
    for session in sessions:
        list(session)
    metrics = engine.metrics()
    assert (metrics.prefills, metrics.frames, metrics.finishes) == (3, 9, {"end": 3})
    assert metrics.batch_sizes == {1: 1, 2: 4}
    assert (metrics.steps, metrics.mean_batch) == (5, 9 / 5)
    assert metrics.frames_per_second == metrics.frames / metrics.busy_seconds > 0
    assert list(metrics.first_frame_seconds) == sorted(s.timings.first_frame_seconds for s in sessions)


@pytest.mark.parametrize("joins", [False, True])
@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["submit", "step", "read", "cancel"]), st.integers(0, 9)), max_size=60))
def test_any_schedule_gives_everybody_the_frames_it_gets_alone(fake, joins, actions):
    lm = fake.JoiningLM() if joins else fake.LM()
    engine = Engine(lm, rows=3, length=30, policy=Policy(prefills_per_turn=2, max_waiting=3))
    sessions, received, cancelled = [], [], set()
    for action, number in actions:
        chosen = number % len(sessions) if sessions else None
        if action == "submit":
            try:
                sessions.append(submit(engine, fake, len(sessions), frames=number))
            except EngineBusyError:
                assert engine.metrics().waiting >= 3
            else:
                received.append(iter(sessions[-1]))
        elif action == "step":
            engine.step()
        elif chosen is not None and action == "cancel":
            sessions[chosen].cancel()
            cancelled |= {chosen} if sessions[chosen].finish == "cancelled" else set()
        elif chosen not in (None, *cancelled):
            next(received[chosen], None)
        assert engine.free_rows + engine.metrics().running == 3
    for index in set(range(len(sessions))) - cancelled:
        rest = list(received[index])
        whole = alone(fake, index, sessions[index].sampler.left + sessions[index].frame_count)
        assert sessions[index].finish == "end"
        assert whole[len(whole) - len(rest) :] == rest
        assert sessions[index].frame_count == len(whole)
    assert engine.free_rows == 3
    assert not any(lm.cache.rows)


def test_short_prompts_that_wait_together_are_read_in_one_turn(fake):
    for lm, most in ((fake.LM(), 1), (fake.JoiningLM(), 3)):
        engine = Engine(lm, rows=3, length=40)
        sessions = [engine.submit(fake.prompt(seed, 20), fake.Sampler(seed)) for seed in range(4)]
        engine.step()
        assert engine.metrics().prefills == most
        for seed, session in enumerate(sessions):
            assert list(session) == fake.frames_alone(fake.prompt(seed, 20), fake.Sampler(seed))


def consume_in_threads(sessions, consume):
    """Run ``consume(index, session)`` in a thread each; what they return, by index."""
    results = {}

    def work(index, session):
        results[index] = consume(index, session)

    threads = [threading.Thread(target=work, args=item) for item in enumerate(sessions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANG_SECONDS)
        assert not thread.is_alive(), "a consumer hangs"
    return results


@pytest.mark.parametrize("background", [True, False], ids=["worker", "pumped"])
def test_eight_consumers_in_threads_get_their_own_frames(lm, fake, background):
    with Engine(lm, rows=3) as engine:
        if background:
            assert engine.start().start() is engine
        sessions = [submit(engine, fake, seed, frames=20 + seed) for seed in range(8)]
        results = consume_in_threads(sessions, lambda _, session: list(session))
        assert results == {seed: alone(fake, seed, 20 + seed) for seed in range(8)}
        assert engine.free_rows == 3


@pytest.mark.parametrize("background", [True, False], ids=["worker", "pumped"])
def test_threads_that_leave_fail_or_finish_do_not_disturb_each_other(lm, fake, background):
    def consume(index, session):
        if index % 3 == 0:
            return list(session)
        if index % 3 == 1:
            with session:
                return list(islice(session, 3))
        with pytest.raises(GenerationError):
            list(session)
        return None

    lm.during_step = lambda: time.sleep(0.0005)
    with Engine(lm, rows=3) as engine:
        if background:
            engine.start()
        sessions = [submit(engine, fake, s, 40, fail_at=7 if s % 3 == 2 else None) for s in range(9)]
        results = consume_in_threads(sessions, consume)
        for seed in range(0, 9, 3):
            assert results[seed] == alone(fake, seed, 40)
            assert results[seed + 1] == alone(fake, seed + 1, 40)[:3]
        assert engine.free_rows == 3
        assert engine.metrics().finishes == {"end": 3, "cancelled": 3, "failed": 3}


def test_a_consumer_that_was_served_while_it_stood_in_line_takes_no_turn(engine, lm, fake):
    session = submit(engine, fake, 1)
    engine.step()
    engine._advance(session)
    assert lm.calls == [("prefill", 0), ("step", (0,))]
    assert list(session) == alone(fake, 1)


def test_requests_may_arrive_while_the_worker_is_busy(lm, fake):
    lm.during_step = lambda: time.sleep(0.001)
    with Engine(lm, rows=2).start() as engine:
        long = submit(engine, fake, 1, frames=50)
        wait_until(lambda: long.frame_count > 3)
        assert list(submit(engine, fake, 2)) == alone(fake, 2)
        assert not long.over
        assert list(long) == alone(fake, 1, 50)


def test_a_worker_rests_and_wakes_again(lm, fake):
    with Engine(lm, rows=1).start() as engine:
        for seed in range(3):
            assert list(submit(engine, fake, seed)) == alone(fake, seed)
            wait_until(lambda: not engine._arrived.is_set())


def test_closing_wakes_waiting_consumers_and_ends_the_worker(lm, fake):
    lm.during_step = lambda: time.sleep(0.001)
    engine = Engine(lm, rows=1).start()
    sessions = [submit(engine, fake, seed, frames=60) for seed in range(3)]

    def consume(index, session):
        if index == 0:
            wait_until(lambda: session.frame_count > 2)
            engine.close()
        with pytest.raises(EngineClosedError):
            list(session)
        return "told"

    assert consume_in_threads(sessions, consume) == dict.fromkeys(range(3), "told")
    assert not engine._worker.is_alive()
    assert engine.free_rows == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_worker_that_dies_leaves_nobody_waiting(lm, fake):
    engine = Engine(lm, rows=1)
    sessions = [submit(engine, fake, seed) for seed in range(2)]
    lm.failures = [KeyboardInterrupt()]
    engine.start()
    with pytest.raises(GenerationError, match="KeyboardInterrupt"):
        list(sessions[0])
    with pytest.raises(EngineClosedError):
        list(sessions[1])
    with pytest.raises(EngineClosedError):
        submit(engine, fake, 3)
    engine.close()
    assert engine.free_rows == 1


def test_a_sampler_that_knows_its_last_frame_saves_the_step_after_it(engine, lm, fake):
    class Knows:
        def __init__(self):
            self.left, self.ended = 2, False

        def next(self, logits):
            self.left -= 1
            self.ended = self.left == 0
            return Frame(self.left)

    session = engine.submit(fake.prompt(), Knows())
    assert list(session) == [Frame(1), Frame(0)]
    assert session.finish == "end"
    assert [kind for kind, *_ in lm.calls].count("step") == 1


def test_frames_are_handed_on_and_fed_back_as_the_sampler_made_them(engine, lm, fake):
    class Scripted:
        def __init__(self):
            self.frames = iter([Frame(3, (1, 2)), Frame(4, (5, 6)), None])
            self.ended = False

        def next(self, logits):
            assert logits[4:] in ((), (3,), (3, 4))
            return next(self.frames)

    assert list(engine.submit(fake.prompt(), Scripted())) == [Frame(3, (1, 2)), Frame(4, (5, 6))]


def test_a_row_sits_out_while_its_consumer_has_something_more_urgent_to_do(fake):
    with Engine(fake.LM(), rows=2) as engine:
        resting, other = (engine.submit(fake.prompt(seed), fake.Sampler(seed, frames=9)) for seed in (1, 2))
        engine.step()
        engine.step()
        before = resting.frame_count, other.frame_count
        with resting.rest():
            engine.step()
            assert (resting.frame_count, other.frame_count) == (before[0], before[1] + 1)
            other.cancel()
            assert not engine.step(), "there is nothing else to do"
        assert engine.step()
        assert resting.frame_count == before[0] + 1
        assert list(resting) == fake.frames_alone(fake.prompt(1), fake.Sampler(1, frames=9))


def test_a_worker_goes_on_after_a_rest(fake):
    with Engine(fake.LM(), rows=1).start() as engine:
        session = engine.submit(fake.prompt(1), fake.Sampler(1, frames=9))
        frames = iter(session)
        made = [next(frames)]
        with session.rest():
            pass
        made += frames
        assert made == fake.frames_alone(fake.prompt(1), fake.Sampler(1, frames=9))
