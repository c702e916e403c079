"""A reply that nobody waits for in vain: read in a thread of its own, and given up when it hangs."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from parlando.converse.stages import Message, Reply, TextModel
from parlando.core.errors import ParlandoError, TextModelError

MOST_WAITING = 64  # pieces


@dataclass(frozen=True)
class Patience:
    """How long a text model may take: to its first words, between two pieces; and how much it may write."""

    first_seconds: float = 15.0
    stall_seconds: float = 10.0
    most_characters: int = 8000


USUAL_PATIENCE = Patience()


class PatientModel:
    """A text model whose replies hang no longer than ``patience`` allows, whatever is wrong with it."""

    def __init__(self, model: TextModel, patience: Patience = USUAL_PATIENCE) -> None:
        self._model, self._patience = model, patience

    def reply(self, messages: Sequence[Message]) -> Reply:
        """The model's reply, watched."""
        return _PatientReply(self._model.reply(messages), self._patience)


class _PatientReply:
    def __init__(self, reply: Reply, patience: Patience) -> None:
        self._reply, self._patience = reply, patience
        self._news: queue.Queue[str | BaseException | None] = queue.Queue(MOST_WAITING)
        self._over = threading.Event()

    def cancel(self) -> None:
        self._over.set()
        self._reply.cancel()
        self._wake()

    def __iter__(self) -> Iterator[str]:
        reader = threading.Thread(target=self._read, name="parlando-reply", daemon=True)
        reader.start()
        try:
            yield from self._pieces()
        finally:
            self.cancel()

    def _pieces(self) -> Iterator[str]:
        patience, written = self._patience, 0
        wait_seconds = patience.first_seconds
        while written < patience.most_characters:
            try:
                piece = self._news.get(timeout=wait_seconds)
            except queue.Empty:
                when = "a first word" if not written else "more words"
                raise TextModelError(f"the text model hangs: {wait_seconds:g} s without {when}") from None
            if piece is None or self._over.is_set():
                return
            if isinstance(piece, BaseException):
                raise piece if isinstance(piece, ParlandoError) else _died(piece)
            written += len(piece)
            if written:
                wait_seconds = patience.stall_seconds
            yield piece

    def _read(self) -> None:
        try:
            for piece in self._reply:
                self._news.put(piece)
                if self._over.is_set():
                    return
        except BaseException as error:  # noqa: BLE001  whoever listens is told
            self._tell(error)
        else:
            self._tell(None)

    def _tell(self, last: BaseException | None) -> None:
        if not self._over.is_set():
            self._news.put(last)

    def _wake(self) -> None:
        """Let neither side wait any more."""
        try:
            while True:
                self._news.get_nowait()
        except queue.Empty:
            self._news.put_nowait(None)


def _died(error: BaseException) -> TextModelError:
    died = TextModelError(f"the text model died: {type(error).__name__}: {error}")
    died.__cause__ = error
    return died
