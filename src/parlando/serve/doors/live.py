"""Our own WebSocket, ``/v1/audio/speech/stream``: text in while it is written, audio out while it is read."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fastapi import APIRouter, WebSocket
from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter, ValidationError

from parlando.core.errors import InputError, ParlandoError, TextError, TooLargeError
from parlando.serve.alignment import reading_of
from parlando.serve.doors.speech import usage, utterance_of
from parlando.serve.livetext import LiveText, Mark, Piece, pieces_of
from parlando.serve.problems import openai_shape
from parlando.serve.schemas import DEFAULT_CONTEXT, LiveMessage, LiveSign, LiveStart, LiveWords
from parlando.serve.sentences import Sentences
from parlando.serve.service import Service, Speaking
from parlando.serve.sockets import JsonSocket
from parlando.text.alignment import WordFinder

MOST_CONTEXTS = 32
MESSAGES: TypeAdapter[LiveStart | LiveWords | LiveSign] = TypeAdapter(LiveMessage)


def build_router(service: Service) -> APIRouter:
    """The WebSocket, for this service."""
    router = APIRouter(tags=["live"])

    @router.websocket("/v1/audio/speech/stream")
    async def live(socket: WebSocket) -> None:
        wire = JsonSocket(socket, service)
        await wire.accept()
        conversation = Conversation(service, wire)
        try:
            async for message in wire.messages():
                await conversation.take(message)
        finally:
            conversation.cancel()
            await wire.hang_up()

    return router


class Conversation:
    """The contexts of one connection, by name."""

    def __init__(self, service: Service, wire: JsonSocket) -> None:
        self._service, self._wire = service, wire
        self._contexts: dict[str, LiveText] = {}

    async def take(self, raw: dict[str, Any] | InputError) -> None:
        """Do what one message says; what is wrong with it is told, and the connection goes on."""
        context = None
        try:
            if isinstance(raw, InputError):
                raise raw
            context = raw.get("context", DEFAULT_CONTEXT if raw.get("type") in ("start", "text") else None)
            message = MESSAGES.validate_python(raw)
            warnings = self._wire.heed(message)
            if isinstance(message, LiveStart):
                self._begin(message, warnings)
            elif isinstance(message, LiveWords):
                if message.context not in self._contexts:
                    self._begin(LiveStart(type="start", context=message.context))
                live, text = self._contexts[message.context], message.text
                await self._heed(message.context, lambda: live.push(text))
            else:
                await self._sign(message)
        except (ParlandoError, ValidationError, RequestValidationError) as error:
            await self._complain(error, context if isinstance(context, str) else None)

    def cancel(self) -> None:
        """End every context; nothing more of them is sent."""
        for live in self._contexts.values():
            live.cancel()
        self._contexts.clear()

    def _begin(self, start: LiveStart, warnings: Sequence[str] = ()) -> None:
        if start.context in self._contexts:
            raise InputError(f"context '{start.context}' is there already; end or cancel it first")
        if len(self._contexts) >= MOST_CONTEXTS:
            raise InputError(f"{MOST_CONTEXTS} contexts are open on this connection; end or cancel one first")
        wanted, format = utterance_of(start, ""), start.response_format
        host = self._service.host(wanted.model)
        if isinstance(wanted.voice, str):
            self._service.voices.resolve(host, wanted.voice, self._wire.allowance.caller)
        read, finder = ReadText(), None
        if start.words:
            finder = WordFinder("", reading_of(self._service, wanted, self._wire.allowance.caller), read.take)
        live = LiveText(
            self._service,
            wanted,
            lambda rate: pieces_of(format, rate, finder=finder),
            self._wire.allowance,
            read.note if start.words else str,
        )
        self._contexts[start.context] = live
        self._wire.speak(self._tell(start.context, live, Story(format, warnings, live.warnings)))

    async def _sign(self, sign: LiveSign) -> None:
        names = [*self._contexts] if sign.context is None else [sign.context]
        for name in names:
            live = self._contexts.get(name)
            if sign.type == "cancel":
                if live is not None:
                    live.cancel()
                    del self._contexts[name]
                await self._wire.send({"type": "cancelled", "context": name})
            elif live is None:
                raise InputError(f"there is no context '{name}'; it ended, or nothing was sent to it")
            else:
                await self._heed(name, live.flush if sign.type == "flush" else live.end)

    async def _heed(self, name: str, act: Callable[[], None]) -> None:
        """Have a context do something; what it cannot take is told and ends it."""
        try:
            act()
        except (TextError, TooLargeError) as error:
            self._contexts.pop(name).cancel()
            await self._complain(error, name)

    async def _tell(self, name: str, live: LiveText, story: Story) -> None:
        """Send what is heard of one context, to its end."""
        try:
            async for heard in live:
                for message in story.told(heard):
                    await self._wire.send({**message, "context": name}, unless=lambda: live.cancelled)
        except Exception as error:  # noqa: BLE001  the wire logs it, the client is told
            await self._complain(error, name)
        finally:
            for warning in live.warnings:
                self._wire.call.warn(warning)
            live.cancel()
            if self._contexts.get(name) is live:
                del self._contexts[name]

    async def _complain(self, error: Exception, context: str | None) -> None:
        await self._wire.send({"type": "error", "context": context, **openai_shape(self._wire.trouble(error))})


class ReadText:
    """What was read of a text and not taken yet; noted and taken in the thread that speaks."""

    def __init__(self) -> None:
        self._pieces: list[str] = []

    def note(self, piece: str) -> None:
        """Take note of more."""
        self._pieces.append(piece)

    def take(self) -> str:
        """All that was noted since."""
        text = "".join(self._pieces)
        self._pieces.clear()
        return text


class Story:
    """One context's messages: audio, and where its sentences and words begin and end, in seconds of all its audio.

    ``warnings`` are told at the start, and ``late_warnings``, which come with the first sound, at the end.
    """

    def __init__(self, format: str, warnings: Sequence[str] = (), late_warnings: Sequence[str] = ()) -> None:
        self._format, self._warnings, self._late_warnings = format, warnings, late_warnings
        self._speaking: Speaking | None = None
        self._sentences = Sentences()

    def told(self, heard: Speaking | Piece | Mark) -> Iterator[dict[str, Any]]:
        """The messages that one thing heard is."""
        if isinstance(heard, Mark):
            yield self._ended(heard)
        elif isinstance(heard, Piece):
            yield from self._piece(heard)
        else:
            self._speaking = heard
            yield {
                "type": "started",
                "model": heard.model,
                "seed": heard.seed,
                "sample_rate": heard.sample_rate,
                "response_format": self._format,
                **_warned(self._warnings),
            }

    def _piece(self, piece: Piece) -> Iterator[dict[str, Any]]:
        yield from self._sentences.begun(piece.chunk)
        if piece.data:
            yield {"type": "audio", "audio": base64.b64encode(piece.data).decode("ascii")}
        yield from self._sentences.words(piece.words)
        yield from self._sentences.ended(piece.chunk)

    def _ended(self, mark: Mark) -> dict[str, Any]:
        if mark is Mark.FLUSHED:
            return {"type": "flushed", "audio_seconds": round(self._sentences.seconds, 4)}
        used = None if self._speaking is None else usage(self._speaking).model_dump()
        done = {"type": "done", "audio_seconds": round(self._sentences.seconds, 4), "usage": used}
        return {**done, **_warned(self._late_warnings)}


def _warned(warnings: Sequence[str]) -> dict[str, Any]:
    return {"warnings": list(warnings)} if warnings else {}
