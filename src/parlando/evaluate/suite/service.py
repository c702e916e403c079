"""Any OpenAI-compatible speech service as a system, so that peers are measured by the same code as our models."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse
from typing import Any

from parlando.audio.files import read_audio
from parlando.core.errors import GenerationError
from parlando.evaluate.judges.http import Service, ServiceError
from parlando.evaluate.load.listener import Listener
from parlando.evaluate.suite.items import Item
from parlando.evaluate.suite.systems import Maker, Said, joined

READ_BYTES = 65536
RATE = re.compile(r"rate=(\d+)")
WAV_HEADER_BYTES = 44


@dataclass
class ServiceSystem(Maker):
    """``POST /v1/audio/speech``, streamed as WAV; a sample to follow is sent as ``ref_audio`` and ``ref_text``.

    With a ``voice``, that is asked for, and no sample is sent. ``more`` are further fields of the request.
    """

    service: Service
    model: str = "tts-1"
    voice: str | None = None
    more: Mapping[str, Any] = field(default_factory=dict)
    name: str = field(init=False)
    identity: Mapping[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.name = f"{self.service.url}@{self.voice}" if self.voice else self.service.url
        self.identity = {"url": self.service.url, "model": self.model, "voice": self.voice, "more": dict(self.more)}

    def say(self, item: Item, seed: int) -> Said:
        """Ask for it, and note when the first playable chunk came.

        Raises:
            ServiceError: the service failed.
            GenerationError: it answered without audio.
        """
        if item.turns:
            own = [None, *item.samples]
            turns = [
                Item(item.id, turn.text, item.language, sample=own[turn.speaker + 1] if item.samples else None)
                for turn in item.turns
            ]
            return joined([self.say(turn, seed + number) for number, turn in enumerate(turns)])
        body = json.dumps({**self._fields(item, seed), **self.more}).encode()
        started = time.perf_counter()
        with self.service.open("/v1/audio/speech", body, "application/json") as answer:
            data, first_seconds = _received(answer, started)
        work_seconds = time.perf_counter() - started
        clip = read_audio(data) if data else None
        if clip is None or not len(clip.samples):
            raise GenerationError(f"{self.service.url} answered without audio")
        return Said(clip, work_seconds, first_seconds)

    def _fields(self, item: Item, seed: int) -> dict[str, Any]:
        fields: dict[str, Any] = {"model": self.model, "input": item.text, "response_format": "wav", "seed": seed}
        if self.voice:
            fields["voice"] = self.voice
        elif item.sample is not None:
            fields["ref_audio"] = base64.b64encode(item.sample.audio.read_bytes()).decode()
            fields["ref_text"] = item.sample.text
        else:
            fields["voice"] = "alloy"
        return fields


def _received(answer: HTTPResponse, started: float) -> tuple[bytes, float | None]:
    """The whole answer, and the seconds until the first 20 ms of it could be played."""
    data, listener = bytearray(), Listener(sample_rate=1)
    try:
        while piece := answer.read1(READ_BYTES):
            heard_bytes = max(len(data), WAV_HEADER_BYTES)
            data += piece
            if len(data) > WAV_HEADER_BYTES:
                listener.sample_rate = int.from_bytes(data[24:28], "little") or 1
                listener.hear(bytes(data[heard_bytes:]), time.perf_counter() - started)
        if answer.length:
            raise EOFError(f"{answer.length} more were announced")
    except (OSError, EOFError, HTTPException) as error:
        raise ServiceError(
            f"{answer.url} broke off after {len(data)} bytes: {error or type(error).__name__}"
        ) from error
    return bytes(data), listener.playable_seconds
