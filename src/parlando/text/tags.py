"""Speakers in a text: `[SPEAKER0]` tags, and scripts whose lines begin with a name."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass

from parlando.core.errors import TextError
from parlando.text.rules import words

logger = logging.getLogger(__name__)

_SPEAKER = re.compile(r"\[(SPEAKER\d+)\]")
_NAMED_LINE = re.compile(r"(?P<speaker>[^\W\d_][\w .'-]{0,39}?)\s*:(?:\s+(?P<text>.*))?$")
_ROLES = (
    "Speaker|Person|Voice|Host|Guest|Interviewer|Interviewee|Narrator|User|Assistant|Human|AI|Bot|Customer|Agent|Caller"
    "|Teacher|Student|Man|Woman|Boy|Girl|Doctor|Patient|Moderator|Reporter|Anchor|Client|Chatbot|Q|A|B"
)
_SPEAKERS_NAME = re.compile(rf"(?:{_ROLES})(?:[ _-]?(?:\d+|[A-Z]))?|SPEAKER[ _-]?\w+", re.IGNORECASE)
_PROPER_NAME = re.compile(
    r"(?!(?:He|She|They|We|I|It|You|The|This|That|A|An|Then|And)\b)[^\W\d_a-z]\S*(?: [^\W\d_a-z]\S*)*"
)
_BEFORE_SPEAKER = re.compile(r"[ \t]+(?:/[ \t]*)?(?=(?:Speaker|SPEAKER|Person|Voice)[ _-]?(?:\d+|[A-Z]):)")
_LABELS = words(
    "note notes warning tip tips example examples hint caution important summary answer question step date time place"
    " name address subject from to cc price total ingredients method remember attention update result conclusion title"
    " author"
)
_WORDS_OF_A_NAME = 3


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


def find_script(text: str) -> list[Turn]:
    """The turns of a text that is a script for several speakers (``Speaker A: Hi.``), and none of any other text.

    Lines with a name alone make no script, for a note or a list may have them: the names must say that they are of
    speakers, or somebody must speak twice.
    """
    if ":" not in text.replace("\uff1a", ":") or _SPEAKER.search(text) or re.search(r"^#", text, re.MULTILINE):
        return []
    try:
        turns = parse_script(_BEFORE_SPEAKER.sub("\n", text.replace("\uff1a", ": ")).strip())
    except TextError:
        return []
    names = {turn.speaker or "" for turn in turns}
    labelled = any(name.lower() in _LABELS or len(name.split()) > _WORDS_OF_A_NAME for name in names)
    repeated = len(turns) > len(names) and all(map(_PROPER_NAME.fullmatch, names))
    spoken = repeated or all(map(_SPEAKERS_NAME.fullmatch, names))
    return turns if len(names) > 1 and spoken and not labelled else []


def without_names(text: str) -> str:
    """A text for one voice: of a script what is said, one paragraph a turn; names are left out, with a warning."""
    turns = find_script(text)
    if not turns:
        return text
    names = ", ".join(dict.fromkeys(turn.speaker or "" for turn in turns))
    logger.warning(
        "the text is a script for %s: one voice speaks it, without the names; parlando dialogue gives each a voice",
        names,
    )
    return "\n\n".join(turn.text for turn in turns)


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
