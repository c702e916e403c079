"""Text that is spoken while it is written: pieces in, turn by turn; audio, sentences and ends of turns out.

A door pushes what its client sends and iterates over `LiveText` in a task of its own. A turn begins with the first
letter and ends with `flush`, `end`, or a pause; between turns nothing is held: no stream, no thread, no row.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from enum import Enum, auto

import numpy as np

from parlando.audio.containers import StreamEncoder, open_encoder
from parlando.core.errors import InputError, ParlandoError, TooLargeError
from parlando.core.types import Word
from parlando.request import derived_seed
from parlando.result import Chunk
from parlando.serve.allowance import Allowance
from parlando.serve.bridge import TextFeed
from parlando.serve.service import Making, Service, Speaking, Utterance, check_characters
from parlando.text.alignment import WordFinder


class Mark(Enum):
    """What a client of live text is told besides audio: everything up to a flush was sent; all of it was."""

    FLUSHED = auto()
    END = auto()


@dataclass(frozen=True)
class Piece:
    """Bytes of the wanted format that are final now, the chunk that they came with, and the text's words in it."""

    data: bytes
    chunk: Chunk
    words: tuple[Word, ...] = ()


def pieces_of(
    format: str, sample_rate: int, bits_per_second: int | None = None, finder: WordFinder | None = None
) -> Making:
    """For `Service.open`: chunks as `Piece`s of an encoder for that format, with the words that a finder finds."""

    def made(chunks: Iterator[Chunk]) -> Iterator[Piece]:
        encoder = open_encoder(format, sample_rate, bits_per_second)
        chunk = Chunk(np.zeros(0, np.float32), sample_rate)
        for chunk in chunks:
            words = () if finder is None else tuple(finder.hear(chunk.text, chunk.words, chunk.report is not None))
            yield Piece(_fed(encoder, chunk), chunk, words)
        yield Piece(encoder.close(), replace(chunk, samples=chunk.samples[:0], text="", report=None))

    return made


def _fed(encoder: StreamEncoder, chunk: Chunk) -> bytes:
    return encoder.feed(chunk.samples) if len(chunk.samples) else b""


@dataclass
class Turn:
    """Text up to a flush, an end or a pause."""

    text: TextFeed | str
    characters: int = 0
    flushed: bool = False
    dropped: bool = False
    speaking: Speaking | None = None

    def drop(self) -> None:
        """Let nothing more of it be heard."""
        self.dropped = True
        self.close()
        if self.speaking is not None:
            self.speaking.stream.cancel()

    def close(self) -> None:
        """No more text comes."""
        if isinstance(self.text, TextFeed):
            self.text.close()


class LiveText:
    """One text that a client writes; iterate over it for `Speaking` at each turn's begin, `Piece`s and `Mark`s.

    ``wanted`` is the utterance but for its text; ``making`` is told the rate of the audio, and ``note`` the text
    as it is read, in the thread that speaks. ``warnings`` are what may be
    wrong with its voice, known with the first piece. An error ends the iteration. Whoever iterates calls `cancel` when
    done. What raises `TooLargeError` here has not been done, and the text is cancelled by whoever sent it.
    """

    def __init__(
        self,
        service: Service,
        wanted: Utterance,
        making: Callable[[int], Making],
        allowance: Allowance,
        note: Callable[[str], object] = str,
    ) -> None:
        self.cancelled = self._ended = False
        self.warnings: list[str] = []
        self._service, self._wanted, self._making, self._allowance, self._note = (
            service,
            wanted,
            making,
            allowance,
            note,
        )
        self._waiting_characters = self._waiting_entries = 0
        self._take(entries=1)
        self._queue: asyncio.Queue[Turn | Mark] = asyncio.Queue()
        self._writing: Turn | None = None
        self._feed = TextFeed(self._note)
        self._unspoken: deque[Turn] = deque()
        self._held, self._characters, self._turns = "", 0, 0
        self._pause: asyncio.TimerHandle | None = None

    def push(self, text: str) -> None:
        """Add text.

        Raises:
            InputError: there was an end before it.
            TooLargeError: a turn is longer than texts may be, or too much waits.
            TextError: it has half of a character.
        """
        if self._ended:
            raise InputError("this text has ended and is still being spoken; begin another context")
        check_characters(text)
        limits = self._service.config.limits
        if self._characters + len(text) > limits.max_input_characters:
            raise TooLargeError(f"more than {limits.max_input_characters} characters without a flush; flush in parts")
        self._take(len(text))
        self._characters += len(text)
        if self._writing is None:
            text, self._held = self._held + text, ""
            if not any(map(str.isalnum, text)):
                self._held = text
                return
            self._feed = TextFeed(self._note)
            self._writing = self._add(Turn(self._feed))
        if text:
            self._feed.push(text)
        self._wait_no_longer()
        self._pause = asyncio.get_running_loop().call_later(limits.pause_seconds, self.close_turn)

    def say(self, text: str) -> None:
        """Add a turn that is all there, such as SSML.

        Raises:
            TooLargeError: too much waits.
        """
        self.close_turn()
        self._take(len(text))
        self._add(Turn(text, len(text)))

    def flush(self) -> None:
        """Have everything so far spoken to its end, and be told when it was.

        Raises:
            TooLargeError: too much waits.
        """
        self._take(entries=1)
        self.close_turn()
        for turn in reversed(self._unspoken):
            if turn.flushed:
                break
            turn.flushed = True
        self._queue.put_nowait(Mark.FLUSHED)

    def end(self, *, only_flushed: bool = False) -> None:
        """No more text comes. What is there is still spoken, or only what was flushed."""
        for turn in self._unspoken:
            if only_flushed and not turn.flushed:
                turn.drop()
        self._ended = True
        self.close_turn()
        self._queue.put_nowait(Mark.END)

    def cancel(self) -> None:
        """End the iteration; no piece comes after this."""
        if not self.cancelled:
            self._allowance.release(self._waiting_characters, self._waiting_entries)
        self.cancelled = True
        for turn in self._unspoken:
            turn.drop()
        self.end()

    async def __aiter__(self) -> AsyncIterator[Speaking | Piece | Mark]:
        """All of it, in order."""
        while not self.cancelled:
            item = await self._queue.get()
            with self._service.telling():
                if isinstance(item, Turn):
                    async for each in self._spoken(item):
                        yield each
                elif not self.cancelled:
                    yield item
            if item is Mark.FLUSHED:
                self._release(0)
            if item is Mark.END:
                return

    async def _spoken(self, turn: Turn) -> AsyncIterator[Speaking | Piece]:
        try:
            if turn.dropped:
                return
            speaking = turn.speaking = self._open(turn)
            yield speaking
            while pieces := await speaking.stream.batch():
                for piece in pieces:
                    if turn.dropped:
                        return
                    yield piece
        except ParlandoError:
            if not turn.dropped:
                raise
        finally:
            if turn.speaking is not None:
                turn.speaking.stream.cancel()
            self._unspoken.popleft()
            self._release(turn.characters)

    def _open(self, turn: Turn) -> Speaking:
        self._allowance.pay()
        wanted, options = self._wanted, dict(self._wanted.options)
        if self._turns and options.get("seed") is not None:
            options["seed"] = derived_seed(options["seed"], self._turns, 1)
        self._turns += 1
        rate = wanted.sample_rate or self._service.host(wanted.model).synthesizer.sample_rate
        utterance = replace(wanted, text=turn.text, options=options)
        return self._service.open(utterance, self._making(rate), self._allowance.caller, self._warn)

    def _warn(self, warning: str) -> None:
        if warning not in self.warnings:
            self.warnings.append(warning)

    def _add(self, turn: Turn) -> Turn:
        self._take(entries=1)
        self._unspoken.append(turn)
        self._queue.put_nowait(turn)
        return turn

    def close_turn(self) -> None:
        """Have what is there spoken as if nothing followed; what follows is another turn."""
        self._wait_no_longer()
        if self._writing is None:
            self._release(self._characters, 0)
        else:
            self._writing.characters = self._characters
            self._writing.close()
        self._writing, self._held, self._characters = None, "", 0

    def _take(self, characters: int = 0, entries: int = 0) -> None:
        self._allowance.take(characters, entries)
        self._waiting_characters += characters
        self._waiting_entries += entries

    def _release(self, characters: int, entries: int = 1) -> None:
        if not self.cancelled:
            self._allowance.release(characters, entries)
            self._waiting_characters -= characters
            self._waiting_entries -= entries

    def _wait_no_longer(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
