"""A conversation at one microphone and one loudspeaker: turns in, answers out, and whoever is interrupted is silent."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from parlando.audio.clip import Clip
from parlando.converse.manner import Manner
from parlando.converse.partner import Partner, Understood
from parlando.converse.stages import Message, Reply
from parlando.converse.turns import Started, Stopped, TurnTaker
from parlando.core.errors import CancelledError, ParlandoError
from parlando.engine.cancel import Cancellation
from parlando.result import Chunk

logger = logging.getLogger(__name__)
# Speaks text while it is written; leaves off when it is cancelled.
Speak = Callable[[Iterator[str], Manner, Cancellation], Iterator[Chunk]]
ALARM_SECONDS, ALARM_HZ, ALARM_LEVEL = 0.25, (660.0, 440.0), 0.2
CUT_OFF = "…"


class Sink(Protocol):
    """A loudspeaker, or what stands for one."""

    sample_rate: int

    def write(self, samples: np.ndarray, unless: Callable[[], bool]) -> None:
        """Play samples (float32 [n]) after those before; waits when too many do. Not if ``unless`` says so by then."""
        ...

    def drop(self) -> None:
        """Be silent now: what waits is never heard, and whoever waits to write looks at ``unless`` again."""
        ...


@dataclass(frozen=True)
class Exchange:
    """One question and its answer, as told to ``on_exchange``; ``trouble`` is what went wrong."""

    question: str
    answer: str
    feeling: str | None = None
    interrupted: bool = False
    trouble: str = ""


@dataclass
class _Answer:
    """An answer on its way, which anybody may end."""

    cancellation: Cancellation = field(default_factory=Cancellation)
    reply: Reply | None = None
    thread: threading.Thread | None = None

    def cancel(self) -> None:
        self.cancellation.cancel()
        if self.reply is not None:
            self.reply.cancel()


class Conversation:
    """Talks with one person. `hear` never waits; answers are made in a thread, one at a time."""

    def __init__(
        self,
        partner: Partner,
        speak: Speak,
        sink: Sink,
        turns: TurnTaker,
        on_exchange: Callable[[Exchange], None] = lambda exchange: None,
    ) -> None:
        self.history: list[Message] = []
        self._partner, self._speak, self._sink, self._turns = partner, speak, sink, turns
        self._on_exchange = on_exchange
        self._answer: _Answer | None = None
        self._apologised = False

    def hear(self, samples: np.ndarray) -> None:
        """Take what the microphone has heard (float32 [n])."""
        for event in self._turns.take(samples):
            if isinstance(event, Started):
                self.interrupt()
            elif isinstance(event, Stopped):
                self.answer(event.clip)

    def finish(self) -> None:
        """The microphone is off: answer a turn that has begun, and wait until everything was said."""
        if self._turns.speaking:
            self.answer(self._turns.commit())
        self.wait()

    def interrupt(self) -> None:
        """Be silent at once."""
        if self._answer is not None:
            self._answer.cancel()
            self._sink.drop()

    def answer(self, asked: Clip | str) -> None:
        """Answer a clip or a text, instead of whatever is being answered."""
        self.interrupt()
        self.wait()
        self._answer = answer = _Answer()
        answer.thread = threading.Thread(target=self._run, args=(answer, asked), name="parlando-answer", daemon=True)
        answer.thread.start()

    def wait(self) -> None:
        """Until the answer that is being given was given."""
        if self._answer is not None and self._answer.thread is not None:
            self._answer.thread.join()
        self._answer = None

    def _run(self, answer: _Answer, asked: Clip | str) -> None:
        try:
            self._say_answer(answer, asked)
        except CancelledError:
            pass
        except Exception as error:
            logger.warning("an answer failed: %s", error, exc_info=not isinstance(error, ParlandoError))
            self._sink.write(alarm(self._sink.sample_rate), lambda: answer.cancellation.cancelled)
            self._on_exchange(Exchange(asked if isinstance(asked, str) else "", "", trouble=str(error)))

    def _say_answer(self, answer: _Answer, asked: Clip | str) -> None:
        trouble: list[str] = []
        try:
            heard = Understood(asked) if isinstance(asked, str) else self._partner.understand(asked)
        except ParlandoError as error:
            trouble.append(str(error))
            self._told(answer, Understood(""), iter([self._partner.phrases.trouble]), trouble)
            return
        if not heard.words:
            if not self._apologised:
                self._apologised = True
                self._told(answer, heard, iter([self._partner.phrases.unheard]), trouble)
            return
        self._apologised = False
        self.history.append(Message("user", heard.words))
        answer.reply = reply = self._partner.reply(self.history, self._partner.manner(heard.feeling))
        if answer.cancellation.cancelled:
            return
        words = self._partner.spoken(reply, lambda error: trouble.append(str(error)))
        said = self._told(answer, heard, words, trouble)
        if said:
            self.history.append(Message("assistant", said))

    def _told(self, answer: _Answer, heard: Understood, words: Iterator[str], trouble: list[str]) -> str:
        """Speak the words, as far as nobody interrupts; returns what was heard of them."""
        said: dict[int, str] = {}
        try:
            for chunk in self._speak(words, self._partner.manner(heard.feeling), answer.cancellation):
                self._sink.write(chunk.samples, lambda: answer.cancellation.cancelled)
                if answer.cancellation.cancelled:
                    break
                if chunk.text:
                    said[chunk.sentence] = chunk.text
        except CancelledError:
            pass
        interrupted = answer.cancellation.cancelled
        text = " ".join(said.values()) + (CUT_OFF if interrupted and said else "")
        problem = "" if interrupted else "; ".join(trouble)
        self._on_exchange(Exchange(heard.words, text, heard.feeling, interrupted, problem))
        return text


def alarm(sample_rate: int) -> np.ndarray:
    """Two falling tones: what is heard where not even words can be said."""
    time = np.arange(round(ALARM_SECONDS * sample_rate)) / sample_rate
    fade = np.sin(np.pi * time / ALARM_SECONDS)
    return np.concatenate([ALARM_LEVEL * fade * np.sin(2 * np.pi * hertz * time) for hertz in ALARM_HZ]).astype(
        np.float32
    )
