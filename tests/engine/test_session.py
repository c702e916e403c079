from __future__ import annotations

import threading

import pytest

from parlando.core.errors import CancelledError, EngineClosedError, GenerationError
from parlando.core.types import Frame
from parlando.engine.session import Session, SessionTimings, State
from waiting import HANG_SECONDS


def nobody_pumps(session):
    raise AssertionError("the session had something to read")


def open_session(fake, max_frames=9, pump=nobody_pumps):
    return Session(7, fake.prompt(), fake.Sampler(0), max_frames, pump)


def test_a_life_from_waiting_to_ended(fake):
    session = open_session(fake)
    assert (session.state, session.over, session.ready) == (State.WAITING, False, False)
    session.begin()
    assert session.state is State.RUNNING
    session.accept(Frame(1))
    session.accept(Frame(2))
    session.accept(None)
    assert (session.state, session.finish, session.frame_count) == (State.ENDED, "end", 2)
    assert list(session) == [Frame(1), Frame(2)]
    assert list(session) == []
    assert session.finish == "end"


def test_what_comes_after_the_end_is_ignored(fake):
    session = open_session(fake, max_frames=1)
    session.accept(Frame(1))
    assert session.finish == "length"
    session.begin()
    session.accept(Frame(2))
    session.accept(None)
    session.fail(ValueError())
    session.close()
    session.cancel()
    assert (session.state, session.finish, list(session)) == (State.ENDED, "length", [Frame(1)])


def test_a_consumer_pumps_only_when_it_has_nothing_to_read(fake):
    pumped = []

    def pump(session):
        pumped.append(1)
        session.accept(Frame(len(pumped)) if len(pumped) < 3 else None)

    session = open_session(fake, pump=pump)
    session.accept(Frame(0))
    assert [frame.token for frame in session] == [0, 1, 2]
    assert len(pumped) == 3


def test_a_failure_comes_after_the_frames_and_names_its_cause(fake):
    session = open_session(fake)
    session.accept(Frame(1))
    cause = ValueError("bad logits")
    session.fail(cause)
    frames = iter(session)
    assert next(frames) == Frame(1)
    with pytest.raises(GenerationError, match=r"after 1 frames of request 7 \(ValueError: bad logits\)") as caught:
        next(frames)
    assert caught.value.__cause__ is cause
    assert (session.state, session.finish) == (State.FAILED, "failed")


def test_closing_is_told_to_the_consumer(fake):
    session = open_session(fake)
    session.close()
    with pytest.raises(EngineClosedError, match="closed after 0 frames of request 7"):
        list(session)
    assert session.finish == "closed"


def test_cancelling_forgets_the_frames_and_is_told_to_another_consumer(fake):
    session = open_session(fake)
    session.accept(Frame(1))
    session.cancel()
    with pytest.raises(CancelledError, match="cancelled after 1 frames"):
        next(iter(session))
    assert (session.state, session.finish) == (State.CANCELLED, "cancelled")


def test_leaving_the_loop_the_block_or_the_iterator_cancels(fake):
    looped, blocked, closed, dropped = (open_session(fake) for _ in range(4))
    for session in (looped, blocked, closed, dropped):
        session.accept(Frame(1))
        session.accept(Frame(2))
    for _ in looped:
        break
    with blocked:
        pass
    frames = iter(closed)
    next(frames)
    frames.close()
    frames = iter(dropped)
    next(frames)
    del frames
    assert [s.finish for s in (looped, blocked, closed, dropped)] == ["cancelled"] * 4


def test_waiting_ends_with_a_frame(fake):
    session = open_session(fake)
    waiter = threading.Thread(target=session.wait)
    waiter.start()
    waiter.join(0.02)
    assert waiter.is_alive()
    session.accept(Frame(1))
    waiter.join(HANG_SECONDS)
    assert not waiter.is_alive()


def test_timings_are_those_of_an_injected_clock(fake, monkeypatch):
    clock = iter([10.0, 11.0, 13.0, 14.0, 20.0])
    monkeypatch.setattr("parlando.engine.session.time.perf_counter", lambda: next(clock))
    session = open_session(fake)
    assert session.timings == SessionTimings(None, None, None, None)
    session.begin()
    session.prefilled()
    session.accept(Frame(1))
    session.accept(Frame(2))
    session.accept(None)
    assert session.timings == SessionTimings(
        queued_seconds=1.0, prefill_seconds=2.0, first_frame_seconds=4.0, total_seconds=10.0
    )
