"""Rendezvous hashing: everybody puts the same servers into the same order for a key, without asking each other."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b


def ranked(key: str, names: Iterable[str]) -> list[str]:
    """The names in the order that is the key's own; where one goes or comes, the others keep theirs."""
    return sorted(names, key=lambda name: (_weight(key, name), name))


def _weight(key: str, name: str) -> bytes:
    return blake2b(f"{len(key)}:{key}{name}".encode("utf-8", "replace"), digest_size=8).digest()
