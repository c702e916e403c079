"""Where sentences and words of a stream begin and end, in seconds of all its audio, as messages for who listens."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from parlando.core.types import Word
from parlando.result import Chunk
from parlando.serve.livetext import Piece


class Sentences:
    """One stream's sentences, counted from 0; each chunk is given to `begun`, then its words, and then to `ended`."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._next, self._current, self._begun_seconds = 0, -1, 0.0

    def begun(self, chunk: Chunk) -> list[dict[str, Any]]:
        """What is told before a chunk: the sentence that it begins, if it begins one."""
        start_seconds, self.seconds = self.seconds, self.seconds + chunk.duration_seconds
        if not chunk.text or chunk.sentence == self._current:
            return []
        self._current, self._next, self._begun_seconds = chunk.sentence, self._next + 1, start_seconds
        place = {"sentence": self._next - 1, "start_seconds": round(start_seconds, 4)}
        return [{"type": "sentence.started", **place, "text": chunk.text}]

    def words(self, words: Sequence[Word]) -> list[dict[str, Any]]:
        """What is told of words whose seconds count from the begin of the sentence: those of all the audio."""
        return [
            {
                "type": "word",
                "sentence": self._next - 1,
                "text": word.text,
                "start": word.start,
                "stop": word.stop,
                "start_seconds": round(self._begun_seconds + word.start_seconds, 4),
                "end_seconds": round(self._begun_seconds + word.end_seconds, 4),
                "source": word.source,
            }
            for word in words
        ]

    def ended(self, chunk: Chunk) -> list[dict[str, Any]]:
        """What is told after a chunk: the sentence that it ends, if it ends one."""
        if chunk.report is None:
            return []
        self._current = -1
        place = {"sentence": self._next - 1, "end_seconds": round(self.seconds, 4)}
        return [{"type": "sentence.ended", **place, "finish": chunk.report.finish}]


class SpeechEvents:
    """OpenAI's events of a stream, with those of its sentences and words between them where they are wanted.

    Nothing is told before there is sound, so that what fails before it can still have a status.
    """

    def __init__(self, with_sentences: bool) -> None:
        self._sentences, self._with_sentences = Sentences(), with_sentences
        self._waiting: list[dict[str, Any] | bytes] = []
        self._heard = False

    def of(self, pieces: Sequence[Piece]) -> list[dict[str, Any]]:
        """The events of these pieces; bytes that nothing comes between are one."""
        for piece in pieces:
            begun = self._sentences.begun(piece.chunk)
            self._waiting += begun if self._with_sentences else []
            if piece.data:
                self._add(piece.data)
            self._waiting += self._sentences.words(piece.words)
            ended = self._sentences.ended(piece.chunk)
            self._waiting += ended if self._with_sentences else []
        if not self._heard:
            return []
        waiting, self._waiting = self._waiting, []
        return [_event(each) for each in waiting]

    def _add(self, data: bytes) -> None:
        self._heard = True
        last = self._waiting[-1] if self._waiting else None
        if isinstance(last, bytes):
            self._waiting[-1] = last + data
        else:
            self._waiting.append(data)


def _event(told: dict[str, Any] | bytes) -> dict[str, Any]:
    if isinstance(told, bytes):
        return {"type": "speech.audio.delta", "audio": base64.b64encode(told).decode("ascii")}
    return {**told, "type": f"speech.{told['type']}"}
