"""What the server sends, in either dialect: one function says how an event is called and shaped."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from parlando.serve.problems import Problem, openai_shape
from parlando.serve.realtime.items import Item, new_id
from parlando.serve.realtime.settings import Output, shape_of
from parlando.serve.sockets import JsonSocket

BETA_HEADER, BETA_PROTOCOL = b"realtime=v1", "openai-beta.realtime-v1"
BETA_EVENTS = {
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio.done": "response.audio.done",
    "response.output_audio_transcript.delta": "response.audio_transcript.delta",
    "response.output_audio_transcript.done": "response.audio_transcript.done",
    "response.output_text.delta": "response.text.delta",
    "response.output_text.done": "response.text.done",
}


class Teller:
    """Sends events of one session in its client's dialect."""

    def __init__(self, wire: JsonSocket, beta: bool) -> None:
        self.beta = beta
        self._wire = wire

    async def tell(self, type: str, unless: Callable[[], bool] = lambda: False, **fields: Any) -> None:
        """Send one event, unless something says no by the time that it is its turn."""
        name = BETA_EVENTS.get(type, type) if self.beta else type
        await self._wire.send({"type": name, "event_id": new_id("event"), **fields}, unless)

    async def item(self, item: Item, before: str | None, *, done: bool = True) -> None:
        """Tell of a message that is there now, whole or begun."""
        fields: dict[str, Any] = {"previous_item_id": before, "item": item.shape(self.beta)}
        if self.beta:
            await self.tell("conversation.item.created", **fields)
            return
        await self.tell("conversation.item.added", **fields)
        if done:
            await self.tell("conversation.item.done", **fields)

    async def problem(self, error: Exception, event_id: str | None = None) -> Problem:
        """Tell what is wrong; the connection goes on."""
        problem = self._wire.trouble(error)
        await self.refuse(problem, event_id)
        return problem

    async def refuse(self, problem: Problem, event_id: str | None = None) -> None:
        """The same, of a problem that is none of the server's."""
        told = openai_shape(problem)["error"]
        await self.tell("error", error={**told, "event_id": event_id})

    def speak(self, work: Awaitable[None]) -> None:
        """Have something run that sends, as long as the connection is there."""
        self._wire.speak(work)

    def response(self, id: str, settings: Output, **more: Any) -> dict[str, Any]:
        """A response, as the dialect writes it."""
        told: dict[str, Any] = {"id": id, "object": "realtime.response", "max_output_tokens": settings.most_tokens}
        if self.beta:
            modalities = ["text"] if settings.modality == "text" else ["text", "audio"]
            return {**told, "modalities": modalities, "voice": settings.voice, **more}
        audio = {"output": {"format": shape_of(settings.format), "voice": settings.voice}}
        return {**told, "output_modalities": [settings.modality], "audio": audio, **more}
