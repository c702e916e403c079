"""Wyoming as Home Assistant speaks it: events by the protocol's own package, over a real socket."""

from __future__ import annotations

import json
import socket

import pytest
from typer.testing import CliRunner
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.error import Error
from wyoming.info import Describe, Info
from wyoming.tts import (
    Synthesize,
    SynthesizeChunk,
    SynthesizeStart,
    SynthesizeStop,
    SynthesizeStopped,
    SynthesizeVoice,
)

from parlando.cli.app import build_app
from waiting import HANG_SECONDS


@pytest.fixture(scope="module")
def home(serving):
    with serving(wyoming_port=0, limits={"max_body_bytes": 100_000}) as running:
        yield running


@pytest.fixture
def port(home):
    yield home.service.ports["wyoming"]
    home.model.lm.step_seconds, home.model.lm.failures = 0.0, []
    home.wait_until(home.idle)


def run(port, work):
    """``work`` with a client, to its end."""
    import asyncio

    async def main():
        async with AsyncTcpClient("127.0.0.1", port) as client:
            return await asyncio.wait_for(work(client), HANG_SECONDS)

    return asyncio.run(main())


async def events(client, last):
    """Everything up to an event of that type, or to the end of the connection."""
    got = []
    while (event := await client.read_event()) is not None:
        got.append(event)
        if last.is_type(event.type):
            break
    return got


def seconds(got):
    return sum(AudioChunk.from_event(event).seconds for event in got if AudioChunk.is_type(event.type))


def test_describe_lists_the_voices(port):
    async def work(client):
        await client.write_event(Describe().event())
        return Info.from_event(await client.read_event())

    (program,) = run(port, work).tts
    assert program.supports_synthesize_streaming
    assert {voice.name: voice.languages for voice in program.voices} == {"ada": ["en"], "bob": ["en"]}


@pytest.mark.parametrize(
    ("voice", "name"),
    [
        (None, "ada"),
        (SynthesizeVoice(name="bob"), "bob"),
        (SynthesizeVoice(language="en"), "ada"),
        (SynthesizeVoice(language="xx"), "ada"),
    ],
)
def test_synthesize(home, port, voice, name):
    async def work(client):
        await client.write_event(Synthesize("Hello there.", voice=voice).event())
        return await events(client, AudioStop)

    got = run(port, work)
    start = AudioStart.from_event(got[0])
    assert (start.rate, start.width, start.channels) == (24000, 2, 1)
    assert seconds(got) == pytest.approx(1.0)
    assert home.model.asked[-1][1].name == name


def test_text_that_is_still_written_is_spoken_sentence_by_sentence(port):
    async def work(client):
        await client.write_event(SynthesizeStart(voice=SynthesizeVoice(name="bob")).event())
        for piece in ("Hello there. And", " now the re"):
            await client.write_event(SynthesizeChunk(piece).event())
        first = [await client.read_event(), await client.read_event()]
        await client.write_event(SynthesizeChunk("st.").event())
        # Home Assistant repeats the whole text for servers that cannot stream.
        await client.write_event(Synthesize("Hello there. And now the rest.").event())
        await client.write_event(SynthesizeStop().event())
        return first + await events(client, SynthesizeStopped)

    got = run(port, work)
    assert seconds(got) == pytest.approx(2.1)
    assert [event.type for event in got if event.type != "audio-chunk"] == [
        "audio-start", "audio-stop", "synthesize-stopped",
    ]  # fmt: skip


def test_several_on_one_connection_come_in_order(port):
    async def work(client):
        await client.write_event(Synthesize("Hello there.").event())
        await client.write_event(Synthesize("Hello there. And once more.").event())
        return [seconds(await events(client, AudioStop)) for _ in range(2)]

    assert run(port, work) == pytest.approx([1.0, 2.1])


@pytest.mark.parametrize("sent", [Synthesize("Hi.", voice=SynthesizeVoice(name="nobody")), Synthesize("...")])
def test_an_error_is_told_and_ends_the_connection(port, sent):
    async def work(client):
        await client.write_event(sent.event())
        got = await events(client, AudioStop)
        return got, await client.read_event()

    got, after = run(port, work)
    assert [Error.is_type(event.type) for event in got] == [True]
    assert after is None


def test_a_failure_on_the_way_and_a_client_that_leaves_free_the_row(home, port):
    home.model.lm.step_seconds = 0.02

    async def failing(client):
        await client.write_event(Synthesize("A long one.").event())
        await client.read_event()
        home.model.lm.failures = [RuntimeError("out of memory")]
        return await events(client, AudioStop)

    assert run(port, failing)[-1].type == "error"

    async def leaving(client):
        await client.write_event(Synthesize("An endless one.").event())
        await client.read_event()

    run(port, leaving)
    home.wait_until(home.idle)


HEADS = [
    b"GET / HTTP/1.1\r\n\r\n",
    b"[1]\n",
    b'{"type": "synthesize", "data": {"text": 7}}\n',
    b'{"type": "synthesize", "data_length": -1}\n',
    b'{"type": "synthesize", "payload_length": 1000000000}\n',
    b'{"type": "synthesize", "data_length": "x"}\n',
    b'{"type": "synthesize", "data_length": 3}\nabc',
    b"x" * 100_000 + b"\n",
]


@pytest.mark.parametrize("head", HEADS, ids=lambda head: str(head[:30]))
def test_what_cannot_be_read_is_an_error_and_the_end(port, head):
    with socket.create_connection(("127.0.0.1", port), timeout=HANG_SECONDS) as connection:
        connection.sendall(head)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        try:
            while data := connection.recv(65536):
                received += data
        except ConnectionResetError:
            pass
    assert not received or json.loads(received.split(b"\n", 1)[0])["type"] == "error"
    assert received or len(head) > 65_536


def test_a_taken_port_and_keys_are_refused_in_one_line(port, tmp_path):
    line = ["serve", "--port", "0", "--wyoming-port", str(port)]
    assert "choose another" in str(CliRunner().invoke(build_app(), line).exception)
