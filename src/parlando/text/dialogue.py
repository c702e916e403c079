"""Dialogues as people write them: ``Speaker A: …`` anywhere, or lines that begin with names; which of them are sure."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator

from parlando.text.tags import Turn, parse_turns

logger = logging.getLogger(__name__)

_KINDS = ("Speaker", "Person", "Voice", "Narrator")
_AT_START = r"(?:\n|[.?!\u2026\u3002\uff01\uff1f\"'\u201d)/]\**[ \t])[ \t]*(?:/[ \t]*)?"
_NUMBER = r"[ _-]?(?:[A-Z]|\d{1,2})"
_NUMBERED = re.compile(
    rf"(?P<before>{_AT_START})\**(?P<name>(?:{'|'.join(_KINDS)}){_NUMBER})\**[ \t]*[:\uff1a]\**(?!\d)\s*(?=[^\s*])",
    re.IGNORECASE,
)
_BEGUN_KINDS = "|".join(kind[:length] for kind in _KINDS for length in range(1, len(kind)))
_UNFINISHED = re.compile(
    rf"{_AT_START}(?P<held>[*/]+[ \t]*|\**(?:{_BEGUN_KINDS}|(?:{'|'.join(_KINDS)})"
    rf"(?:[ _-]|{_NUMBER}\**[ \t]*(?:[:\uff1a]\**\s*)?)?))\Z",
    re.IGNORECASE,
)
_BESIDE = 8  # characters before a name that say whether a sentence begins with it
_ROLES = (
    "Speaker|Person|Voice|Host|Guest|Interviewer|Interviewee|Narrator|User|Assistant|Human|AI|Bot|Customer|Agent|Caller"
    "|Teacher|Student|Man|Woman|Boy|Girl|Doctor|Patient|Moderator|Reporter|Anchor|Client|Chatbot"
)
_ROLE = re.compile(rf"(?:{_ROLES})(?:[ _-]?(?:\d+|[A-Z]))?|Speaker[ _-]?\w+", re.IGNORECASE)
_NAMED_LINE = re.compile(
    r"\**(?P<name>[^\W\d_][\w.'’-]*(?: [^\W\d_][\w.'’-]*){0,2})\**\s*(?::\**(?=\s|$)|：\**)\s*(?P<said>.*)$"
)
# What stands before a colon at the beginning of a line and is no speaker.
_LABEL_WORDS = """
    a advantages agenda answer attention author bonus caution cause cc chapter conclusion cons context copyright date
    definition description disadvantages error example examples fact figure fix from goal hint hours important info
    ingredients input instructions key location name note notes option output part password phone pro problem pros
    ps q question re reason recipe remember requirements result results rule section sender solution source status
    step steps subject summary table task tip tips title to todo topic total update usage username version warning
    when where who why
    monday tuesday wednesday thursday friday saturday sunday january february march april may june july august
    september october november december morning noon afternoon evening night today tomorrow yesterday day week month
    year breakfast lunch dinner good bad better worse best worst before after then he she they we i you it this that
    place price method conclusion the an and
"""
_LABELS = frozenset(_LABEL_WORDS.split())


def dialogue_turns(text: str) -> list[Turn]:
    """The turns of a message: at ``[SPEAKER0]`` tags, at numbered speakers, or line by line if two people talk.

    What is none of these is one turn of nobody in particular; names are never part of what is said.
    """
    tagged = parse_turns(text)
    if any(turn.speaker for turn in tagged):
        return tagged
    return _numbered(text) or _named(text, _is_name) or tagged


def without_names(text: str) -> str:
    """A text for one voice: names that surely are of speakers are left out, with a warning; who speaks has a paragraph.

    Sure are numbered speakers and, if they begin the lines of a whole text, roles (``Host: …``). Other words before a
    colon may be of a note or a list (``Monday: …``, ``Q: …``), and are read.
    """
    turns = _named(text, lambda name: bool(_ROLE.fullmatch(name)))
    if not turns:
        return "".join(without_numbered_names([text]))
    _warn(turn.speaker or "" for turn in turns)
    return "\n\n".join(turn.text for turn in turns)


def without_numbered_names(pieces: Iterable[str]) -> Iterator[str]:
    """Pieces of a text for one voice without its numbered speakers (``Speaker A: …``), each of whom has a paragraph."""
    beside, held, begun, names = "\n", "", False, list[str]()
    for piece in pieces:
        held += piece
        while match := _NUMBERED.search(beside + held):
            start, end = match.end("before") - len(beside), match.end() - len(beside)
            yield held[:start]
            begun = begun or bool(held[:start].strip())
            yield "\n\n" if begun else ""
            beside, held = "\n", held[end:]
            names.append(match["name"])
        unfinished = _UNFINISHED.search(beside + held)
        end = unfinished.start("held") - len(beside) if unfinished else len(held)
        yield held[:end]
        begun = begun or bool(held[:end].strip())
        beside, held = (beside + held[:end])[-_BESIDE:], held[end:]
    yield held
    _warn(names)


def _warn(names: Iterable[str]) -> None:
    if speakers := ", ".join(dict.fromkeys(names)):
        logger.warning(
            "the text is a script for %s: one voice speaks it, without the names; parlando dialogue gives each a voice",
            speakers,
        )


def _numbered(text: str) -> list[Turn]:
    text = "\n" + text
    marks = list(_NUMBERED.finditer(text))
    if not marks:
        return []
    before = text[: marks[0].end("before")].strip()
    if before and len({mark["name"].casefold() for mark in marks}) == 1:
        return []
    turns = [Turn(None, before)] if before else []
    ends = [*(mark.end("before") for mark in marks[1:]), len(text)]
    said = ((mark["name"], text[mark.end() : end].strip(" \t\n/")) for mark, end in zip(marks, ends, strict=True))
    return turns + [Turn(" ".join(name.casefold().split()), words) for name, words in said if words]


def _named(text: str, is_name: Callable[[str], bool]) -> list[Turn]:
    """Turns of a text whose lines begin with two names or more, and none of another text."""
    turns: list[Turn] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        match = _NAMED_LINE.match(line)
        if match and is_name(match["name"]):
            turns.append(Turn(match["name"].casefold(), match["said"]))
        elif turns and not match:
            turns[-1] = Turn(turns[-1].speaker, f"{turns[-1].text}\n{line}".strip())
        else:
            return []
    return [turn for turn in turns if turn.text] if len({turn.speaker for turn in turns}) > 1 else []


def _is_name(name: str) -> bool:
    words = name.split()
    return words[0].casefold().rstrip(".") not in _LABELS and all(word[0] == word[0].upper() for word in words)
