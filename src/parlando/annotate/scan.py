"""What there is to annotate: the recordings of a folder, each with a digest of its content."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from parlando.annotate.rows import Row, digest
from parlando.core.errors import InputError

SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("wav", "wave", "w64", "rf64", "flac", "mp3", "mp2", "ogg", "oga", "opus", "m4a", "m4b", "mp4", "aac", "aax"),
        *("aif", "aiff", "aifc", "au", "snd", "caf", "webm", "mka", "mkv", "amr", "wma", "mov", "gpg", "enc", "age"),
    )
)
"""Of files that are looked into; what they really are is found out by their content."""
SCAN, DUPLICATE, UNREADABLE = "scan", "duplicate", "unreadable"
VERSION = "scan 1"
LONGEST_STEM = 60
BLOCK_BYTES = 1 << 20


def scan(raw: Path) -> list[Row]:
    """A row for each recording, by path; one that is another's copy, or cannot be opened, is rejected already.

    Raises:
        InputError: there are no recordings in it.
    """
    paths = sorted(path for path in raw.rglob("*") if _is_wanted(path.relative_to(raw)) and path.is_file())
    if not paths:
        raise InputError(f"'{raw}' holds no recordings; files such as {', '.join(sorted(SUFFIXES)[:6])} … are taken")
    first: dict[str, str] = {}
    return [_row(path, raw, first) for path in paths]


def _is_wanted(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not any(part.startswith(".") for part in path.parts)


def _row(path: Path, raw: Path, first: dict[str, str]) -> Row:
    name = path.relative_to(raw).as_posix()
    source = name.encode(errors="backslashreplace").decode()
    row = Row(recording_id(source), source)
    if name != source:
        return row.reject(SCAN, UNREADABLE, "its name is not UTF-8; rename it")
    try:
        content = content_of(path)
    except OSError as error:
        return row.reject(SCAN, UNREADABLE, error.strerror or "it cannot be opened")
    row = row.told(VERSION, {"content": content})
    same = first.setdefault(content, source)
    return row if same == source or not path.stat().st_size else row.reject(SCAN, DUPLICATE, f"the same as {same}")


def recording_id(source: str) -> str:
    """A name for files and lists: what can be kept of the path, and a digest that makes it unique."""
    stem = re.sub(r"[^A-Za-z0-9]+", "_", source.rsplit(".", 1)[0]).strip("_")[-LONGEST_STEM:]
    return f"{stem}-{digest(source)[:8]}"


def content_of(path: Path) -> str:
    """The SHA-256 of a file."""
    whole = hashlib.sha256()
    for block in _blocks(path):
        whole.update(block)
    return whole.hexdigest()


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            yield block
