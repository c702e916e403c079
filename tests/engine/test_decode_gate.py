from __future__ import annotations

import threading
import time
from contextlib import suppress
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parlando.engine.decode_gate import DecodeGate
from parlando.engine.playback import Playback
from waiting import HANG_SECONDS, wait_until


def begun(until_seconds):
    playback = Playback(clock=lambda: 0.0)
    playback.hand_out(until_seconds)
    return playback


def until_waiting(gate, count):
    wait_until(lambda: gate.waiting == count)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.one_of(st.just(0), st.integers(1, 10**6)), max_size=8))
def test_the_next_is_who_has_heard_nothing_and_then_who_runs_out_first(leads):
    gate, order, threads = DecodeGate(1), [], []

    def pass_through(lead):
        with gate.turn(begun(lead) if lead else Playback()):
            order.append(lead)

    with gate.turn():
        for count, lead in enumerate(leads, start=1):
            threads.append(threading.Thread(target=pass_through, args=(lead,)))
            threads[-1].start()
            until_waiting(gate, count)
    for thread in threads:
        thread.join(HANG_SECONDS)
    assert order == sorted(leads)


def test_no_more_than_its_width_are_inside_and_an_error_lets_the_next_one_in():
    gate, inside, most, lock = DecodeGate(2), [0], [0], threading.Lock()

    def work():
        with suppress(ValueError), gate.turn():
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            time.sleep(0.002)
            with lock:
                inside[0] -= 1
            raise ValueError

    threads = [threading.Thread(target=work) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANG_SECONDS)
    assert (most[0], gate.waiting) == (2, 0)
    with gate.turn(), gate.turn(Playback()):
        pass


def test_who_has_no_listener_is_not_forgotten():
    gate, order = DecodeGate(1), []

    def pass_through(name, playback):
        with gate.turn(playback):
            order.append(name)

    waiting = [("unheard", None), ("comfortable", begun(time.perf_counter() + 60))]
    threads = [threading.Thread(target=pass_through, args=each) for each in waiting]
    with gate.turn():
        for count, thread in enumerate(threads, start=1):
            thread.start()
            until_waiting(gate, count)
    for thread in threads:
        thread.join(HANG_SECONDS)
    assert order == ["unheard", "comfortable"]


def test_a_small_chunk_hardly_changes_what_a_frame_takes():
    """It is dear for its size: what a decoder does once for a chunk counts for few frames."""
    gate = DecodeGate(1)
    assert gate.seconds_per_frame == 0.0
    for _ in range(5):
        gate.learn(25, 0.05)
    gate.learn(1, 0.03)
    assert 0.002 <= gate.seconds_per_frame < 0.0025
    gate.learn(0, 0.02)
    assert gate.seconds_per_frame < 0.003, "an end without frames costs too"
    for _ in range(60):
        gate.learn(25, 0.2)
    assert gate.seconds_per_frame == pytest.approx(0.008, rel=0.02)


def test_who_is_interrupted_while_waiting_gives_up_the_place(monkeypatch):
    gate = DecodeGate(1)
    with gate.turn():
        broken = SimpleNamespace(acquire=interrupt_second_call())
        monkeypatch.setattr("parlando.engine.decode_gate.threading.Lock", lambda: broken)
        with pytest.raises(KeyboardInterrupt), gate.turn():
            pytest.fail("it is not let through")
        assert gate.waiting == 0
    with gate.turn():
        assert gate.waiting == 0


def test_who_is_interrupted_when_called_lets_the_next_through(monkeypatch):
    gate = DecodeGate(1)

    def called():
        gate._leave()
        raise KeyboardInterrupt

    gate._enter(0.0)
    broken = SimpleNamespace(acquire=interrupt_second_call(called), release=lambda: None)
    monkeypatch.setattr("parlando.engine.decode_gate.threading.Lock", lambda: broken)
    with pytest.raises(KeyboardInterrupt):
        gate._enter(1.0)
    monkeypatch.undo()
    with gate.turn():
        assert gate.waiting == 0


def interrupt_second_call(otherwise=None):
    """What a lock does when it is taken: the second time there is an interrupt."""
    calls = []

    def acquire():
        calls.append(None)
        if len(calls) == 2:
            if otherwise is not None:
                otherwise()
            raise KeyboardInterrupt

    return acquire
