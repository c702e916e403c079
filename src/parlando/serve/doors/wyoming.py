"""Wyoming, Home Assistant's protocol, on a port of its own: describe, synthesize, and text that is still written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from parlando.core.errors import ConfigError, ParlandoError
from parlando.serve.allowance import Allowance
from parlando.serve.call import Call
from parlando.serve.gate import SideGate
from parlando.serve.livetext import LiveText, Piece, pieces_of
from parlando.serve.problems import problem_of
from parlando.serve.service import Service, Speaking
from parlando.serve.wyoming import LONGEST_LINE_BYTES, described, event, read_event, text_of, wanted


@asynccontextmanager
async def listening(service: Service, gate: SideGate) -> AsyncIterator[None]:
    """The door, open as long as the context; without a port in the configuration there is none.

    Raises:
        ConfigError: the address is taken.
    """
    config = service.config
    if config.wyoming_port is None:
        yield
        return
    guests: dict[asyncio.Task[None], Guest] = {}

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task, guest = asyncio.current_task(), Guest(service, gate, reader, writer)
        assert task is not None
        guests[task] = guest
        try:
            await guest.serve()
        finally:
            del guests[task]

    try:
        server = await asyncio.start_server(receive, config.host, config.wyoming_port, limit=LONGEST_LINE_BYTES)
    except OSError as error:
        where = f"{config.host}:{config.wyoming_port}"
        raise ConfigError(f"cannot listen on {where} ({error.strerror}); choose another --wyoming-port") from error
    service.opened("wyoming", server.sockets[0].getsockname()[1])
    try:
        yield
    finally:
        server.close()
        if speaking := [task for guest in guests.values() for task in guest.speakers]:
            await asyncio.wait(speaking, timeout=config.drain_seconds)
        for task in guests:
            task.cancel()
        await asyncio.gather(*guests, return_exceptions=True)


@dataclass
class Guest:
    """One connection. What it asks for is spoken in order; its leaving ends everything."""

    service: Service
    gate: SideGate
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    speakers: set[asyncio.Task[None]] = field(default_factory=set)
    live: LiveText | None = None
    _in_order: asyncio.Lock = field(default_factory=asyncio.Lock)
    _sending: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        address = str(self.writer.get_extra_info("peername", ("local",))[0])
        self._allowance = Allowance(self.service.budgets, self.service.config.limits, address)

    async def serve(self) -> None:
        """Answer events until the client leaves, or sends what cannot be read."""
        try:
            while (heard := await read_event(self.reader, self.service.config.limits)) is not None:
                await self._take(*heard)
        except ParlandoError as error:
            await self._complain(error)
        except (OSError, TimeoutError):
            pass
        finally:
            for task in self.speakers:
                task.cancel()
            await asyncio.gather(*self.speakers, return_exceptions=True)
            self.writer.close()

    async def _take(self, type: str, data: dict[str, Any]) -> None:
        if type == "describe":
            await self._send("info", described(self.service))
        elif type == "ping":
            await self._send("pong", {"text": data.get("text")})
        elif type == "synthesize" and self.live is None:
            # With a text on its way, this only repeats it for servers that cannot stream.
            live = self._begin(data, streamed=False)
            live.say(text_of(data))
            live.end()
        elif type == "synthesize-start":
            self._stop()
            self.live = self._begin(data, streamed=True)
        elif type == "synthesize-chunk" and self.live is not None:
            self.live.push(text_of(data))
        elif type == "synthesize-stop":
            self._stop()

    def _stop(self) -> None:
        if self.live is not None:
            self.live.end()
            self.live = None

    def _begin(self, data: dict[str, Any], *, streamed: bool) -> LiveText:
        live = LiveText(self.service, wanted(self.service, data), lambda rate: pieces_of("pcm", rate), self._allowance)
        task = asyncio.ensure_future(self._speak(live, streamed))
        self.speakers.add(task)
        task.add_done_callback(self.speakers.discard)
        return live

    async def _speak(self, live: LiveText, streamed: bool) -> None:
        try:
            with self.gate.call("WYOMING", "synthesize", self._allowance.caller) as call:
                self._allowance.prepaid += 1
                async with self._in_order:
                    await self._play(live, call, streamed)
        except Exception as error:  # noqa: BLE001  the gate logs it, the client is told
            # Its clients wait for sound; that the connection ends is what they understand.
            await self._complain(error)
            self.writer.close()
        finally:
            live.cancel()

    async def _play(self, live: LiveText, call: Call, streamed: bool) -> None:
        form: dict[str, int] = {}
        async for heard in live:
            if isinstance(heard, Speaking):
                form = {"rate": heard.sample_rate, "width": 2, "channels": 1}
            elif isinstance(heard, Piece) and heard.data:
                if call.first_byte_seconds is None:
                    await self._send("audio-start", form)
                call.count(len(heard.data))
                await self._send("audio-chunk", form, heard.data)
        if call.first_byte_seconds is not None:
            await self._send("audio-stop", {})
        if streamed:
            await self._send("synthesize-stopped", {})

    async def _complain(self, error: Exception) -> None:
        problem = problem_of(error)
        with suppress(OSError, TimeoutError):
            await self._send("error", {"text": problem.message, "code": problem.code})

    async def _send(self, type: str, data: dict[str, Any], payload: bytes = b"") -> None:
        async with self._sending, asyncio.timeout(self.service.config.limits.stall_seconds):
            self.writer.write(event(type, data, payload))
            await self.writer.drain()
