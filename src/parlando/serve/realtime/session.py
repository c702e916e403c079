"""One client of the Realtime protocol: its settings, the sound that comes in, the messages, the answer on its way."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import numpy as np
from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter, ValidationError

from parlando.audio.clip import Clip
from parlando.converse.arousal import ArousalListener
from parlando.converse.partner import Partner, Understood
from parlando.converse.turns import Paused, Started, Stopped, TurnTaker
from parlando.core.errors import InputError, ParlandoError, TooLargeError
from parlando.serve.config import AROUSAL
from parlando.serve.problems import Problem, openai_shape
from parlando.serve.realtime.answer import Answer, Asked, Setting
from parlando.serve.realtime.events import Teller
from parlando.serve.realtime.items import AUDIO, TEXT, Item, Items, Part, heard_share, new_id
from parlando.serve.realtime.messages import (
    Append,
    BufferSign,
    ClientMessage,
    Content,
    ItemBody,
    ItemCreate,
    ItemSign,
    ItemTruncate,
    Message,
    ResponseBody,
    ResponseCancel,
    ResponseCreate,
    SessionUpdate,
    with_switches,
)
from parlando.serve.realtime.settings import MS, Output, Settings
from parlando.serve.realtime.sound import decoded
from parlando.serve.service import Service
from parlando.serve.sockets import JsonSocket

MESSAGES: TypeAdapter[Any] = TypeAdapter(ClientMessage)
SLICE_SECONDS = 0.5  # of sound that is listened to before others have their turn
LEAST_COMMIT_SECONDS = 0.1
MOST_WAITING = 8


class Session:
    """Does what a client's messages say, and takes its turns."""

    def __init__(self, service: Service, wire: JsonSocket, teller: Teller, model: str | None) -> None:
        self._service, self._wire, self._teller, self._model = service, wire, teller, model
        self.id = new_id("sess")
        host = service.host(model)
        voice = host.synthesizer.model.default_voice or None
        self._settings = Settings(Output(instructions=service.partner.system, voice=voice))
        self._turns = self._new_turns()
        self._feelings = ArousalListener() if service.config.feelings == AROUSAL else None
        self._early: tuple[Part, float] | None = None
        self._items = Items()
        self._answer: Answer | None = None
        self._turn_id = new_id("item")

    @property
    def _partner(self) -> Partner:
        """The server's, with ears of its own for this speaker."""
        partner = self._service.partner
        return partner if self._feelings is None else replace(partner, feelings=self._feelings)

    async def begin(self) -> None:
        """Tell what the session is."""
        await self._teller.tell("session.created", session=self._described())
        self._teller.speak(self._service.bridge.listen(self._service.wake))

    async def take(self, raw: dict[str, Any] | InputError) -> None:
        """Do what one message says; what is wrong with it is told, and the connection goes on."""
        event_id = None
        try:
            if isinstance(raw, InputError):
                raise raw
            event_id = raw.get("event_id") if isinstance(raw.get("event_id"), str) else None
            message: Message = MESSAGES.validate_python(with_switches(raw))
            self._wire.heed(message)
            await self._do(message)
        except (ParlandoError, ValidationError, RequestValidationError) as error:
            await self._teller.problem(error, event_id)

    def close(self) -> None:
        """End what is being said and listened to."""
        if self._answer is not None:
            self._answer.cancel("client_cancelled")
        early = [] if self._early is None else [self._early[0]]
        for parts in (early, *(item.parts for item in self._items)):
            for part in parts:
                if part.understanding is not None:
                    part.understanding.cancel()

    async def _do(self, message: Message) -> None:
        if isinstance(message, Append):
            await self._hear(decoded(message.audio, self._settings.input_format))
        elif isinstance(message, SessionUpdate):
            await self._update(message)
        elif isinstance(message, BufferSign):
            await (self._commit() if message.type.endswith("commit") else self._clear())
        elif isinstance(message, ResponseCreate):
            await self._respond(message.response, message.event_id)
        elif isinstance(message, ResponseCancel):
            await self._cancel(message)
        else:
            await self._edit(message)

    async def _edit(self, message: Message) -> None:
        if isinstance(message, ItemCreate):
            item = self._item_of(message.item)
            await self._teller.item(item, self._items.add(item, message.previous_item_id))
        elif isinstance(message, ItemTruncate):
            await self._truncate(message)
        elif isinstance(message, ItemSign):
            if message.type == "conversation.item.retrieve":
                shape = self._items.get(message.item_id).shape(self._teller.beta)
                await self._teller.tell("conversation.item.retrieved", item=shape)
            else:
                self._items.remove(message.item_id)
                await self._teller.tell("conversation.item.deleted", item_id=message.item_id)

    async def _update(self, message: SessionUpdate) -> None:
        settings = self._settings.changed(message.session)
        self._check_voice(settings.output)
        before, self._settings = self._settings, settings
        if settings.input_format != before.input_format:
            self._turns = self._new_turns()
        else:
            self._turns.watch(None if settings.watch is None else settings.watch.turns)
        await self._teller.tell("session.updated", session=self._described())

    def _check_voice(self, output: Output) -> None:
        if output.voice is not None:
            self._service.voices.resolve(self._service.host(self._model), output.voice, self._wire.allowance.caller)

    def _new_turns(self) -> TurnTaker:
        watch = self._settings.watch
        return TurnTaker(self._settings.input_rate, watch.turns if watch else None)

    async def _hear(self, samples: np.ndarray) -> None:
        size = round(SLICE_SECONDS * self._settings.input_rate)
        for at in range(0, len(samples), size):
            for event in self._turns.take(samples[at : at + size]):
                if isinstance(event, Started):
                    await self._started(event)
                elif isinstance(event, Stopped):
                    await self._stopped(event)
                else:
                    self._paused(event)
            await asyncio.sleep(0)

    async def _started(self, started: Started) -> None:
        watch = self._settings.watch
        if watch is not None and watch.interrupt_response and self._answer is not None:
            self._answer.cancel("turn_detected")
        told: dict[str, Any] = {"audio_start_ms": round(started.start_seconds * MS), "item_id": self._turn_id}
        await self._teller.tell("input_audio_buffer.speech_started", **told)

    def _paused(self, paused: Paused) -> None:
        """Have it written down what was said so far, if nobody else has need of the machine: often that is all."""
        work = None if self._early is None else self._early[0].understanding
        if (work is None or work.done()) and self._service.has_one_task():
            self._early = self._recorded(paused.clip), paused.clip.duration_seconds

    def _heard_early(self, clip: Clip) -> Part | None:
        """What was begun at the pause that ended this turn; of a pause before it nothing is of use."""
        early, self._early = self._early, None
        watch = self._settings.watch
        if early is None or watch is None:
            return None
        part, seconds = early
        if clip.duration_seconds - seconds <= watch.turns.silence_seconds:
            return part
        if part.understanding is not None:
            part.understanding.cancel()
        return None

    async def _stopped(self, stopped: Stopped) -> None:
        told: dict[str, Any] = {"audio_end_ms": round(stopped.end_seconds * MS), "item_id": self._turn_id}
        await self._teller.tell("input_audio_buffer.speech_stopped", **told)
        await self._turn(stopped.clip)
        watch = self._settings.watch
        if watch is not None and watch.create_response and (self._answer is None or not self._busy):
            self._begin_answer(Asked(self._items), self._settings.output)

    async def _commit(self) -> None:
        if self._turns.kept_seconds < LEAST_COMMIT_SECONDS:
            kept = f"{self._turns.kept_seconds * MS:.0f} ms"
            code = "input_audio_buffer_commit_empty"
            await self._teller.refuse(Problem(400, code, f"the buffer holds {kept} of audio; append 100 ms or more"))
            return
        await self._turn(self._turns.commit())

    async def _clear(self) -> None:
        self._turns.clear()
        await self._teller.tell("input_audio_buffer.cleared")

    async def _turn(self, clip: Clip) -> None:
        """Put what was said into the conversation, and have it written down."""
        item = Item("user", [self._heard_early(clip) or self._recorded(clip)], self._turn_id)
        self._turn_id = new_id("item")
        before = self._items.add(item)
        await self._teller.tell("input_audio_buffer.committed", previous_item_id=before, item_id=item.id)
        await self._teller.item(item, before)
        if self._settings.transcribes:
            self._teller.speak(self._transcribe(item))

    def _recorded(self, clip: Clip) -> Part:
        """A recording, being written down.

        Raises:
            TooLargeError: too many others still are.
        """
        if self._items.waiting >= MOST_WAITING:
            raise TooLargeError(f"{MOST_WAITING} recordings wait to be written down; send more when they have been")
        partner, language = self._partner, self._settings.language
        work = asyncio.ensure_future(self._service.bridge.listen(partner.understand, clip, language))
        work.add_done_callback(lambda done: done.cancelled() or done.exception())  # told by whoever awaits it
        return Part(AUDIO, understanding=work, seconds=clip.duration_seconds)

    async def _transcribe(self, item: Item) -> None:
        part = item.parts[0]
        place: dict[str, Any] = {"item_id": item.id, "content_index": 0}
        name = "conversation.item.input_audio_transcription"
        assert part.understanding is not None
        try:
            understood: Understood = await part.understanding
        except Exception as error:  # noqa: BLE001  the wire logs it, the client is told
            told = openai_shape(self._wire.trouble(error))["error"]
            await self._teller.tell(f"{name}.failed", **place, error=told)
            return
        part.words = understood.words
        if understood.words:
            await self._teller.tell(f"{name}.delta", **place, delta=understood.words)
        usage = {"type": "duration", "seconds": round(part.seconds, 3)}
        await self._teller.tell(f"{name}.completed", **place, transcript=understood.words, usage=usage)

    async def _truncate(self, message: ItemTruncate) -> None:
        item = self._items.get(message.item_id)
        if item.role != "assistant" or message.content_index >= len(item.parts):
            raise InputError(f"item '{item.id[:64]}' has no such audio to truncate; only an answer's can be")
        part = item.parts[message.content_index]
        answer = self._answer if self._answer is not None and self._answer.item is item else None
        words = part.words or (answer.told.words if answer else "")
        seconds = part.seconds or (answer.told.samples / self._settings.output.sample_rate if answer else 0.0)
        if message.audio_end_ms > seconds * MS + 1:
            raise InputError(f"audio_end_ms: {message.audio_end_ms} is past the end, {seconds * MS:.0f} ms; say less")
        part.words = heard_share(words, message.audio_end_ms / MS / seconds if seconds else 0.0)
        told: dict[str, Any] = {
            "item_id": item.id,
            "content_index": message.content_index,
            "audio_end_ms": message.audio_end_ms,
        }
        await self._teller.tell("conversation.item.truncated", **told)

    async def _respond(self, body: ResponseBody, event_id: str | None) -> None:
        if self._busy:
            assert self._answer is not None
            code, text = "conversation_already_has_active_response", "is being given; wait for it, or cancel it"
            await self._teller.refuse(Problem(400, code, f"response {self._answer.id} {text}"), event_id)
            return
        output = self._settings.output.changed(body)
        self._check_voice(output)
        items = self._items
        if body.input is not None:
            items = Items()
            for each in body.input:
                items.add(self._item_of(each))
        self._begin_answer(Asked(items, joins=body.conversation != "none" and items is self._items), output)

    @property
    def _busy(self) -> bool:
        return self._answer is not None and not self._answer.over and not self._answer.cancelled

    def _begin_answer(self, asked: Asked, output: Output) -> None:
        service = self._service
        setting = Setting(service, self._partner, self._teller, self._wire.allowance, self._model, output)
        self._answer = Answer(setting, asked)
        self._teller.speak(self._answer.run())

    async def _cancel(self, message: ResponseCancel) -> None:
        answer = self._answer
        if answer is None or not self._busy or message.response_id not in (None, answer.id):
            problem = Problem(
                400, "response_cancel_not_active", "no response is being given; there is nothing to cancel"
            )
            await self._teller.refuse(problem, message.event_id)
            return
        answer.cancel("client_cancelled")

    def _item_of(self, body: ItemBody) -> Item:
        parts = [self._part_of(each, body.role) for each in body.content]
        return Item(body.role, parts, body.id or new_id("item"))

    def _part_of(self, content: Content, role: str) -> Part:
        if content.type.endswith(AUDIO):
            if content.audio and role == "user":
                samples = decoded(content.audio, self._settings.input_format)
                return self._recorded(Clip(samples, self._settings.input_rate))
            return Part(AUDIO, content.transcript or "")
        if content.text is None:
            raise InputError("item.content: a part without text; give its text, or its audio")
        return Part(TEXT, content.text)

    def _described(self) -> dict[str, Any]:
        told = {"id": self.id, "object": "realtime.session", "model": self._service.host(self._model).name}
        return {**told, **self._settings.described(self._teller.beta)}
