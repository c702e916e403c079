"""The bridge alone: order, bounds, errors, cancellation, and text that still arrives."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from itertools import count

import pytest

from parlando.core.errors import CancelledError, EngineClosedError, TextError
from parlando.engine.cancel import Cancellation
from parlando.serve.bridge import Bridge, Stream, TextFeed
from parlando.serve.service import Utterance, said_seconds
from parlando.serve.voices import Recording
from waiting import HANG_SECONDS, LOOK_SECONDS


def with_bridge(test, streams=2):
    """Run a coroutine function with a bridge that is closed behind it."""

    async def run():
        bridge = Bridge(helpers=1)
        try:
            await asyncio.wait_for(test(bridge), HANG_SECONDS)
        finally:
            bridge.close()

    asyncio.run(run())


def opened(bridge, source, capacity=4, after=lambda: None):
    return bridge.open(Stream(Cancellation(), capacity), source, after)


async def until(has_happened):
    """Wait for it and let the loop go on; `with_bridge` ends a test that hangs."""
    while not has_happened():
        await asyncio.sleep(LOOK_SECONDS)


async def collect(stream, into):
    async for item in stream:
        into.append(item)


def test_items_come_in_order_and_the_end_is_told_once():
    over = []

    async def test(bridge):
        stream = opened(bridge, lambda: iter(range(100)), after=lambda: over.append(True))
        assert [item async for item in stream] == list(range(100))
        assert await stream.batch() == []
        await until(lambda: over)

    with_bridge(test)
    assert over == [True]


def test_a_slow_reader_stops_the_iterator_and_nobody_else():
    made, read = [], []

    def source():
        for index in count():
            made.append(index)
            yield index

    async def test(bridge):
        slow = opened(bridge, source)
        await until(lambda: len(made) == 4 + 1)
        assert [item async for item in opened(bridge, lambda: iter("abc"))] == ["a", "b", "c"]
        assert len(made) == 4 + 1
        while not slow.stalled_seconds:
            read.extend(await slow.batch())
            assert read == made[: len(read)]
        slow.cancel()

    with_bridge(test)
    assert 4 <= len(read) < len(made) <= len(read) + 4 + 1


def test_an_error_comes_after_the_items_before_it():
    def source():
        yield 1
        raise TextError("no more")

    async def test(bridge):
        stream = opened(bridge, source)
        got = []
        with pytest.raises(TextError, match="no more"):
            await collect(stream, got)
        assert got == [1]

    with_bridge(test)


def test_cancelling_closes_the_iterator_and_leaves_no_thread_behind():
    closed = threading.Event()

    def source():
        try:
            while True:
                yield 0
        finally:
            closed.set()

    async def test(bridge):
        stream = opened(bridge, source)
        await stream.batch()
        stream.cancel()
        stream.cancel()
        assert await asyncio.to_thread(closed.wait, HANG_SECONDS)

    with_bridge(test, streams=1)


def test_a_closed_bridge_takes_no_more_and_ends_what_runs():
    async def test(bridge):
        stream = opened(bridge, lambda: iter(lambda: 0, 1))
        await stream.batch()
        await asyncio.to_thread(bridge.close)
        with pytest.raises(EngineClosedError, match="shutting down"):
            opened(bridge, lambda: iter(()))

    with_bridge(test)


def test_blocking_calls_do_not_hold_the_loop():
    async def test(bridge):
        goes_on = threading.Event()
        slow = asyncio.create_task(bridge.call(goes_on.wait, HANG_SECONDS))
        await asyncio.sleep(0)
        assert not slow.done()
        goes_on.set()
        assert await slow

    with_bridge(test)


def test_text_that_still_arrives_is_spoken_as_it_comes(fresh):
    """What a door for text streams does: push while it reads."""

    async def converse():
        feed = TextFeed()
        speaking = fresh.service.open(Utterance(feed, "bob"))
        feed.push("One sentence. And the ")
        first = await speaking.stream.batch()
        assert first[0].text == "One sentence."
        feed.push("second.")
        feed.close()
        rest = [chunk async for chunk in speaking.stream]
        assert {chunk.text for chunk in rest if chunk.text} <= {"One sentence.", "And the second."}
        assert speaking.stats.audio_seconds == pytest.approx(2.1)

    run_in(fresh, converse())


def test_cancelling_ends_a_stream_that_waits_for_text(fresh):
    async def interrupt():
        feed = TextFeed()
        speaking = fresh.service.open(Utterance(feed))
        feed.push("One sentence. And ")
        await speaking.stream.batch()
        speaking.stream.cancel()
        with suppress(CancelledError):
            await collect(speaking.stream, [])
        return speaking.stats

    stats = run_in(fresh, interrupt())
    fresh.wait_until(fresh.idle)
    assert stats.finish == "aborted"
    assert 0.0 < stats.audio_seconds < 2.0, "the first sentence, and no more"


def test_a_stream_is_alone_while_there_is_no_other_and_no_helper_at_work(fresh):
    async def listen():
        first = fresh.service.open(Utterance(TextFeed())).stream
        found = [first.playback.alone]
        second = fresh.service.open(Utterance(TextFeed())).stream
        found += [first.playback.alone, second.playback.alone]
        second.cancel()
        with suppress(CancelledError, TextError):
            await collect(second, [])
        await until(lambda: first.playback.alone)
        go_on = threading.Event()
        helper = asyncio.ensure_future(fresh.service.bridge.call(go_on.wait, HANG_SECONDS))
        await asyncio.sleep(0)
        found.append(first.playback.alone)
        go_on.set()
        await helper
        found.append(first.playback.alone)
        first.cancel()
        with suppress(CancelledError, TextError):
            await collect(first, [])
        return found

    assert run_in(fresh, listen()) == [True, False, False, False, True]


def run_in(running, coroutine):
    """On the server's own loop."""
    return asyncio.run_coroutine_threadsafe(coroutine, running.service.loop).result(HANG_SECONDS)


def test_a_listener_whose_stream_has_ended_needs_no_more_sound():
    async def test(bridge):
        stream, ended = Stream(Cancellation()), asyncio.Event()
        stream.playback.hand_out(1.0)
        bridge.open(stream, lambda: iter("ab"), ended.set)
        assert [item async for item in stream] == ["a", "b"]
        await ended.wait()
        assert stream.playback.remaining_seconds == 0.0

    with_bridge(test)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (Recording(b"RIFF".ljust(48_000 * 100)), 100.0),
        (Recording(b"OggS".ljust(16_000 * 100)), 100.0),
        (Recording(b"OggS".ljust(16_000 * 1000)), 300.0),
        (TextFeed(), 10.0),
        ("a" * 100, 8.0),
    ],
    ids=["whole", "compressed", "longest", "arriving", "text"],
)
def test_what_is_to_be_said_lasts_as_long_as_there_is_of_it(text, seconds):
    assert said_seconds(Utterance(text)) == pytest.approx(seconds)
    if not isinstance(text, TextFeed):
        assert said_seconds(Utterance(text, speed=2.0)) == pytest.approx(seconds / 2)


def test_calls_are_counted_while_they_are_at_work_or_wait_whatever_becomes_of_them():
    go_on = threading.Event()

    def fail():
        go_on.wait(HANG_SECONDS)
        raise TextError("no")

    async def test(bridge):
        calls = [asyncio.ensure_future(bridge.call(fail)) for _ in range(2)]
        await until(lambda: bridge.helping == 2)
        go_on.set()
        await asyncio.wait(calls)
        assert bridge.helping == 0
        assert all(isinstance(call.exception(), TextError) for call in calls)

    with_bridge(test)
