"""One visit of the soak: a request through any door of `parlando serve`, played by a simulated player."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from parlando.audio.containers import to_pcm
from parlando.audio.files import read_audio
from parlando.core.errors import ParlandoError
from parlando.evaluate.load.http_stream import Answer, Target, exchange
from parlando.evaluate.load.listener import Listener
from parlando.evaluate.load.replay import replay
from parlando.evaluate.load.serve_load import OK, REFUSED, Heard, listen, sample_rate_of

PATIENCE_SECONDS = 120.0
JSON = "application/json"
REFUSALS = {"overloaded": 503, "rate_limit_exceeded": 429, "UNAVAILABLE": 503, "RESOURCE_EXHAUSTED": 429}


@dataclass
class Place:
    """A server, what is said to it, and a recording that it made, to clone; ports that are none are not open."""

    url: str
    texts: Iterator[str]
    ports: dict[str, int] = field(default_factory=dict)
    voice: str = "alloy"
    recording: bytes = b""
    recording_text: str = ""

    def address(self, protocol: str) -> str:
        """Host and port of a door that listens on its own."""
        return f"{Target(self.url).place[0]}:{self.ports[protocol]}"


class UnheardError(Exception):
    """The answer was no speech: a refusal, an error, or half of what it should be."""


class Answered(Heard):
    """A visit with nothing to hear, which only has to be answered as it should."""

    @property
    def outcome(self) -> str:
        return "refused" if self.status in REFUSED else "failed" if self.error else "done"


@dataclass
class Visit:
    """One request as it goes, through whichever door."""

    place: Place
    due_seconds: float
    status: int = 0
    listener: Listener = field(default_factory=lambda: Listener(24000))
    silent: bool = False

    @property
    def now_seconds(self) -> float:
        return time.perf_counter() - self.due_seconds

    def text(self) -> str:
        return next(self.place.texts)

    def hear(self, data: bytes) -> None:
        """Sixteen-bit samples came."""
        self.listener.hear(data, self.now_seconds)

    def whole(self, data: bytes) -> None:
        """A whole file came; it is heard from now on."""
        clip = read_audio(data)
        self.listener.sample_rate = clip.sample_rate
        self.hear(to_pcm(clip.samples).tobytes())

    def complain(self, code: str, message: str) -> None:
        """The door said, in its own way, that there will be no speech."""
        self.status = REFUSALS.get(code, 500)
        raise UnheardError(f"{code}: {message}")

    @asynccontextmanager
    async def asked(
        self, path: str, body: bytes, kind: str = JSON, right: int = OK, method: str = "POST"
    ) -> AsyncIterator[Answer]:
        """An answer over HTTP, if its status is the right one."""
        async with exchange(Target(self.place.url), path, {"Content-Type": kind}, body, method) as answer:
            self.status = answer.status
            self.listener.sample_rate = sample_rate_of(answer, self.listener.sample_rate)
            if answer.status != right:
                said = b"".join([data async for data in answer.body()])
                raise UnheardError(
                    f"{path}: status {answer.status} and not {right}: {said[:200].decode(errors='replace')}"
                )
            yield answer

    async def object(self, path: str, body: bytes, kind: str = JSON, right: int = OK, method: str = "POST") -> dict:
        """An answer that is one JSON object."""
        async with self.asked(path, body, kind, right, method) as answer:
            return json.loads(b"".join([data async for data in answer.body()]))

    async def play(self, path: str, body: bytes, kind: str = JSON, format: str = "pcm") -> None:
        """An answer that is bare samples or a WAV file, heard as it comes."""
        async with self.asked(path, body, kind) as answer:
            await listen(answer, self.listener, format, self.due_seconds)

    async def play_coded(self, path: str, body: bytes, format: str, sample_rate: int = 24000) -> None:
        """An answer that is compressed, heard as its packets come."""
        async with self.asked(path, body) as answer:
            pieces = [(self.now_seconds, data) async for data in answer.body()]
        self.listener = await asyncio.to_thread(replay, pieces, format, sample_rate)

    async def events(self, path: str, body: bytes) -> AsyncIterator[dict]:
        """Server-sent events; one that says what is wrong ends them."""
        pending = b""
        async with self.asked(path, body) as answer:
            async for data in answer.body():
                *whole, pending = (pending + data).split(b"\n\n")
                for line in whole:
                    event = {} if line == b"data: [DONE]" else json.loads(line.removeprefix(b"data: "))
                    if error := event.get("error"):
                        self.complain(error["code"], error["message"])
                    yield event


Going = Callable[[Visit], Awaitable[None]]


async def visit(go: Going, place: Place, due_seconds: float) -> Heard:
    """How one visit went; it was due at that reading of `time.perf_counter`."""
    one, error = Visit(place, due_seconds), ""
    lag_seconds = one.now_seconds
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await go(one)
    except (OSError, EOFError, TimeoutError, ValueError, LookupError, ParlandoError, UnheardError) as failure:
        error = f"{type(failure).__name__}: {failure}"
    kind = Answered if one.silent else Heard
    return kind.by(one.listener, one.status, lag_seconds, one.now_seconds, error)
