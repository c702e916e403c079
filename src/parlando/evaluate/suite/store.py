"""What was done already: one JSON line for each finished piece of work, found again by a hash of all it depends on."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from parlando.audio.clip import Clip


def digest_of(*parts: object) -> str:
    """A name for what these are: equal parts give equal digests, in every run."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def file_digest(path: Path) -> str:
    """A name for what a file holds."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]


def clip_digest(clip: Clip) -> str:
    """A name for what a clip holds; that of its file would not do, for libsndfile writes the time into some."""
    digest = hashlib.sha256(np.ascontiguousarray(clip.samples, dtype="<f4").tobytes())
    digest.update(str(clip.sample_rate).encode())
    return digest.hexdigest()[:32]


class Store:
    """Results by key, in a file that only grows; a line that an interruption cut short is as good as none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, Any] = dict(self._read())
        path.parent.mkdir(parents=True, exist_ok=True)

    def _read(self) -> list[tuple[str, Any]]:
        if not self._path.exists():
            return []
        found = []
        for line in self._path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                entry = json.loads(line)
                found.append((entry["key"], entry["value"]))
            except (ValueError, KeyError, TypeError):
                continue
        return found

    def __contains__(self, key: str) -> bool:
        return key in self._known

    def __getitem__(self, key: str) -> Any:
        return self._known[key]

    def put(self, key: str, value: Any) -> None:
        """Keep a result, now and for later runs."""
        self._known[key] = value
        with self._path.open("a+b") as lines:
            if lines.tell() and not self._ends_whole():
                lines.write(b"\n")
            lines.write((json.dumps({"key": key, "value": value}, ensure_ascii=False) + "\n").encode())

    def _ends_whole(self) -> bool:
        with self._path.open("rb") as file:
            file.seek(-1, 2)
            return file.read(1) == b"\n"
