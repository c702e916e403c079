"""The server of a soak in a process of its own: what it holds, and what it complains of in its log."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from parlando.evaluate.load.http_stream import Target, exchange
from parlando.evaluate.load.serve_load import OK

READY_SECONDS, SETTLE_SECONDS, PAUSE_SECONDS = 120.0, 60.0, 0.2


@dataclass(frozen=True)
class State:
    """What a server holds."""

    streams: float
    queue: float
    slots_taken: float
    worker_restarts: float
    open_files: int
    threads: int
    memory_mebibytes: float

    @property
    def idle(self) -> bool:
        return not (self.streams or self.queue or self.slots_taken)

    def no_more_than(self, before: State) -> bool:
        """Whether nothing was left open that was not open then."""
        return self.open_files <= before.open_files and self.threads <= before.threads


class Server:
    """`parlando serve` in a process of its own, and what it says in its log."""

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.url, self.ports = "", {}
        self.complaints: list[str] = []
        self._log = threading.Thread(target=self._read)

    def __enter__(self) -> Server:
        self._log.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(SETTLE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self.complaints.append(f"it did not end within {SETTLE_SECONDS:g} s of being told to")
        self._log.join()
        self._process.stderr.close()

    def _read(self) -> None:
        for line in self._process.stderr:
            try:
                said = json.loads(line)
            except ValueError:
                self.complaints.append(line.strip())
                continue
            if said.get("event") == "listening":
                self.url = said.get("url", self.url)
                self.ports |= {said["protocol"]: said["port"]} if "protocol" in said else {}
            elif said.get("level") == "error" or "trace" in said:
                self.complaints.append(line.strip())

    async def ready(self, protocols: Sequence[str]) -> None:
        """Wait until it has spoken, and listens wherever it should."""
        async with asyncio.timeout(READY_SECONDS):
            while not (self.url and set(protocols) <= set(self.ports) and await self._answers("/ready")):
                if self._process.poll() is not None:
                    raise SystemExit("\n".join(["the server has ended:", *self.complaints]))
                await asyncio.sleep(PAUSE_SECONDS)

    async def _answers(self, path: str) -> bool:
        with contextlib.suppress(OSError, EOFError):
            async with exchange(Target(self.url), path, {}, method="GET") as answer:
                return answer.status == OK
        return False

    @property
    def memory_mebibytes(self) -> float:
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    async def state(self) -> State:
        """What it holds now, by its metrics and by the system's account of the process."""
        async with exchange(Target(self.url), "/metrics", {}, method="GET") as answer:
            lines = b"".join([data async for data in answer.body()]).decode().splitlines()
        values = dict(line.rpartition(" ")[::2] for line in lines)

        def total(name: str) -> float:
            return sum(float(value) for key, value in values.items() if key.startswith(f"parlando_{name}{{"))

        process = Path(f"/proc/{self._process.pid}")
        return State(
            total("streams_running"),
            total("queue"),
            total("slots") - total("slots_free"),
            total("worker_restarts"),
            len(os.listdir(process / "fd")),
            len(os.listdir(process / "task")),
            self.memory_mebibytes,
        )

    async def settled(self, enough: Callable[[State], bool]) -> State:
        """Its state as soon as it is so, or after a minute whatever it is."""
        until = time.perf_counter() + SETTLE_SECONDS
        while not enough(state := await self.state()) and time.perf_counter() < until:
            await asyncio.sleep(PAUSE_SECONDS)
        return state
