"""A load on any server that speaks OpenAI's ``/v1/audio/speech``: requests by the clock, or so many at a time."""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from parlando.core.errors import ConfigError
from parlando.evaluate.load.http_stream import Answer, Target, exchange
from parlando.evaluate.load.listener import Listener
from parlando.evaluate.load.prompts import prompts

LoadKind = Literal["rate", "concurrency"]
OK = 200
REFUSED = (429, 503)
WAV_HEADER_BYTES = 44
RATE = re.compile(r"rate=(\d+)")


@dataclass(frozen=True)
class Ask:
    """What every request of a load asks for; ``sample_rate`` (hertz) holds where the answer does not say its own."""

    url: str
    model: str = "tts-1"
    voice: str | None = None
    key: str | None = None
    format: Literal["pcm", "wav"] = "pcm"
    sample_rate: int = 24000
    more: Mapping[str, Any] = field(default_factory=dict)
    timeout_seconds: float = 120.0

    @property
    def target(self) -> Target:
        """Where to."""
        return Target(self.url)

    @property
    def headers(self) -> dict[str, str]:
        """The headers of a request."""
        key = {} if self.key is None else {"Authorization": f"Bearer {self.key}"}
        return {"Content-Type": "application/json", **key}

    def body(self, text: str) -> bytes:
        """The body of a request for this text."""
        voice = {} if self.voice is None else {"voice": self.voice}
        return json.dumps(
            {"model": self.model, "input": text, "response_format": self.format, **voice, **self.more}
        ).encode()


@dataclass(frozen=True)
class Level:
    """One load: ``rate`` requests a second, by chance (open loop), or ``concurrency`` at all times (closed loop)."""

    kind: LoadKind
    value: float
    seconds: float = 30.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not (self.value > 0 and self.seconds > 0):
            raise ConfigError(f"a load of {self.kind} {self.value:g} for {self.seconds:g} s is none")

    def arrivals(self) -> Iterator[float]:
        """Seconds from the beginning at which the requests of an open loop come: a Poisson process."""
        chance, now_seconds = random.Random(self.seed), 0.0
        while (now_seconds := now_seconds + chance.expovariate(self.value)) < self.seconds:
            yield now_seconds


@dataclass(frozen=True)
class Heard:
    """How one request went; seconds count from when it was due. ``status`` 0 is no answer at all."""

    status: int
    lag_seconds: float
    total_seconds: float
    error: str = ""
    first_byte_seconds: float | None = None
    playable_seconds: float | None = None
    audible_seconds: float | None = None
    audio_seconds: float = 0.0
    underrun_seconds: float = 0.0
    gaps: int = 0

    @classmethod
    def by(cls, listener: Listener, status: int, lag_seconds: float, total_seconds: float, error: str = "") -> Self:
        """How it went for this listener."""
        return cls(
            status,
            lag_seconds,
            total_seconds,
            error,
            listener.first_byte_seconds,
            listener.playable_seconds,
            listener.audible_seconds,
            listener.audio_seconds,
            listener.underrun_seconds,
            listener.gaps,
        )

    @property
    def outcome(self) -> Literal["done", "refused", "failed"]:
        """Whether it was spoken, refused in good order, or neither."""
        if self.status in REFUSED:
            return "refused"
        return "done" if self.status == OK and not self.error and self.audio_seconds else "failed"


async def ask(wanted: Ask, text: str, due_seconds: float) -> Heard:
    """One request, listened to; it was due at that reading of `time.perf_counter`."""
    lag_seconds = time.perf_counter() - due_seconds
    status, error, listener = 0, "", Listener(wanted.sample_rate)
    try:
        async with asyncio.timeout(wanted.timeout_seconds):
            async with exchange(wanted.target, "/v1/audio/speech", wanted.headers, wanted.body(text)) as answer:
                status = answer.status
                if status == OK:
                    listener.sample_rate = sample_rate_of(answer, wanted.sample_rate)
                    await listen(answer, listener, wanted.format, due_seconds)
    except (OSError, EOFError, TimeoutError, ValueError) as failure:
        error = f"{type(failure).__name__}: {failure}"
    return Heard.by(listener, status, lag_seconds, time.perf_counter() - due_seconds, error)


async def run_level(level: Level, request: Callable[[float], Awaitable[Heard]]) -> list[Heard]:
    """Carry out a load; ``request`` is called with the moment at which it was due."""
    if level.kind == "concurrency":
        return await _closed_loop(level, request)
    begun_seconds = time.perf_counter()
    tasks = []
    for arrival_seconds in level.arrivals():
        due_seconds = begun_seconds + arrival_seconds
        await asyncio.sleep(max(0.0, due_seconds - time.perf_counter()))
        tasks.append(asyncio.ensure_future(request(due_seconds)))
    return list(await asyncio.gather(*tasks))


async def _closed_loop(level: Level, request: Callable[[float], Awaitable[Heard]]) -> list[Heard]:
    until_seconds = time.perf_counter() + level.seconds

    async def one_after_the_other() -> list[Heard]:
        heard = []
        while (now_seconds := time.perf_counter()) < until_seconds:
            heard.append(await request(now_seconds))
            if heard[-1].outcome != "done":
                await asyncio.sleep(0.1)
        return heard

    gathered = await asyncio.gather(*(one_after_the_other() for _ in range(round(level.value))))
    return [heard for several in gathered for heard in several]


async def listen(answer: Answer, listener: Listener, format: str, due_seconds: float) -> None:
    """Play an answer of bare samples or of a WAV file as it comes; it was due at that reading of the clock."""
    header = b"" if format == "wav" else None
    async for data in answer.body():
        now_seconds = time.perf_counter() - due_seconds
        if header is not None:
            header += data
            listener.first_byte_seconds = listener.first_byte_seconds or now_seconds
            if len(header) <= WAV_HEADER_BYTES:
                continue
            listener.sample_rate = int.from_bytes(header[24:28], "little")
            data, header = header[WAV_HEADER_BYTES:], None
        listener.hear(data, now_seconds)


def sample_rate_of(answer: Answer, otherwise: int) -> int:
    """The rate (hertz) that an answer says it has."""
    said = answer.headers.get("x-sample-rate", "")
    match = RATE.search(answer.headers.get("content-type", ""))
    return int(said) if said.isdigit() else int(match[1]) if match else otherwise


@dataclass(frozen=True)
class LevelResult:
    """A load and how all its requests went, in ``seconds`` from the first to the end of the last."""

    level: Level
    heard: tuple[Heard, ...]
    seconds: float


def run_load(wanted: Ask, levels: list[Level], warm_up: int = 2, seed: int = 0) -> list[LevelResult]:
    """Carry out the loads one after the other, with a few requests before them that do not count.

    Raises:
        ConfigError: the server does not answer as it should even without a load.
    """

    async def everything() -> list[LevelResult]:
        texts = prompts(seed)
        for _ in range(warm_up):
            heard = await ask(wanted, next(texts), time.perf_counter())
            if heard.outcome == "failed":
                raise ConfigError(f"{wanted.url} does not speak (status {heard.status}, {heard.error or 'no sound'})")
        results = []
        for level in levels:
            begun_seconds = time.perf_counter()
            heard_all = await run_level(level, lambda due_seconds: ask(wanted, next(texts), due_seconds))
            results.append(LevelResult(level, tuple(heard_all), time.perf_counter() - begun_seconds))
        return results

    return asyncio.run(everything())
