"""ElevenLabs' WebSockets, ``stream-input`` with one text and ``multi-stream-input`` with several contexts."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, WebSocket
from pydantic import AliasChoices, Field, ValidationError

from parlando.core.errors import InputError, ParlandoError, TextError, TooLargeError
from parlando.result import Chunk
from parlando.serve.alignment import LiveAlignment, reading_of
from parlando.serve.bodies import Body
from parlando.serve.elevenlabs import DEFAULT_OUTPUT, Output, Seed, SpeechBody, VoiceSettings, utterance_of
from parlando.serve.livetext import LiveText, Mark, Piece, pieces_of
from parlando.serve.problems import POLICY
from parlando.serve.service import Service, Utterance
from parlando.serve.sockets import NORMAL, JsonSocket

PATH = "/v1/text-to-speech/{voice_id}/"
MOST_CONTEXTS = 32
NO_ALIGNMENT: dict[str, Any] = {"alignment": None, "normalizedAlignment": None}


class Message(Body):
    """What their clients send; what has no meaning here is passed over."""

    text: str | None = None
    context_id: Annotated[
        str | None, Field(max_length=128, validation_alias=AliasChoices("context_id", "contextId"))
    ] = None
    voice_settings: VoiceSettings = VoiceSettings()
    flush: bool | None = None
    close_context: bool | None = None
    close_socket: bool | None = None


@dataclass(frozen=True)
class Context:
    """A text that is written, and when its characters are heard."""

    live: LiveText
    alignment: LiveAlignment


@dataclass
class Talk:
    """One connection; without ``several`` it has one context without a name, and ends with it."""

    service: Service
    wire: JsonSocket
    wanted: Utterance
    output: Output
    several: bool
    whole_sentences: bool = False
    contexts: dict[str | None, Context] = field(default_factory=dict)
    closing: bool = False

    async def take(self, raw: dict[str, Any] | InputError) -> None:
        """Do what one message says; one that cannot be read ends the connection."""
        context = None
        try:
            if isinstance(raw, InputError):
                raise raw
            message = Message.model_validate(raw)
            context = message.context_id if self.several else None
            if message.close_socket:
                await self._close_socket()
            elif message.close_context and self.several:
                if context in self.contexts:
                    self.contexts[context].live.end(only_flushed=True)
            else:
                self._write(context, message)
        except (ParlandoError, ValidationError) as error:
            await self.complain(error, context)

    def cancel(self) -> None:
        """End every context; nothing more of them is sent."""
        for context in self.contexts.values():
            context.live.cancel()
        self.contexts.clear()

    async def complain(self, error: Exception, context: str | None = None) -> None:
        """Say what is wrong, in their words; what speaks one text ends with it."""
        problem = self.wire.trouble(error)
        told = {"message": problem.message, "error": problem.code, "code": POLICY}
        await self.wire.send({**told, "contextId": context} if self.several else told)
        if not self.several:
            self.cancel()
            await self.wire.close(POLICY, problem.message)

    def _write(self, name: str | None, message: Message) -> None:
        context = self.contexts.get(name) or self._begin(name, message.voice_settings)
        live = context.live
        try:
            if message.text:
                live.push(message.text)
                context.alignment.write(message.text)
                if self.whole_sentences:
                    live.close_turn()
            if message.flush:
                live.flush()
        except (TextError, TooLargeError):
            self.contexts.pop(name).live.cancel()
            raise
        if message.text == "" and not self.several:
            live.end()

    def _begin(self, name: str | None, settings: VoiceSettings) -> Context:
        if len(self.contexts) >= MOST_CONTEXTS:
            raise InputError(f"{MOST_CONTEXTS} contexts are open on this connection; close one first")
        wanted, allowance = replace(self.wanted, speed=settings.speed), self.wire.allowance
        making = partial(pieces_of, self.output.format, bits_per_second=self.output.bits_per_second)
        alignment = LiveAlignment(reading_of(self.service, wanted, allowance.caller))
        context = Context(LiveText(self.service, wanted, making, allowance), alignment)
        self.contexts[name] = context
        self.wire.speak(self._tell(name, context))
        return context

    async def _close_socket(self) -> None:
        self.closing = True
        for context in self.contexts.values():
            context.live.end()
        if not self.contexts:
            await self.wire.close(NORMAL)

    async def _tell(self, name: str | None, context: Context) -> None:
        """Send the audio of one context, to its end."""
        live, named = context.live, {"contextId": name} if self.several else {}
        try:
            async for heard in live:
                if isinstance(heard, Piece):
                    times = await self._times(context.alignment, heard.chunk)
                    if heard.data or times is not NO_ALIGNMENT:
                        audio = base64.b64encode(heard.data).decode("ascii")
                        told = {"audio": audio, "isFinal": None, **times, **named}
                        await self.wire.send(told, unless=lambda: live.cancelled)
                elif heard is Mark.END:
                    await self.wire.send({"audio": None, "isFinal": True, **NO_ALIGNMENT, **named})
        except Exception as error:  # noqa: BLE001  the wire logs it, the client is told
            await self.complain(error, name)
        finally:
            live.cancel()
            if self.contexts.get(name) is context:
                del self.contexts[name]
        if not self.contexts and (self.closing or not self.several):
            await self.wire.close(NORMAL)

    async def _times(self, alignment: LiveAlignment, chunk: Chunk) -> dict[str, Any]:
        """With the last sound of a sentence, when each character of it is heard; until then that is not known."""
        times = alignment.hear(chunk)
        return NO_ALIGNMENT if times is None else await self.service.bridge.call(times)


def build_router(service: Service) -> APIRouter:
    """Both WebSockets, for this service."""
    router = APIRouter(tags=["ElevenLabs"])

    async def converse(socket: WebSocket, several: bool, body: SpeechBody, voice_id: str) -> None:
        wire, asked = JsonSocket(socket, service), socket.query_params
        await wire.accept()
        auto = asked.get("auto_mode", "").lower() == "true"
        talk = Talk(service, wire, Utterance(""), Output.of(DEFAULT_OUTPUT), several, auto)
        try:
            talk.output = Output.of(asked.get("output_format", DEFAULT_OUTPUT))
            talk.wanted = utterance_of(voice_id, body, talk.output)
            service.voices.resolve(service.host(talk.wanted.model), voice_id, wire.allowance.caller)
            async for message in wire.messages():
                await talk.take(message)
        except ParlandoError as error:
            await talk.complain(error)
            await wire.close(POLICY, str(error))
        finally:
            talk.cancel()
            await wire.hang_up()

    def add(path: str, several: bool) -> None:
        @router.websocket(PATH + path)
        async def stream_input(
            socket: WebSocket,
            voice_id: str,
            model_id: str | None = None,
            language_code: str | None = None,
            seed: Annotated[Seed | None, Query()] = None,
        ) -> None:
            body = SpeechBody(text="", model_id=model_id, language_code=language_code, seed=seed)
            await converse(socket, several, body, voice_id)

    add("stream-input", several=False)
    add("multi-stream-input", several=True)
    return router
