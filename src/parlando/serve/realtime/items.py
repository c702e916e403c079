"""The messages of a conversation, in order; recordings are kept as the words that they hold."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from parlando.converse.partner import Understood
from parlando.converse.stages import Message, Role
from parlando.core.errors import InputError

MOST_ITEMS = 500
TEXT, AUDIO = "text", "audio"


def new_id(kind: str) -> str:
    """An id such as ``item_…``."""
    return f"{kind}_{secrets.token_hex(10)}"


@dataclass
class Part:
    """Words, written or spoken; ``understanding`` finds out what a recording says, ``seconds`` is its length."""

    kind: str
    words: str = ""
    understanding: asyncio.Task[Understood] | None = None
    seconds: float = 0.0

    def shape(self, role: Role, beta: bool) -> dict[str, Any]:
        """As a dialect writes it."""
        side = "input_" if role != "assistant" else "" if beta else "output_"
        name = "text" if self.kind == TEXT else "transcript"
        return {"type": f"{side}{self.kind}", name: self.words or (None if self.understanding else "")}


@dataclass
class Item:
    """One message."""

    role: Role
    parts: list[Part]
    id: str = field(default_factory=lambda: new_id("item"))
    status: str = "completed"

    @property
    def words(self) -> str:
        """All that is said in it, as far as it is known."""
        return " ".join(part.words for part in self.parts if part.words)

    def shape(self, beta: bool) -> dict[str, Any]:
        """As a dialect writes it."""
        content = [part.shape(self.role, beta) for part in self.parts]
        told = {"id": self.id, "object": "realtime.item", "type": "message", "status": self.status}
        return {**told, "role": self.role, "content": content}


class Items:
    """A conversation; of more than ``MOST_ITEMS`` messages the oldest are forgotten."""

    def __init__(self) -> None:
        self.apologised = False  # for a turn of which nothing was understood, since the last one that was
        self._items: list[Item] = []

    def __iter__(self) -> Iterator[Item]:
        return iter(tuple(self._items))

    @property
    def last_id(self) -> str | None:
        """The newest one's."""
        return self._items[-1].id if self._items else None

    @property
    def waiting(self) -> int:
        """How many recordings are still being written down."""
        works = [part.understanding for item in self._items for part in item.parts]
        return sum(work is not None and not work.done() for work in works)

    def add(self, item: Item, after: str | None = None) -> str | None:
        """Put a message at the end, at the beginning (``root``) or behind another one; returns the id before it.

        Raises:
            InputError: its id is taken, or there is no such message before it.
        """
        if any(each.id == item.id for each in self._items):
            raise InputError(f"item '{item.id[:64]}' is there already; give another id, or none")
        place = len(self._items) if after is None else 0 if after == "root" else self._place(after) + 1
        self._items.insert(place, item)
        if len(self._items) > MOST_ITEMS:
            del self._items[0]
            place -= 1
        return self._items[place - 1].id if place > 0 else None

    def get(self, id: str) -> Item:
        """The message of that id.

        Raises:
            InputError: there is none.
        """
        return self._items[self._place(id)]

    def remove(self, id: str) -> None:
        """Take a message away; errors as for `get`."""
        del self._items[self._place(id)]

    def history(self) -> list[Message]:
        """What was said, as text models are told."""
        return [Message(item.role, item.words) for item in self._items if item.words]

    def _place(self, id: str) -> int:
        for place, item in enumerate(self._items):
            if item.id == id:
                return place
        raise InputError(f"there is no item '{id[:64]}' in this conversation; it was deleted, or never was")


def heard_share(words: str, share: float) -> str:
    """As many whole words as fit into that share of a spoken text."""
    kept = words[: round(len(words) * min(1.0, share))]
    return kept if len(kept) == len(words) else kept.rpartition(" ")[0]
