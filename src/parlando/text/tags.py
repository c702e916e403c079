"""Markup inside text: speakers (`[SPEAKER0]`, scripts), sound events (`<SE>`), the published transcript clean-up."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from parlando.core.errors import TextError, nearest

EventKind = Literal["once", "start", "end"]

BRACKET_TAGS = MappingProxyType(
    {
        "[laugh]": "<SE>[Laughter]</SE>",
        "[humming start]": "<SE_s>[Humming]</SE_s>",
        "[humming end]": "<SE_e>[Humming]</SE_e>",
        "[music start]": "<SE_s>[Music]</SE_s>",
        "[music end]": "<SE_e>[Music]</SE_e>",
        "[music]": "<SE>[Music]</SE>",
        "[sing start]": "<SE_s>[Singing]</SE_s>",
        "[sing end]": "<SE_e>[Singing]</SE_e>",
        "[applause]": "<SE>[Applause]</SE>",
        "[cheering]": "<SE>[Cheering]</SE>",
        "[cough]": "<SE>[Cough]</SE>",
    }
)
"""Short tags and the sound-event markup that Higgs Audio was trained with."""

_KINDS: dict[str, EventKind] = {"": "once", "_s": "start", "_e": "end"}
_EVENT = re.compile(r"<SE(?P<kind>_[se])?>\[(?P<name>[^\[\]<>\n]+)\]</SE(?(kind)(?P=kind))>")
_STRAY = re.compile(r"</?SE(?:_[se])?>")
_SPEAKER = re.compile(r"\[(SPEAKER\d+)\]")
_NAMED_LINE = re.compile(r"(?P<speaker>[^\W\d_][\w .'-]{0,39}?)\s*:(?:\s+(?P<text>.*))?$")
_PUNCTUATION = str.maketrans(
    {
        "\uff0c": ", ", "\u3002": ".", "\uff1a": ":", "\uff1b": ";", "\uff1f": "?", "\uff01": "!", "\uff08": "(",
        "\uff09": ")", "\u3010": "[", "\u3011": "]", "\u300a": "<", "\u300b": ">", "\u201c": '"', "\u201d": '"',
        "\u2018": "'", "\u2019": "'", "\u3001": ",", "\u2014": "-", "\u2026": "...", "\u00b7": ".", "\u300c": '"',
        "\u300d": '"', "\u300e": '"', "\u300f": '"',
    }
)  # fmt: skip
_FINAL = (".", "!", "?", ",", ";", '"', "'", "</SE_e>", "</SE>")


@dataclass(frozen=True)
class Turn:
    """What one speaker says; ``speaker`` is ``None`` before the first tag, ``line`` counts from 1."""

    speaker: str | None
    text: str
    line: int = 1


@dataclass(frozen=True)
class SoundEvent:
    """A sound between words: it happens once, or it starts or ends here."""

    name: str
    kind: EventKind = "once"

    def __str__(self) -> str:
        suffix = next(suffix for suffix, kind in _KINDS.items() if kind == self.kind)
        return f"<SE{suffix}>[{self.name}]</SE{suffix}>"


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


def parse_events(text: str) -> list[str | SoundEvent]:
    """Text and sound events in order; joined as strings they equal the input.

    Raises:
        TextError: a piece of ``<SE>`` markup is not closed, or a start has no end.
    """
    parts: list[str | SoundEvent] = []
    end = 0
    for match in _EVENT.finditer(text):
        parts += [text[end : match.start()], SoundEvent(match["name"], _KINDS[match["kind"] or ""])]
        end = match.end()
    parts.append(text[end:])
    found = [part for part in parts if part]
    _check_events(found)
    return found


def _check_events(parts: list[str | SoundEvent]) -> None:
    open_events: list[str] = []
    for part in parts:
        if isinstance(part, str):
            stray = _STRAY.search(part)
            if stray:
                raise TextError(f"'{stray[0]}' is not part of an event; write it as '<SE>[Laughter]</SE>'")
        elif part.kind == "start":
            open_events.append(part.name)
        elif part.kind == "end":
            if part.name not in open_events:
                raise TextError(f"'{part}' ends what never started; put '{SoundEvent(part.name, 'start')}' before it")
            open_events.remove(part.name)
    if open_events:
        name = open_events[0]
        raise TextError(f"'{SoundEvent(name, 'start')}' is never ended; add '{SoundEvent(name, 'end')}'")


def expand_bracket_tags(text: str) -> str:
    """``[laugh]`` and its like (`BRACKET_TAGS`) as sound-event markup; other brackets stay."""
    for tag, markup in BRACKET_TAGS.items():
        text = text.replace(tag, markup)
    return text


def check_bracket_tags(text: str) -> None:
    """Refuse a bracketed lower-case word that is nearly one of `BRACKET_TAGS`.

    Raises:
        TextError: there is one; the message names the tag that was probably meant.
    """
    for found in re.findall(r"\[[a-z][a-z ]*\]", text):
        hint = nearest(found, BRACKET_TAGS)
        if found not in BRACKET_TAGS and hint:
            raise TextError(f"unknown tag '{found}'.{hint}")


def normalize_transcript(text: str) -> str:
    """The clean-up that the published Higgs Audio v2 examples apply to a transcript, for the same prompts.

    Punctuation to ASCII, brackets to spaces, degrees and bracket tags spelled, blank lines dropped, a final mark added.
    """
    text = text.translate(_PUNCTUATION).replace("(", " ").replace(")", " ")
    text = text.replace("\u00b0F", " degrees Fahrenheit").replace("\u00b0C", " degrees Celsius")
    text = expand_bracket_tags(text)
    text = "\n".join(" ".join(line.split()) for line in text.split("\n") if line.strip()).strip()
    return text if text.endswith(_FINAL) else text + "."
