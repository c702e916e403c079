"""What was freed goes back to the system, once the last stream has ended and it stays quiet."""

from __future__ import annotations

import ctypes
import platform
import threading

import pytest

from parlando.serve.memory import give_back
from waiting import HANG_SECONDS

GLIBC = platform.libc_ver()[0] == "glibc"


def resident_bytes():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096


@pytest.mark.skipif(not GLIBC, reason="only glibc keeps memory and can be asked for it")
def test_freed_memory_goes_back():
    # Blocks too small to be mapped alone, and one behind them that keeps the heap from shrinking by itself.
    blocks = ctypes.CDLL(None)
    blocks.malloc.restype = ctypes.c_void_p
    held = [blocks.malloc(64_000) for _ in range(1000)]
    for each in held:
        ctypes.memset(each, 1, 64_000)
    last = blocks.malloc(64_000)
    for each in held:
        blocks.free(ctypes.c_void_p(each))
    before = resident_bytes()
    assert give_back()
    blocks.free(ctypes.c_void_p(last))
    assert before - resident_bytes() > 40_000_000


def test_nothing_happens_where_there_is_no_such_function(monkeypatch):
    monkeypatch.setattr("parlando.serve.memory.ctypes.CDLL", lambda name: object())
    assert give_back() is False


def test_a_server_gives_back_when_the_last_stream_has_ended(fresh, monkeypatch):
    given, streams = threading.Event(), []

    def noted():
        streams.append((fresh.service.speaking, threading.current_thread().name))
        given.set()

    monkeypatch.setattr("parlando.serve.service.give_back", noted)
    monkeypatch.setattr("parlando.serve.service.QUIET_SECONDS", 0.05)
    assert not given.is_set()
    fresh.say()
    assert given.wait(HANG_SECONDS)
    assert streams[0][0] is False
    assert streams[0][1].startswith("parlando-help")
