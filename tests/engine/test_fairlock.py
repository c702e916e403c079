from __future__ import annotations

import threading

import pytest

from parlando.engine.fairlock import FairLock
from waiting import HANG_SECONDS, wait_until


def in_line(lock, count):
    """Wait until this many threads hold or want the lock."""
    wait_until(lambda: len(lock._line) >= count)


def test_threads_are_served_in_the_order_they_came_even_against_a_greedy_one():
    lock, order = FairLock(), []

    def visit(name):
        with lock:
            order.append(name)

    with lock:
        threads = []
        for name in range(5):
            threads.append(threading.Thread(target=visit, args=(name,)))
            threads[-1].start()
            in_line(lock, name + 2)
    with lock:
        order.append("greedy")
    for thread in threads:
        thread.join(HANG_SECONDS)
    assert order == [0, 1, 2, 3, 4, "greedy"]


def test_one_thread_at_a_time():
    lock, inside, most = FairLock(), [], []

    def visit():
        for _ in range(50):
            with lock:
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=visit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANG_SECONDS)
    assert len(most) == 200
    assert max(most) == 1


def test_an_interrupt_while_waiting_leaves_the_line(monkeypatch):
    lock = FairLock()

    class Interrupting:
        def __init__(self):
            self.calls = 0

        def acquire(self):
            self.calls += 1
            if self.calls == 2:
                raise KeyboardInterrupt
            return True

        def release(self):
            raise AssertionError("nobody waits for this ticket")

    with lock:
        monkeypatch.setattr(threading, "Lock", Interrupting)
        with pytest.raises(KeyboardInterrupt):
            lock.__enter__()
        monkeypatch.undo()
        assert len(lock._line) == 1
    with lock:
        assert len(lock._line) == 1


def test_whoever_is_inside_sees_that_somebody_waits():
    lock = FairLock()
    assert not lock.wanted
    with lock:
        assert not lock.wanted, "nobody waits for oneself"
        waiter = threading.Thread(target=lambda: lock.__enter__())
        waiter.start()
        in_line(lock, 2)
        assert lock.wanted
    waiter.join(HANG_SECONDS)
    assert not lock.wanted
