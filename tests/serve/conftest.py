"""A model of plain Python, a server on a real loopback socket around any model, and a raw socket to be rude with."""

from __future__ import annotations

import asyncio
import importlib
import io
import json
import os
import re
import socket
import ssl
import sys
import threading
import time
from contextlib import contextmanager
from importlib.resources import files
from types import SimpleNamespace

import httpx
import numpy as np
import pytest

from browser import Browser, find_chromium
from parlando.audio.files import encode_audio
from parlando.core.types import Frame, Notation, Prompt, Reference, SamplingOptions, Voice
from parlando.serve.app import build_app
from parlando.serve.config import Limits, ServeConfig
from parlando.serve.server import listen, make_server
from parlando.speech import Synthesizer
from scripted_model import Cache
from waiting import HANG_SECONDS, wait_until
from webpage import LISTEN, READY
from whisper import whisper

RATE, PER_FRAME, FRAMES = 24000, 960, 25
LENGTHS = {"long": 60 * FRAMES, "endless": 10**9}
ICON = "data:image/svg+xml"  # the browser's own, in its controls


class StubLM:
    """``step_seconds`` is how long a step takes; what is in ``failures`` is raised by the next ones.

    ``steps`` counts them: tests ask what happened before what, not how long it took.
    """

    context_length = 100_000

    def __init__(self):
        self.step_seconds = 0.0
        self.failures = []
        self.steps = 0

    def new_cache(self, rows, length):
        self.cache = Cache(rows)
        return self.cache

    def prefill(self, prompt, cache, row, start=0):
        cache.lengths[row] = len(prompt)
        return row

    def step(self, frames, cache):
        self.steps += 1
        if self.step_seconds:
            time.sleep(self.step_seconds)
        if self.failures:
            raise self.failures.pop()
        return range(len(frames))


class StubSampler:
    """Every word takes as many frames."""

    ended = False

    def __init__(self, frames, words):
        self.left = self.frames = frames
        self.words, self.count = words, 0

    def next(self, logits):
        self.left, self.count = self.left - 1, self.count + 1
        self.ended = self.left <= 0
        return Frame(token=self.count, place=(self.count - 1) * self.words // self.frames)


class StubStream:
    """The tone, which goes on from chunk to chunk; a second of it is a whole number of periods."""

    def __init__(self, tone, speed):
        self.tone, self.speed, self.frames = tone, speed, 0

    def push(self, frames, final):
        start, self.frames = self.frames, self.frames + len(frames)
        places = np.arange(round(start * PER_FRAME / self.speed), round(self.frames * PER_FRAME / self.speed))
        return self.tone[places % RATE]

    def frames_until(self, sounding):
        return sounding


class StubDecoder:
    sample_rate, samples_per_frame = RATE, PER_FRAME

    def __init__(self):
        tone = 0.3 * np.sin(2 * np.pi * 220 * np.arange(RATE) / RATE)
        self.tone = tone.astype(np.float32)

    def open(self, prompt, speed=1.0):
        if "unvoiced" in prompt.sentence:
            return SimpleNamespace(push=lambda frames, final: np.zeros(0, np.float32), frames_until=int)
        return StubStream(self.tone, speed)


class StubModel:
    """Says one second of a tone for every sentence; ``long`` ones last a minute, ``endless`` ones fill a row.

    With 0.02 seconds a step, nobody waits for the end of an endless one: what ends it is that it was cancelled.
    """

    name, family, sample_rate, frame_rate, needs_transcript = "stub", "stub", RATE, 25.0, True
    default_voice, notation, takes_instructions, arriving, converter = "ada", Notation(), False, None, None

    def __init__(self):
        self.lm, self.decoder, self.prompts = StubLM(), StubDecoder(), self
        self.sampling = SamplingOptions()
        self.voices = {
            "ada": Voice("ada", "a mature woman", display_name="Ada Lake"),
            "bob": Voice("bob", "an American man"),
        }
        self.asked = []
        self.encodings = 0

    def build(self, sentence, voice):
        self.asked.append((sentence, voice))
        return Prompt((1, 2, 3), np.zeros(3, bool), np.zeros((0, 1), np.int64), sentence)

    def new_sampler(self, prompt, options):
        wanted = [frames for word, frames in LENGTHS.items() if word in prompt.sentence]
        return StubSampler(wanted[0] if wanted else FRAMES, len(self.spans(prompt.sentence)))

    def spans(self, sentence):
        return [word.span() for word in re.finditer(r"\S+", sentence)]

    def refer(self, text, samples, sample_rate):
        return Reference(text, self.encode(samples, sample_rate))

    def encode(self, samples, sample_rate):
        self.encodings += 1
        return np.arange(8, dtype=np.int64)[None]


class Running:
    """A server, how to reach it, and what is inside."""

    wait_until = staticmethod(wait_until)

    def __init__(self, synthesizer, config, verify=True):
        synthesizers = synthesizer if isinstance(synthesizer, list) else [synthesizer]
        synthesizer = synthesizers[0]
        self.app = build_app({each.model.name: each for each in synthesizers}, config)
        self.service = self.app.state.service
        self.model = synthesizer.model
        self.opened = listen("127.0.0.1", 0, config.limits.stall_seconds)
        self.port = self.opened.getsockname()[1]
        self.url = f"{'https' if config.tls_cert else 'http'}://127.0.0.1:{self.port}"
        self.server = make_server(self.app, config)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.opened]}, daemon=True)
        self.thread.start()
        self.http = httpx.Client(base_url=self.url, timeout=HANG_SECONDS, verify=verify)
        self.connections = []

    def wait_until_ready(self):
        self.wait_until(lambda: self.server.started)
        self.wait_until(lambda: self.http.get("/ready").status_code == 200)
        return self

    def openai(self, key="none"):
        import openai

        client = openai.OpenAI(base_url=f"{self.url}/v1", api_key=key, max_retries=0)
        self.connections.append(client)
        return client

    def say(self, text="Hello.", **more):
        return self.http.post("/v1/audio/speech", json={"input": text, "response_format": "pcm", **more})

    @property
    def host(self):
        return self.service.host(None)

    def idle(self):
        """Nothing runs: no stream, no row, no thread in a stream."""
        engine = self.host.synthesizer.engine
        return self.service.admissions[self.host.name].streams == 0 and engine.free_rows == self.host.rows

    def connect(self):
        """A socket; closed with the server if not before."""
        self.connections.append(socket.create_connection(("127.0.0.1", self.port), timeout=HANG_SECONDS))
        return self.connections[-1]

    def send(self, body, path="/v1/audio/speech", headers=""):
        """A request by hand; returns the open socket."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(data)}\r\n{headers}\r\n"
        )
        connection = self.connect()
        connection.sendall(head.encode() + data)
        return connection

    def stop(self):
        self.http.close()
        for connection in self.connections:
            connection.close()
        self.server.should_exit = True
        self.thread.join(HANG_SECONDS)
        assert not self.thread.is_alive()
        self.opened.close()


def read_all(connection):
    """Everything until the other side closes."""
    received = b""
    with connection:
        while data := connection.recv(65536):
            received += data
    return received


PATIENT = {"max_first_audio_seconds": 60.0}  # a busy machine is no reason to refuse


@pytest.fixture(scope="session")
def raw():
    return SimpleNamespace(read_all=read_all)


def decode(data):
    """Samples and rate of a file by ffmpeg's decoders."""
    import av

    with av.open(io.BytesIO(data)) as container:
        frames = list(container.decode(audio=0))
    blocks = [frame.to_ndarray().astype(np.float64).mean(axis=0) for frame in frames]
    return np.concatenate(blocks), frames[0].sample_rate


@pytest.fixture(scope="session")
def decoded():
    return decode


@pytest.fixture(scope="session")
def serving(tmp_path_factory):
    """Start servers as `serving(limits={...}, **config)`; they are stopped at the end."""

    @contextmanager
    def started(synthesizer=None, limits=None, verify=True, **config):
        given = {"voice_folder": str(tmp_path_factory.mktemp("voices")), "drain_seconds": 2.0, **config}
        settings = ServeConfig(**given, limits=Limits(**{**PATIENT, **(limits or {})}))
        verify = ssl.create_default_context(cafile=verify) if isinstance(verify, str) else verify
        running = Running(synthesizer or Synthesizer(StubModel()), settings, verify)
        try:
            yield running.wait_until_ready()
        finally:
            running.stop()

    return started


@pytest.fixture
def fresh(serving):
    """A server that nobody has asked anything."""
    with serving() as running:
        yield running


@pytest.fixture(scope="module")
def patient(serving):
    """One server for many requests that change nothing."""
    with serving() as running:
        yield running


@pytest.fixture
def stub(patient):
    """The same one, for tests that slow its model down or break it; it is idle and well before each."""
    yield patient
    patient.model.lm.step_seconds, patient.model.lm.failures = 0.0, []
    patient.wait_until(patient.idle)


def what_is_there(running):
    """Counts that must not grow: tasks, threads but for the pools', descriptors, files, sessions."""

    async def tasks():
        return len(asyncio.all_tasks()) - 1

    engine = running.host.synthesizer.engine
    return {
        "tasks": asyncio.run_coroutine_threadsafe(tasks(), running.service.loop).result(HANG_SECONDS),
        "threads": sum(not thread.name.startswith("parlando-") for thread in threading.enumerate()),
        "files": len(list(os.scandir(running.service.config.voice_folder))),
        "descriptors": len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0,
        "streams": len(running.service.bridge._open),
        "waiting": engine.metrics().waiting,
        "decoding": running.host.synthesizer._decoding.waiting,
    }


@pytest.fixture(scope="session")
def unharmed():
    """A server within the block that is afterwards as it was, and speaks."""

    @contextmanager
    def watched(running):
        running.say()
        running.wait_until(running.idle)
        before = what_is_there(running)
        yield running
        running.model.lm.step_seconds, running.model.lm.failures = 0.0, []
        running.wait_until(running.idle)
        running.wait_until(lambda: all(what_is_there(running)[name] <= count for name, count in before.items()))
        assert len(running.say().content) == 48000

    return watched


@pytest.fixture
def sound(stub, unharmed):
    """The stub server, watched."""
    with unharmed(stub):
        yield stub


@pytest.fixture(scope="session")
def spoken(serving):
    """A server with the packaged model."""
    import parlando

    with serving(parlando.load(rows=2), grpc_port=0, cosyvoice_rate=0) as running:
        yield running


@pytest.fixture(scope="session")
def several_stubs():
    """Synthesizers of stub models with these names."""

    def made(*names, rows=8):
        synthesizers = [Synthesizer(StubModel(), rows) for _ in names]
        for name, synthesizer in zip(names, synthesizers, strict=True):
            synthesizer.model.name = name
        return synthesizers

    return made


@pytest.fixture(scope="session")
def cosyvoice_stubs(tmp_path_factory):
    """Messages and stub of CosyVoice's gRPC, generated from the interface that is published."""
    from grpc_tools import protoc

    folder = tmp_path_factory.mktemp("generated")
    source = files("parlando.serve") / "cosyvoice.proto"
    line = ["", f"-I{source.parent}", f"--python_out={folder}", f"--grpc_python_out={folder}", str(source)]
    assert protoc.main(line) == 0
    sys.path.insert(0, str(folder))
    try:
        yield importlib.import_module("cosyvoice_pb2"), importlib.import_module("cosyvoice_pb2_grpc")
    finally:
        sys.path.remove(str(folder))


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    program = find_chromium()
    if program is None:
        pytest.skip("there is no Chromium; install the package chromium to test the page")
    spoken = tmp_path_factory.mktemp("microphone") / "said.wav"
    spoken.write_bytes(encode_audio(whisper(3.0), 24000))
    running = Browser(program, f"--use-file-for-fake-audio-capture={spoken}")
    yield running
    running.close()


@pytest.fixture
def open_page(browser, stub):
    """Open the page of the stub's server, ready; at the end nothing may have complained."""
    opened = []

    def opener(**options):
        context = browser.page(f"{stub.url}/", script=LISTEN, **options)
        page = context.__enter__()
        opened.append((context, page))
        page.wait(READY)
        return page

    yield opener
    # A window that was closed on the way complains of the icon that it still waits for, at the empty page behind.
    complaints = [[error for error in page.errors if not error.endswith("about:blank")] for _, page in opened]
    strangers = [request["url"] for _, page in opened for request in page.requests]
    for context, _ in opened:
        context.__exit__(None, None, None)
    assert complaints == [[] for _ in opened]
    assert [url for url in strangers if not url.startswith((stub.url, "blob:", ICON))] == []
