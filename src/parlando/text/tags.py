"""Speakers in a text: `[SPEAKER0]` tags, and scripts whose lines begin with a name."""

from __future__ import annotations

import re
from dataclasses import dataclass

from parlando.core.errors import TextError

_SPEAKER = re.compile(r"\[(SPEAKER\d+)\]")
_NAMED_LINE = re.compile(r"(?P<speaker>[^\W\d_][\w .'-]{0,39}?)\s*:(?:\s+(?P<text>.*))?$")


@dataclass(frozen=True)
class Turn:
    """What one speaker says; ``speaker`` is ``None`` before the first tag, ``line`` counts from 1."""

    speaker: str | None
    text: str
    line: int = 1


def parse_turns(text: str) -> list[Turn]:
    """Split text at its ``[SPEAKER0]`` tags; text without one is a single turn of nobody in particular."""
    turns, speaker, start, line = [], None, 0, 1
    for tag in [*_SPEAKER.finditer(text), None]:
        said = text[start : tag.start() if tag else len(text)]
        if said.strip():
            turns.append(Turn(speaker, said.strip(), line))
        if tag:
            speaker, start = tag[1], tag.end()
            line = text.count("\n", 0, start) + 1
    return turns


def parse_script(text: str) -> list[Turn]:
    """Turns of a script with lines ``NAME: text`` or ``[SPEAKER0] text``.

    Blank lines and lines that start with ``#`` are skipped; an indented line continues the turn above it.

    Raises:
        TextError: a line has no speaker or nothing to say, or there is no turn at all; the message has its number.
    """
    turns: list[Turn] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        if line[0].isspace() and turns:
            last = turns[-1]
            turns[-1] = Turn(last.speaker, f"{last.text} {line.strip()}", last.line)
        else:
            turns.append(_parse_line(line.strip(), number))
    if not turns:
        raise TextError("the script has no lines; write them as 'NAME: text' or '[SPEAKER0] text'")
    return turns


def _parse_line(line: str, number: int) -> Turn:
    tag, named = _SPEAKER.match(line), _NAMED_LINE.match(line)
    if tag:
        speaker, said = tag[1], line[tag.end() :].strip()
    elif named:
        speaker, said = named["speaker"].strip(), (named["text"] or "").strip()
    else:
        shown = line if len(line) <= 40 else line[:40] + "..."
        raise TextError(f"line {number}: no speaker in '{shown}'; write 'NAME: text' or '[SPEAKER0] text'")
    if not any(map(str.isalnum, said)):
        raise TextError(f"line {number}: {speaker} says nothing; add words after the name or remove the line")
    return Turn(speaker, said, number)
