"""From the threads that speak to the event loop, through bounded buffers.

A door takes ``speaking = service.open(...)`` and answers ``Streamed(speaking.stream, media_type)``, or reads
``async for item in speaking.stream`` itself; ``stream.cancel()`` ends it from anywhere and is always safe.
Text that still arrives is a `TextFeed`, and `Bridge.call` runs whatever else blocks.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Generic, TypeVar

from parlando.core.errors import EngineClosedError
from parlando.engine.cancel import Cancellation
from parlando.engine.playback import Playback
from parlando.nn.threads import settle_thread
from parlando.serve.lack import Lack

T = TypeVar("T")
CAPACITY_ITEMS = 16


class Stream(Generic[T]):
    """Items of a blocking iterator, read on the event loop; at most ``capacity`` wait, then the iterator waits.

    ``stalled_seconds`` is how long it has waited for its reader in all; meanwhile ``playback`` is on hold.
    ``lacks`` are what its iterator may have to wait for.
    """

    def __init__(
        self, cancellation: Cancellation, capacity: int = CAPACITY_ITEMS, playback: Playback | None = None
    ) -> None:
        self.cancellation = cancellation
        self.playback = playback or Playback()
        self.stalled_seconds = 0.0
        self.when_cancelled: Callable[[], None] = lambda: None
        self.lacks: Sequence[Lack] = ()
        self._loop = asyncio.get_running_loop()
        self._items: deque[T] = deque()
        self._room = threading.Semaphore(capacity)
        self._news = asyncio.Event()
        self._called = False  # whether the loop was called, and has not come yet
        self._over = False
        self._error: BaseException | None = None

    async def batch(self) -> list[T]:
        """All items there are, waiting for the first; none means the end.

        Raises:
            ParlandoError: what the iterator raised, after the items that came before.
        """
        while not self._items and not self._over:
            self._called = False
            self._news.clear()
            if not self._items and not self._over:
                await self._news.wait()
        taken = []
        while self._items:
            taken.append(self._items.popleft())
            self._room.release()
        if not taken and self._error is not None:
            error, self._error = self._error, None
            raise error
        return taken

    async def __aiter__(self) -> AsyncIterator[T]:
        """The items one by one; leaving the loop cancels."""
        try:
            while items := await self.batch():
                for item in items:
                    yield item
        finally:
            self.cancel()

    def cancel(self) -> None:
        """End the work now, from any thread; nothing happens when it is over."""
        if not self._over:
            self.cancellation.cancel()
            self.when_cancelled()
            self._room.release()

    def dismiss(self, error: BaseException | None) -> None:
        """End what was never begun; its reader sees this error, or the end."""
        self._error, self._over = error, True
        self._wake()

    def pump(self, source: Callable[[], Iterator[T]]) -> None:
        """Run the iterator to its end in this thread."""
        items: Iterator[T] | None = None
        try:
            items = source()
            for item in items:
                self._wait_for_room()
                if self.cancellation.cancelled:
                    break
                self._items.append(item)
                self._wake()
        except BaseException as error:  # noqa: BLE001  the reader raises it
            self._error = error
        finally:
            self._close(items)
            self._over = self.playback.over = True
            self._wake()

    def _wait_for_room(self) -> None:
        if self._room.acquire(blocking=False):
            return
        stalled = time.perf_counter()
        self.playback.hold()
        self._room.acquire()
        self.playback.go_on()
        self.stalled_seconds += time.perf_counter() - stalled

    def _close(self, items: Iterator[T] | None) -> None:
        try:
            getattr(items, "close", lambda: None)()
        except Exception as error:  # noqa: BLE001  the reader raises it
            self._error = self._error or error

    def _wake(self) -> None:
        if self._called:
            return
        self._called = True
        try:
            self._loop.call_soon_threadsafe(self._news.set)
        except RuntimeError:
            # The loop was closed while this thread was still at work: nobody reads any more.
            self.cancellation.cancel()


class Bridge:
    """Threads for work that blocks: one for each stream while it is spoken, and a few for the rest.

    ``listeners`` are for what people say: writing it down takes long, and must not keep the helpers.
    """

    def __init__(self, helpers: int = 4, listeners: int = 2) -> None:
        self._speakers: set[threading.Thread] = set()
        self._helpers = ThreadPoolExecutor(helpers, "parlando-help")
        self._listeners = ThreadPoolExecutor(listeners, "parlando-ears")
        self._open: set[Stream[Any]] = set()
        self._closed = False
        self.helping = 0  # how many calls are at work, or wait for a helper

    def open(self, stream: Stream[T], source: Callable[[], Iterator[T]], after: Callable[[], None]) -> Stream[T]:
        """Begin to pump; ``after`` is called on the event loop when the thread is done, whatever happened.

        Raises:
            EngineClosedError: the server shuts down.
            RuntimeError: the system gives no more threads.
        """
        if self._closed:
            raise EngineClosedError("the server is shutting down; ask again in a moment")
        loop = asyncio.get_running_loop()

        def done() -> None:
            self._open.discard(stream)
            self._speakers.discard(speaker)
            after()

        def work() -> None:
            settle_thread()
            stream.pump(source)
            with suppress(RuntimeError):  # the loop was closed while this thread was still at work
                loop.call_soon_threadsafe(done)

        # Not from a pool: idle threads would keep what the libraries keep for each, threads of their own among it.
        speaker = threading.Thread(target=work, name="parlando-stream")
        self._open.add(stream)
        self._speakers.add(speaker)
        try:
            speaker.start()
        except BaseException:
            self._open.discard(stream)
            self._speakers.discard(speaker)
            raise
        return stream

    async def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """What a blocking function returns, from a helper's thread."""
        return await self._called(self._helpers, function, *arguments)

    async def listen(self, function: Callable[..., T], *arguments: Any) -> T:
        """The same, from a listener's thread."""
        return await self._called(self._listeners, function, *arguments)

    async def _called(self, pool: ThreadPoolExecutor, function: Callable[..., T], *arguments: Any) -> T:
        self.helping += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, function, *arguments)
        finally:
            self.helping -= 1

    def close(self) -> None:
        """Cancel what runs and let the threads end."""
        self._closed = True
        for stream in tuple(self._open):
            stream.cancel()
        for speaker in tuple(self._speakers):
            speaker.join()
        self._helpers.shutdown(wait=True)
        self._listeners.shutdown(wait=True, cancel_futures=True)


class TextFeed(Iterable[str]):
    """Text that still arrives: a door pushes pieces, the speaking thread iterates over them, and may ``lack`` some.

    It tells ``note`` each piece that it takes.
    """

    def __init__(self, note: Callable[[str], object] = str) -> None:
        self.lack = Lack()
        self._note = note
        self._pieces: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def push(self, piece: str) -> None:
        """Add a piece; never blocks."""
        self._pieces.put(piece)

    def close(self) -> None:
        """No more text comes; cancelling the stream that reads it does this as well."""
        self._pieces.put(None)

    def __iter__(self) -> Iterator[str]:
        while (piece := self._next()) is not None:
            self._note(piece)
            yield piece

    def _next(self) -> str | None:
        with self.lack:
            return self._pieces.get()
