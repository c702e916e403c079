"""One response: what was said is awaited, the text model writes, the voice speaks meanwhile, and all of it is told."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from parlando.audio.containers import open_encoder
from parlando.converse.conversation import alarm
from parlando.converse.echo import WrittenReply
from parlando.converse.manner import Manner
from parlando.converse.partner import Partner, Understood
from parlando.converse.stages import Reply
from parlando.core.errors import CancelledError, ParlandoError, TextModelError
from parlando.engine.cancel import Cancellation
from parlando.serve.allowance import Allowance
from parlando.serve.bridge import Stream
from parlando.serve.livetext import LiveText, Piece, pieces_of
from parlando.serve.problems import openai_shape, problem_of
from parlando.serve.realtime.events import Teller
from parlando.serve.realtime.items import AUDIO, TEXT, Item, Items, Part, new_id
from parlando.serve.realtime.settings import Output
from parlando.serve.service import Service, Speaking, Utterance

CHARACTERS_PER_TOKEN = 4  # about


@dataclass(frozen=True)
class Setting:
    """What an answer is given in: by whom, to whom, through what."""

    service: Service
    partner: Partner
    teller: Teller
    allowance: Allowance
    model: str | None
    output: Output


@dataclass(frozen=True)
class Asked:
    """What is answered: the messages of a conversation; ``joins`` if the answer becomes one of them."""

    items: Items
    joins: bool = True


@dataclass
class Told:
    """What has been written and heard of an answer."""

    words: str = ""
    sentences: dict[tuple[int, int], str] = field(default_factory=dict)
    samples: int = 0
    trouble: list[ParlandoError] = field(default_factory=list)
    limited: bool = False
    speakings: list[Speaking] = field(default_factory=list)

    def hear(self, piece: Piece) -> None:
        """Take note of sound that is sent now, and of the sentence that it is of."""
        self.samples += len(piece.chunk.samples)
        if piece.chunk.text:
            self.sentences[len(self.speakings), piece.chunk.sentence] = piece.chunk.text

    @property
    def heard(self) -> str:
        """The sentences whose sound was sent, at least in part."""
        return " ".join(self.sentences.values())

    def usage(self) -> dict[str, Any]:
        """Positions read and made, as far as the voice counts them."""
        read = sum(each.stats.prompt_tokens for each in self.speakings)
        made = sum(each.stats.output_tokens for each in self.speakings)
        return {"total_tokens": read + made, "input_tokens": read, "output_tokens": made}


class Answer:
    """A response on its way. `cancel` silences it at once: no audio is sent after that."""

    def __init__(self, setting: Setting, asked: Asked) -> None:
        self.id = new_id("resp")
        self.begun = self.over = False
        self.reason: str | None = None
        self.told = Told()
        kind = TEXT if setting.output.modality == "text" else AUDIO
        self.item = Item("assistant", [Part(kind)], status="in_progress")
        self._setting, self._asked, self._teller = setting, asked, setting.teller
        self._reply: Reply | None = None
        self._text: Stream[str] | None = None
        self._live: LiveText | None = None

    @property
    def cancelled(self) -> bool:
        """Whether somebody said that it should leave off."""
        return self.reason is not None

    def cancel(self, reason: str) -> None:
        """Leave off now: ``client_cancelled`` or ``turn_detected``."""
        if self.over or self.cancelled:
            return
        self.reason = reason
        if self._text is not None:
            self._text.cancel()
        if self._live is not None:
            self._live.cancel()

    async def run(self) -> None:
        """Give the answer, to its end; what goes wrong is told, and heard."""
        setting = self._setting
        await self._teller.tell("response.created", response=self._described("in_progress"))
        try:
            await self._give()
        except CancelledError:
            pass
        except Exception as error:  # noqa: BLE001  the wire logs it, the client is told
            self.told.trouble.append(error if isinstance(error, ParlandoError) else ParlandoError(str(error)))
            await self._teller.problem(error)
            await self._sound_alarm(setting.output)
        finally:
            self._release()
        await self._finish()

    async def _give(self) -> None:
        setting, items = self._setting, self._asked.items
        understood = await self._understood()
        unheard = understood is not None and not understood.words
        if self.cancelled or (unheard and items.apologised):
            return
        items.apologised = unheard
        manner = setting.partner.manner(None if understood is None else understood.feeling)
        reply = (
            self._unheard() if unheard else setting.partner.reply(items.history(), manner, setting.output.instructions)
        )
        self._reply = reply
        await self._begin()
        self._text = self._written(reply)
        if self.item.parts[0].kind == TEXT:
            setting.allowance.pay()
            await self._write(self._text)
            return
        wanted = self._utterance(manner)
        making = partial(pieces_of, setting.output.encoder)
        self._live = live = LiveText(setting.service, wanted, making, setting.allowance)
        feeding = asyncio.ensure_future(self._feed(self._text, live))
        try:
            await self._speak(live)
            await feeding
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)

    async def _understood(self) -> Understood | None:
        """What is said in the last message, if that was spoken; the words of all that were are known by then."""
        understood = None
        for item in self._asked.items:
            understood = None
            for part in item.parts:
                if part.understanding is not None:
                    understood = await part.understanding
                    part.words = understood.words
        return understood

    def _unheard(self) -> Reply:
        return WrittenReply([self._setting.partner.phrases.unheard])

    def _written(self, reply: Reply) -> Stream[str]:
        """The reply, read in a thread of its own."""
        setting = self._setting
        stream: Stream[str] = Stream(Cancellation())
        stream.when_cancelled = reply.cancel

        def pieces() -> Iterator[str]:
            return self._within(setting.partner.spoken(reply, self.told.trouble.append))

        return setting.service.bridge.open(stream, pieces, lambda: None)

    def _within(self, pieces: Iterator[str]) -> Iterator[str]:
        """The pieces, as long as they are no longer than the tokens asked for, about."""
        most = self._setting.output.most_tokens
        left = float("inf") if most == "inf" else int(most) * CHARACTERS_PER_TOKEN
        for piece in pieces:
            if left <= 0:
                self.told.limited = True
                return
            yield piece
            left -= len(piece)

    def _utterance(self, manner: Manner) -> Utterance:
        setting = self._setting
        takes = setting.service.host(setting.model).synthesizer.model.takes_instructions
        return Utterance(
            "",
            setting.output.voice,
            setting.model,
            instructions=manner.instruction if takes else manner.scene,
            speed=min(4.0, max(0.25, setting.output.speed * manner.speed)),
            sample_rate=setting.output.sample_rate,
        )

    async def _write(self, text: Stream[str]) -> None:
        async for piece in text:
            self.told.words += piece
            await self._part_event("response.output_text.delta", delta=piece)

    async def _feed(self, text: Stream[str], live: LiveText) -> None:
        """Hand the text to the voice as it is written."""
        try:
            async for piece in text:
                if self.cancelled:
                    return
                live.push(piece)
                self.told.words += piece
                await self._part_event("response.output_audio_transcript.delta", delta=piece)
        finally:
            if not live.cancelled:
                live.end()

    async def _speak(self, live: LiveText) -> None:
        async for heard in live:
            if isinstance(heard, Speaking):
                self.told.speakings.append(heard)
            elif isinstance(heard, Piece) and heard.data:
                self.told.hear(heard)
                await self._audio(heard.data)

    async def _audio(self, data: bytes) -> None:
        await self._part_event("response.output_audio.delta", delta=base64.b64encode(data).decode("ascii"))

    async def _sound_alarm(self, output: Output) -> None:
        """What is heard where not even the voice works."""
        if output.modality == "audio" and not self.cancelled:
            await self._begin()
            encoder = open_encoder(output.encoder, output.sample_rate)
            await self._audio(encoder.feed(alarm(output.sample_rate)) + encoder.close())

    async def _begin(self) -> None:
        if self.begun:
            return
        self.begun = True
        before = self._asked.items.add(self.item) if self._asked.joins else None
        shape = self.item.shape(self._teller.beta) | {"content": []}
        await self._teller.tell("response.output_item.added", response_id=self.id, output_index=0, item=shape)
        if self._asked.joins:
            await self._teller.item(self.item, before, done=False)
        await self._part_event("response.content_part.added", part=self._part())

    async def _part_event(self, type: str, **fields: Any) -> None:
        place = {"response_id": self.id, "item_id": self.item.id, "output_index": 0, "content_index": 0}
        # What ends a part is told even then; nothing that sounds is.
        unless = (lambda: self.cancelled) if "delta" in fields else (lambda: False)
        await self._teller.tell(type, unless, **place, **fields)

    async def _finish(self) -> None:
        self.over = True
        status = self._status()
        if self.begun:
            await self._end_part("completed" if status == "completed" else "incomplete")
        problem = problem_of(self.told.trouble[0]) if status == "failed" else None
        if problem is not None and isinstance(self.told.trouble[0], TextModelError):
            await self._teller.refuse(problem)
        details: dict[str, Any] | None = None
        if status == "cancelled":
            details = {"type": "cancelled", "reason": self.reason}
        elif status == "incomplete":
            details = {"type": status, "reason": "max_output_tokens"}
        elif problem is not None:
            error = openai_shape(problem)["error"]
            details = {"type": "failed", "error": {name: error[name] for name in ("type", "code", "message")}}
        await self._teller.tell("response.done", response=self._described(status, details, self.told.usage()))

    def _status(self) -> str:
        if self.cancelled:
            return "cancelled"
        if self.told.trouble:
            return "failed"
        return "incomplete" if self.told.limited else "completed"

    async def _end_part(self, status: str) -> None:
        part = self.item.parts[0]
        self.item.status = status
        silenced = self.cancelled and part.kind == AUDIO
        part.words = part.words or (self.told.heard if silenced else self.told.words)
        part.seconds = self.told.samples / self._setting.output.sample_rate
        if part.kind == TEXT:
            await self._part_event("response.output_text.done", text=self.told.words)
        else:
            await self._part_event("response.output_audio.done")
            await self._part_event("response.output_audio_transcript.done", transcript=self.told.words)
        await self._part_event("response.content_part.done", part=self._part())
        shape = self.item.shape(self._teller.beta)
        await self._teller.tell("response.output_item.done", response_id=self.id, output_index=0, item=shape)
        if self._asked.joins and not self._teller.beta:
            await self._teller.tell("conversation.item.done", previous_item_id=None, item=shape)

    def _part(self) -> dict[str, Any]:
        if self.item.parts[0].kind == TEXT:
            return {"type": "text", "text": self.told.words}
        return {"type": "audio", "transcript": self.told.words}

    def _described(
        self, status: str, details: dict[str, Any] | None = None, usage: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        output = [self.item.shape(self._teller.beta)] if self.begun and status != "in_progress" else []
        more = {"status": status, "status_details": details, "output": output, "usage": usage}
        return self._teller.response(self.id, self._setting.output, **more)

    def _release(self) -> None:
        if self._reply is not None:
            self._reply.cancel()
        if self._text is not None:
            self._text.cancel()
        if self._live is not None:
            self._live.cancel()
