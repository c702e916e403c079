"""What is finished, so that no work is done twice: lines of a key and its rows, in a file of each writer's own.

A writer that is killed leaves at most one line that is not whole, which is passed over.
"""

from __future__ import annotations

import json
import os
import socket
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Self

from parlando.annotate.rows import Row, canonical


class Journal:
    """Read access to all that was finished before, write access to a new file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._places: dict[str, tuple[Path, int]] = {}
        for path in sorted(folder.glob("*.jsonl")):
            self._index(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._places)

    def get(self, key: str) -> list[Row] | None:
        """The rows that a key's work gave, or ``None`` where it is still to be done."""
        if key not in self._places:
            return None
        path, place = self._places[key]
        with path.open("rb") as file:
            file.seek(place)
            return [Row.from_json(canonical(row)) for row in json.loads(file.readline())["rows"]]

    def put(self, key: str, rows: Sequence[Row]) -> None:
        """Note finished work down; it outlives this process from here on."""
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            name = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}.jsonl"
            self._file = (self._folder / name).open("ab")
        line = f'{{"key":"{key}","rows":[{",".join(row.to_json() for row in rows)}]}}\n'
        self._places[key] = (Path(self._file.name), self._file.tell())
        self._file.write(line.encode())
        self._file.flush()

    def close(self) -> None:
        """End the file of this writer."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _index(self, path: Path) -> None:
        place = 0
        with path.open("rb") as lines:
            for line in lines:
                if line.endswith(b"\n"):
                    key = line[8 : line.index(b'"', 8)].decode()
                    self._places[key] = (path, place)
                place += len(line)
