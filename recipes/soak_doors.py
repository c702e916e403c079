"""Every door of `parlando serve`, as its clients use it: what the soak asks for, and how it hears the answer."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlencode

from parlando.evaluate.load.serve_load import OK
from soak_visit import Going, Visit

WORD_SECONDS, LONG, ENOUGH_SECONDS = 0.02, 20, 1.0
CREATED = 201
SPEECH, CHAT, VOICES = "/v1/audio/speech", "/v1/chat/completions", "/v1/audio/voices"
LIVE, ELEVEN = "/v1/audio/speech/stream", "/v1/text-to-speech"
FORM = "application/x-www-form-urlencoded"


def spoken(text: str, **more: object) -> bytes:
    return json.dumps({"input": text, **more}).encode()


def said(text: str, **more: object) -> bytes:
    return json.dumps({"messages": [{"role": "user", "content": text}], **more}).encode()


def multipart(fields: dict[str, str], name: str, recording: bytes) -> tuple[bytes, str]:
    """A form with a recording in it, and its media type."""
    mark, head = secrets.token_hex(8), 'Content-Disposition: form-data; name="'
    parts = [f'--{mark}\r\n{head}{key}"\r\n\r\n{value}\r\n'.encode() for key, value in fields.items()]
    file = f'--{mark}\r\n{head}{name}"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n'.encode() + recording
    return b"".join(parts) + file + f"\r\n--{mark}--\r\n".encode(), f"multipart/form-data; boundary={mark}"


async def speech_pcm(one: Visit) -> None:
    await one.play(SPEECH, spoken(one.text(), response_format="pcm"))


async def speech_wav(one: Visit) -> None:
    await one.play(SPEECH, spoken(one.text(), response_format="wav", sample_rate=16000), format="wav")


async def speech_coded(format: str, one: Visit, **more: object) -> None:
    await one.play_coded(SPEECH, spoken(one.text(), response_format=format, **more), format)


async def speech_events(one: Visit) -> None:
    last = {}
    async for last in one.events(SPEECH, spoken(one.text(), response_format="pcm", stream_format="sse")):
        one.hear(base64.b64decode(last.get("audio", "")))
    if last.get("type") != "speech.audio.done":
        raise EOFError("the events ended before speech.audio.done")


async def chat_whole(one: Visit) -> None:
    answer = await one.object(CHAT, said(one.text()))
    one.whole(base64.b64decode(answer["choices"][0]["message"]["audio"]["data"]))


async def chat_events(one: Visit) -> None:
    event = None
    async for event in one.events(CHAT, said(one.text(), stream=True)):
        for choice in event.get("choices", ()):
            one.hear(base64.b64decode(choice["delta"].get("audio", {}).get("data", "")))
    if event != {}:
        raise EOFError("the events ended before [DONE]")


async def tts(one: Visit) -> None:
    one.whole(base64.b64decode((await one.object("/tts", json.dumps({"text": one.text()}).encode()))["audio"]))


async def eleven_coded(output: str, one: Visit) -> None:
    format, rate, *_ = output.split("_")
    path = f"{ELEVEN}/{one.place.voice}/stream?output_format={output}"
    await one.play_coded(path, json.dumps({"text": one.text()}).encode(), format, int(rate))


async def form_sft(one: Visit) -> None:
    body = urlencode({"tts_text": one.text(), "spk_id": one.place.voice}).encode()
    await one.play("/inference_sft", body, FORM)


async def form_zero_shot(one: Visit) -> None:
    fields = {"tts_text": one.text(), "prompt_text": one.place.recording_text}
    await one.play("/inference_zero_shot", *multipart(fields, "prompt_wav", one.place.recording))


async def own_voice(one: Visit) -> None:
    """Upload a voice, hear it, and delete it."""
    name = f"soak-{secrets.token_hex(4)}"
    fields = {"name": name, "text": one.place.recording_text, "consent": "It is the server's own voice."}
    await one.object(VOICES, *multipart(fields, "audio_sample", one.place.recording), right=CREATED)
    one.due_seconds = time.perf_counter()
    await speech_in(one, name)
    status = one.status
    await one.object(f"{VOICES}/{name}", b"", method="DELETE")
    one.status = status


async def speech_in(one: Visit, voice: str) -> None:
    await one.play(SPEECH, spoken(one.text(), response_format="pcm", voice=voice))


async def leave(one: Visit) -> None:
    """Go in the middle of a long answer."""
    async with one.asked(SPEECH, spoken(one.text() * LONG, response_format="pcm")) as answer:
        async for data in answer.body():
            one.hear(data)
            if one.listener.audio_seconds > ENOUGH_SECONDS:
                return


async def leave_events(one: Visit) -> None:
    """Go in the middle of a long answer in events."""
    body = spoken(one.text() * LONG, response_format="pcm", stream_format="sse")
    async with aclosing(one.events(SPEECH, body)) as events:
        async for event in events:
            one.hear(base64.b64decode(event.get("audio", "")))
            if one.listener.audio_seconds > ENOUGH_SECONDS:
                return


async def nonsense(path: str, body: bytes, right: int, one: Visit) -> None:
    one.silent = True
    async with one.asked(path, body, right=right) as answer:
        async for _ in answer.body():
            pass


@asynccontextmanager
async def wire(one: Visit, path: str, messages: list[dict]) -> AsyncIterator[tuple[AsyncIterator[dict], Any]]:
    """A WebSocket into which messages are written at a writer's pace, and what it says, with the socket itself."""
    from websockets.asyncio.client import connect
    from websockets.exceptions import WebSocketException

    address = one.place.url.replace("http", "ws", 1) + path
    try:
        async with connect(address, max_size=None, compression=None) as socket:
            writing = asyncio.ensure_future(write(socket, messages))
            try:
                yield (json.loads(message) async for message in socket), socket
            finally:
                writing.cancel()
                await asyncio.gather(writing, return_exceptions=True)
    except WebSocketException as error:
        raise EOFError(f"{path}: {error}") from error


async def write(socket: Any, messages: list[dict]) -> None:
    for message in messages:
        await socket.send(json.dumps(message))
        await asyncio.sleep(WORD_SECONDS)


async def live(one: Visit, barge_in: bool = False) -> None:
    """Two sentences, word by word, over our own WebSocket; or many, and cancelled while they are spoken."""
    text = " ".join(one.text() for _ in range(LONG if barge_in else 2))
    words = [{"type": "text", "text": f"{word} "} for word in text.split()]
    messages = [{"type": "start", "voice": one.place.voice}, *words, {"type": "end"}]
    async with wire(one, LIVE, messages) as (heard, socket):
        async for message in heard:
            if message["type"] == "error":
                one.complain(message["error"]["code"], message["error"]["message"])
            elif message["type"] == "started":
                one.status, one.listener.sample_rate = OK, message["sample_rate"]
            elif message["type"] == "audio":
                one.hear(base64.b64decode(message["audio"]))
                if barge_in and one.listener.audio_seconds > ENOUGH_SECONDS:
                    barge_in = False
                    await write(socket, [{"type": "cancel", "context": "default"}])
            elif message["type"] in ("done", "cancelled"):
                return
    raise EOFError("the connection ended before done")


async def eleven_live(several: bool, one: Visit) -> None:
    """Two sentences, word by word, as ElevenLabs' clients write them."""
    named = {"context_id": "one"} if several else {}
    words = [{"text": f"{word} ", **named} for word in f"{one.text()} {one.text()}".split()]
    end = [{"flush": True, **named}, {"close_context": True, **named}] if several else [{"text": ""}]
    kind = "multi-stream-input" if several else "stream-input"
    one.listener.sample_rate = 16000
    path = f"{ELEVEN}/{one.place.voice}/{kind}?output_format=pcm_16000"
    async with wire(one, path, [{"text": " ", **named}, *words, *end]) as (heard, _):
        async for message in heard:
            if message.get("error"):
                one.complain(message["error"], message["message"])
            one.status = OK
            one.hear(base64.b64decode(message.get("audio") or ""))
            if message.get("isFinal"):
                return
    raise EOFError("the connection ended before isFinal")


async def grpc_sft(one: Visit) -> None:
    """CosyVoice's gRPC."""
    import grpc

    from parlando.serve.cosyvoice_messages import message_classes
    from parlando.serve.doors.cosyvoice_grpc import METHOD, SERVICE

    request, response = message_classes()
    asked = request(sft_request={"spk_id": one.place.voice, "tts_text": one.text()})
    async with grpc.aio.insecure_channel(one.place.address("grpc")) as channel:
        call = channel.unary_stream(f"/{SERVICE}/{METHOD}", request.SerializeToString, response.FromString)(asked)
        try:
            one.listener.sample_rate = int(dict(await call.initial_metadata())["x-sample-rate"])
            async for part in call:
                one.status = OK
                one.hear(part.tts_audio)
        except grpc.aio.AioRpcError as error:
            one.complain(error.code().name, error.details())


async def wyoming(one: Visit) -> None:
    """Home Assistant's protocol."""
    from wyoming.audio import AudioChunk, AudioStop
    from wyoming.client import AsyncTcpClient
    from wyoming.error import Error
    from wyoming.tts import Synthesize

    host, _, port = one.place.address("wyoming").rpartition(":")
    async with AsyncTcpClient(host, int(port)) as client:
        await client.write_event(Synthesize(one.text()).event())
        while (event := await client.read_event()) is not None and not AudioStop.is_type(event.type):
            if Error.is_type(event.type):
                one.complain(Error.from_event(event).code, Error.from_event(event).text)
            if AudioChunk.is_type(event.type):
                chunk = AudioChunk.from_event(event)
                one.status, one.listener.sample_rate = OK, chunk.rate
                one.hear(chunk.audio)
    if event is None:
        raise EOFError("the connection ended before audio-stop")


@dataclass(frozen=True)
class Door:
    """A way in; ``package`` is what its client needs besides this project."""

    name: str
    go: Going
    package: str = ""

    @property
    def missing(self) -> bool:
        return bool(self.package) and find_spec(self.package) is None


LISTENER = Door("speech, pcm", speech_pcm)
DOORS = (
    Door("speech, wav", speech_wav),
    *(Door(f"speech, {name}", partial(speech_coded, name), "av") for name in ("mp3", "opus", "aac", "flac")),
    Door("speech, flac, 16 kHz, faster", partial(speech_coded, "flac", sample_rate=16000, speed=1.2), "av"),
    Door("speech, events", speech_events),
    Door("chat, whole", chat_whole),
    Door("chat, events", chat_events),
    Door("our WebSocket", live, "websockets"),
    Door("ElevenLabs, mp3", partial(eleven_coded, "mp3_44100_128"), "av"),
    Door("ElevenLabs, ulaw", partial(eleven_coded, "ulaw_8000"), "av"),
    Door("ElevenLabs, stream-input", partial(eleven_live, False), "websockets"),
    Door("ElevenLabs, multi-stream-input", partial(eleven_live, True), "websockets"),
    Door("CosyVoice, sft", form_sft),
    Door("CosyVoice, zero-shot", form_zero_shot),
    Door("CosyVoice, gRPC", grpc_sft, "grpc"),
    Door("tts, whole", tts),
    Door("Wyoming", wyoming, "wyoming"),
    Door("voice up, heard, deleted", own_voice),
    Door("left early", leave),
    Door("left early, events", leave_events),
    Door("barge-in, our WebSocket", partial(live, barge_in=True), "websockets"),
    Door("unknown voice", partial(nonsense, SPEECH, spoken("Hello.", voice="nobody"), 404)),
    Door("broken JSON", partial(nonsense, SPEECH, b'{"input": ', 400)),
    Door("no such path", partial(nonsense, "/v1/nowhere", b"", 404)),
)
