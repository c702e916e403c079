"""Rows: what is known of a recording or of a part of one, field by field, and which step found it out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from parlando.core.config import from_mapping

Fields = Mapping[str, Any]


@dataclass(frozen=True)
class Rejection:
    """Why a row goes no further: ``reason`` is what is counted, ``detail`` what is told."""

    step: str
    reason: str
    detail: str = ""


@dataclass(frozen=True)
class Row:
    """A recording, or a segment of one: ``source`` is the file's path from the raw folder.

    ``facts`` are plain data, as JSON has them; ``provenance`` names for each field the signature of its step.
    """

    id: str
    source: str
    seconds: float = 0.0
    facts: Fields = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)
    rejected: Rejection | None = None

    def told(self, signature: str, facts: Fields) -> Row:
        """The row with more facts, all found out by the step of a signature."""
        return replace(
            self, facts={**self.facts, **facts}, provenance={**self.provenance, **dict.fromkeys(facts, signature)}
        )

    def reject(self, step: str, reason: str, detail: str = "") -> Row:
        """The row, to go no further."""
        return replace(self, rejected=Rejection(step, reason, detail))

    def to_json(self) -> str:
        """One line, the same for equal rows."""
        return canonical(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> Row:
        """The row that `to_json` wrote.

        Raises:
            ConfigError: it is not one.
        """
        return from_mapping(cls, json.loads(line), "row")


def canonical(data: object) -> str:
    """JSON with one spelling for equal data."""
    return json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(*parts: str) -> str:
    """A name for contents: the first 32 hexadecimal digits of a SHA-256 over all parts."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(f"{len(part)}:{part}".encode())
    return whole.hexdigest()[:32]
