"""Dialogues as people write them into a message: ``Speaker A: …`` anywhere, or lines that begin with names."""

from __future__ import annotations

import re

from parlando.text.tags import Turn, parse_turns

_NUMBERED = re.compile(
    r"(?:\A|(?<=\s))\**((?:Speaker|Person|Voice|Narrator)\s?(?:[A-Z]|\d{1,2}))\**\s*[:：]\**\s*", re.I
)
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
"""
_LABELS = frozenset(_LABEL_WORDS.split())


def dialogue_turns(text: str) -> list[Turn]:
    """The turns of a message: at ``[SPEAKER0]`` tags, at numbered speakers, or line by line if two people talk.

    What is none of these is one turn of nobody in particular; names are never part of what is said.
    """
    tagged = parse_turns(text)
    if any(turn.speaker for turn in tagged):
        return tagged
    return _numbered(text) or _named(text) or tagged


def _numbered(text: str) -> list[Turn]:
    marks = list(_NUMBERED.finditer(text))
    if not marks or (text[: marks[0].start()].strip() and len({mark[1].casefold() for mark in marks}) < 2):
        return []
    turns = [Turn(None, before)] if (before := text[: marks[0].start()].strip()) else []
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    said = ((mark[1], text[mark.end() : end].strip()) for mark, end in zip(marks, ends, strict=True))
    return turns + [Turn(" ".join(name.casefold().split()), words) for name, words in said if words]


def _named(text: str) -> list[Turn]:
    turns: list[Turn] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        match = _NAMED_LINE.match(line)
        if match and _is_name(match["name"]):
            turns.append(Turn(match["name"].casefold(), match["said"]))
        elif turns and not match:
            turns[-1] = Turn(turns[-1].speaker, f"{turns[-1].text}\n{line}".strip())
        else:
            return []
    return [turn for turn in turns if turn.text] if len({turn.speaker for turn in turns}) > 1 else []


def _is_name(name: str) -> bool:
    words = name.split()
    return words[0].casefold().rstrip(".") not in _LABELS and all(word[0] == word[0].upper() for word in words)
