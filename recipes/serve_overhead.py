"""What the server costs by itself: a second of PCM from models that take no time, over raw sockets, by turns.

    python recipes/serve_overhead.py --concurrency 1 16
    python recipes/serve_overhead.py --peer "/tmp/peer/bin/python recipes/supertonic_peer.py"

"ready" is the server whose sentences are there already, "engine" the same with a stub language model under the real
engine. A peer is a command that serves OpenAI's `/v1/audio/speech` until it is ended, and whose first line is its
address and, after a space, a JSON object of what its request has otherwise than ours.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from parlando.core.types import Frame, Notation, Prompt, SamplingOptions, Voice
from parlando.evaluate.report import markdown_table

RATE, FRAMES_PER_SECOND = 24000, 25
PER_FRAME = RATE // FRAMES_PER_SECOND
HOPS = (2, 4, 8, 11)
BODY = {"model": "tts-1", "voice": "alloy", "input": "Hello.", "response_format": "pcm"}
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


class StubSampler:
    """A second of frames, no two the same."""

    ended = False

    def __init__(self) -> None:
        self._count = 0

    def next(self, logits: object) -> Frame:
        self._count += 1
        self.ended = self._count == FRAMES_PER_SECOND
        return Frame(token=self._count)


class StubStream:
    """Copies a tone."""

    def __init__(self, tone: np.ndarray) -> None:
        self._tone, self._samples = tone, 0

    def push(self, frames: tuple[Frame, ...], final: bool) -> np.ndarray:
        start, self._samples = self._samples, self._samples + len(frames) * PER_FRAME
        return self._tone[start : self._samples].copy()

    def frames_until(self, sounding: int) -> int:
        """Nothing is held back."""
        return sounding


class StubModel:
    """All stages of a model that says a second of a tone for every sentence, and takes no time for it."""

    name, family, sample_rate, frame_rate, needs_transcript = "stub", "stub", RATE, float(FRAMES_PER_SECOND), True
    default_voice, notation, takes_instructions, arriving, converter = "ada", Notation(), False, None, None
    context_length, samples_per_frame, position_bytes = 1000, PER_FRAME, 1

    def __init__(self) -> None:
        self.lm = self.decoder = self.prompts = self
        self.sampling = SamplingOptions()
        self.voices = {"ada": Voice("ada")}
        self._tone = (0.3 * np.sin(2 * np.pi * 220 * np.arange(RATE) / RATE)).astype(np.float32)

    def new_cache(self, rows: int, length: int) -> StubModel:
        return self

    def free(self, row: int) -> None:
        pass

    def prefill(self, prompt: Prompt, cache: object, row: int, start: int = 0) -> int:
        return row

    def step(self, frames: list[Frame | None], cache: object) -> range:
        return range(len(frames))

    def build(self, sentence: str, voice: Voice) -> Prompt:
        return Prompt((1, 2, 3), np.zeros(3, bool), np.zeros((0, 1), np.int64), sentence)

    def new_sampler(self, prompt: Prompt, options: SamplingOptions) -> StubSampler:
        return StubSampler()

    def open(self, prompt: Prompt, speed: float = 1.0) -> StubStream:
        return StubStream(self._tone)


def serve(kind: str) -> None:
    """Our server, with the stub model under its engine, or with sentences that are in their four chunks already."""
    from parlando.result import Chunk
    from parlando.serve.app import build_app
    from parlando.serve.config import ServeConfig
    from parlando.serve.server import listen
    from parlando.serve.server import serve as run
    from parlando.speech import Synthesizer

    config = ServeConfig(voice_folder=tempfile.mkdtemp())
    app = build_app({"stub": Synthesizer(StubModel())}, config)
    if kind == "ready":
        chunks = [Chunk(np.zeros(frames * PER_FRAME, np.float32), RATE) for frames in HOPS]
        app.state.service.host(None).run = lambda text, request: iter(chunks)
    opened = listen("127.0.0.1", 0)
    print(f"http://127.0.0.1:{opened.getsockname()[1]}", flush=True)
    run(app, config, opened)


class Server:
    """A process that serves, and what was measured of it at one concurrency after the other."""

    def __init__(self, name: str, command: list[str]) -> None:
        self.name = name
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.url, _, other = self._process.stdout.readline().strip().partition(" ")
        self.body = json.dumps(BODY | json.loads(other or "{}")).encode()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        self._process.stdout.close()

    @property
    def processor_seconds(self) -> float:
        """Time that all threads of the process have had on a processor."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS

    def ask_until(self, until: float, first_bytes: list[float]) -> None:
        """One client on one connection, again and again."""
        parts = urlsplit(self.url)
        head = f"POST /v1/audio/speech HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
        request = f"{head}Content-Length: {len(self.body)}\r\n\r\n".encode() + self.body
        with socket.create_connection((parts.hostname, parts.port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while time.perf_counter() < until:
                started = time.perf_counter()
                connection.sendall(request)
                answer = Answer(connection)
                first_bytes.append(time.perf_counter() - started)
                answer.read()


class Answer:
    """An answer from its first bytes on, in either of HTTP's framings."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._data = self._receive()
        if not self._data.startswith(b"HTTP/1.1 200"):
            raise SystemExit(repr(self._data[:300]))

    def read(self) -> None:
        """All of it."""
        while b"\r\n\r\n" not in self._data:
            self._data += self._receive()
        head, _, end = self._data.lower().partition(b"\r\n\r\n")
        _, _, length = head.partition(b"content-length:")
        if length:
            missing = int(length.split(b"\r\n")[0]) - len(end)
            while missing > 0:
                missing -= len(self._receive())
        while not length and not end.endswith(b"\r\n0\r\n\r\n"):
            end = (end + self._receive())[-16:]

    def _receive(self) -> bytes:
        data = self._connection.recv(262144)
        if not data:
            raise SystemExit("the server closed the connection")
        return data


@dataclass
class Row:
    """A server at one concurrency, over all rounds."""

    server: Server
    concurrency: int
    first_bytes: list[float] = field(default_factory=list)
    seconds: float = 0.0
    processor_seconds: float = 0.0

    def measure(self, seconds: float) -> None:
        """One more round."""
        began, used = time.perf_counter(), self.server.processor_seconds
        arguments = (began + seconds, self.first_bytes)
        clients = [threading.Thread(target=self.server.ask_until, args=arguments) for _ in range(self.concurrency)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        self.seconds += time.perf_counter() - began
        self.processor_seconds += self.server.processor_seconds - used

    def cells(self) -> list[str]:
        """What is printed of it."""
        ranked, count = sorted(self.first_bytes), len(self.first_bytes)
        milliseconds = (statistics.median(ranked), ranked[int(0.95 * count)], self.processor_seconds / count)
        times = [f"{each * 1e3:.2f}" for each in milliseconds]
        return [self.server.name, str(self.concurrency), *times, f"{count / self.seconds:.0f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--seconds", type=float, default=2.0, help="of each turn")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each server at each concurrency")
    parser.add_argument("--peer", action="append", default=[], metavar="COMMAND")
    parser.add_argument("--serve", choices=("ready", "engine"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve:
        serve(chosen.serve)
        return
    commands = {kind: [sys.executable, __file__, "--serve", kind] for kind in ("ready", "engine")}
    commands |= {command.rpartition("/")[2]: shlex.split(command) for command in chosen.peer}
    with ExitStack() as stack:
        servers = [stack.enter_context(Server(name, command)) for name, command in commands.items()]
        for server in servers:
            Row(server, 1).measure(1.0)
        rows = [Row(server, count) for count in chosen.concurrency for server in servers]
        for _ in range(chosen.rounds):
            for row in rows:
                row.measure(chosen.seconds)
    header = ["server", "concurrency", "first byte ms, p50", "p95", "processor ms/request", "requests/s"]
    print(markdown_table(header, [row.cells() for row in rows]))


if __name__ == "__main__":
    main()
