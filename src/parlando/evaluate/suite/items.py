"""What a system is asked to say, and the lists that say so: Seed-TTS Eval's layout, read line by line.

A line that cannot serve is a `Problem` that names it; the others are evaluated all the same.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from parlando.core.errors import FileMissingError, InputError

SEPARATOR = "|"
SAFE_NAME = re.compile(r"[\w.-]+")
LETTER = re.compile(r"\w")
LARGEST_LIST_BYTES = 64 * 2**20
PACKAGED = Path(str(files("parlando.evaluate").joinpath("data", "lists")))


@dataclass(frozen=True)
class Sample:
    """A recording that is followed: where it is, and what is said in it."""

    audio: Path
    text: str = ""


@dataclass(frozen=True)
class Turn:
    """What one speaker of a dialogue says; ``speaker`` counts from 0."""

    speaker: int
    text: str


@dataclass(frozen=True)
class Item:
    """One thing to say. ``sample`` is the voice to follow, ``recording`` a person who says it, ``line`` of its list.

    A dialogue has ``turns``, and a sample for each of its speakers where they are given. ``depth`` says how often a
    prompt was made harder.
    """

    id: str
    text: str
    language: str = "en"
    line: int = 0
    group: str = ""
    sample: Sample | None = None
    recording: Path | None = None
    turns: tuple[Turn, ...] = ()
    samples: tuple[Sample, ...] = ()
    depth: int = 0


@dataclass(frozen=True)
class Problem:
    """Something that went wrong and was counted: a line of a list, or an item at a stage."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(frozen=True)
class ItemList:
    """The items of a list, the lines that are none, and the SHA-256 of what was read."""

    name: str
    items: tuple[Item, ...]
    problems: tuple[Problem, ...]
    sha256: str

    def first(self, limit: int | None) -> ItemList:
        """The same with as many items at most."""
        return ItemList(self.name, self.items[:limit], self.problems, self.sha256)


def _read_lines(source: str) -> tuple[list[bytes], str]:
    """The raw lines of a list and its SHA-256; a bare name is a packaged list.

    Raises:
        FileMissingError: there is no such list.
        InputError: it is far too large.
    """
    path = list_folder(source) / Path(source).name
    if not path.is_file():
        raise FileMissingError(source, "list")
    if path.stat().st_size > LARGEST_LIST_BYTES:
        raise InputError(f"'{source}' has more than {LARGEST_LIST_BYTES >> 20} MiB, so it is not a list of texts")
    data = path.read_bytes()
    return data.removeprefix(codecs.BOM_UTF8).splitlines(), hashlib.sha256(data).hexdigest()


def list_folder(source: str) -> Path:
    """The folder that the paths in a list are relative to; a bare name that is no file here is a packaged list."""
    is_packaged = not Path(source).is_file() and (PACKAGED / source).is_file()
    return PACKAGED if is_packaged else Path(source).parent


def read_seed_tts(source: str, language: str) -> ItemList:
    """A list in Seed-TTS Eval's layout: ``id|text``, ``id|text|wav`` or ``id|prompt text|prompt wav|text[|wav]``.

    Raises:
        FileMissingError: there is no such list.
    """
    home = list_folder(source)
    return collect_items(source, lambda line, number: _seed_tts_item(line, number, home, language))


def collect_items(source: str, make: Callable[[str, int], Item | None]) -> ItemList:
    """The items of a list, one a line; ``make`` gets a line and its number, and may refuse it, or find none in it.

    Raises:
        FileMissingError: there is no such list.
    """
    lines, digest = _read_lines(source)
    items: list[Item] = []
    problems: list[Problem] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            item = make(line.decode("utf-8"), number)
            if item is not None:
                _check_item(item, items)
                items.append(item)
        except (InputError, UnicodeDecodeError) as error:
            problems.append(Problem(f"{source}:{number}", _reason_of(error)))
    return ItemList(Path(source).name, tuple(items), tuple(problems), digest)


def read_json_items(source: str, make: Callable[[Any, int], Item]) -> ItemList:
    """The items of a list of JSON lines; ``make`` gets what stands in a line, and may fail for want of a field.

    Raises:
        FileMissingError: there is no such list.
    """

    def made(line: str, number: int) -> Item:
        try:
            return make(json.loads(line), number)
        except KeyError as error:
            raise InputError(f"there is no {error} in it") from error
        except (ValueError, TypeError) as error:
            raise InputError(f"not as a line should be: {error}") from error

    return collect_items(source, made)


def _seed_tts_item(line: str, number: int, folder: Path, language: str) -> Item:
    fields = [field.strip() for field in line.split(SEPARATOR)]
    if not 2 <= len(fields) <= 5:
        raise InputError(f"{len(fields)} fields between '{SEPARATOR}'; a line has 2 to 5, beginning with an id")
    name, *rest = fields
    prompt_text, prompt_wav, text, recording = _by_place(rest)
    sample = Sample(_existing(folder, prompt_wav, "prompt recording"), prompt_text) if prompt_wav else None
    truth = _existing(folder, recording, "recording") if recording else None
    return Item(name, text, language, number, sample=sample, recording=truth)


def _by_place(rest: Sequence[str]) -> tuple[str, str, str, str]:
    """Prompt text, prompt wav, text, recording."""
    if len(rest) == 1:
        return "", "", rest[0], ""
    if len(rest) == 2:
        return "", rest[1], rest[0], ""
    return rest[0], rest[1], rest[2], rest[3] if len(rest) > 3 else ""


def _existing(folder: Path, name: str, what: str) -> Path:
    path = folder / name
    if not path.is_file():
        raise FileMissingError(path, what)
    return path


def read_items(source: str, columns: Sequence[str], make: Callable[[Mapping[str, str], int], Item]) -> ItemList:
    """The items of a tab-separated list with a header; ``make`` gets a row and its line, and may refuse it.

    Lines that begin with ``#`` are comments.

    Raises:
        FileMissingError: there is no such list.
        InputError: its header lacks a column.
    """
    header: list[str] = []

    def made(line: str, number: int) -> Item | None:
        if line.startswith("#"):
            return None
        cells = [cell.strip() for cell in line.split("\t")]
        if not header:
            header.extend(cells)
            return None
        return make(_row(header, cells, columns), number)

    found = collect_items(source, made)
    if missing := [column for column in columns if column not in header]:
        raise InputError(f"'{source}' has no column {', '.join(missing)}; it has: {', '.join(header) or 'none'}")
    return found


def _row(header: Sequence[str], cells: Sequence[str], columns: Sequence[str]) -> dict[str, str]:
    if len(cells) != len(header):
        raise InputError(f"{len(cells)} columns where the header has {len(header)}")
    row = dict(zip(header, cells, strict=True))
    return {**dict.fromkeys(columns, ""), **row}


def _reason_of(error: InputError | UnicodeDecodeError) -> str:
    return f"not UTF-8 ({error.reason})" if isinstance(error, UnicodeDecodeError) else str(error)


def _check_item(item: Item, items: Sequence[Item]) -> None:
    """Refuse an item that cannot be said, or whose audio would be another one's."""
    if not SAFE_NAME.fullmatch(item.id):
        raise InputError(f"'{item.id}' is not a valid id; use letters, digits, '-', '_' and '.'")
    if not LETTER.search(item.text):
        raise InputError("the text is empty; it needs at least one letter or digit")
    twice = next((each for each in items if each.id == item.id), None)
    if twice is not None:
        raise InputError(f"the id '{item.id}' is that of line {twice.line} too; ids name the audio and must differ")
