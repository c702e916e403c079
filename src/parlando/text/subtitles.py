"""Subtitles: the words of a text as cues of at most two lines, in SubRip's format or as WebVTT."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, zip_longest

from parlando.core.types import Word
from parlando.text.normalize import TAG
from parlando.text.scripts import WIDE

LINE_COLUMNS, MOST_LINES = 42, 2
LONGEST_SECONDS, SHORTEST_SECONDS = 7.0, 1.0
PAUSE_SECONDS = 1.5  # a cue does not stand while nobody speaks
_WIDE = re.compile(f"[{WIDE}\u3000-\u303f\uff01-\uff60]")
_UNSHOWN = re.compile(rf"{TAG.pattern}|</?\w[^<>]*>|(?<=\])\([^()\s]*\)|[*_#|`~\[\]{{}}]+", re.ASCII)
_SENTENCE_END = re.compile(r"[.!?\u2026\u3002\uff01\uff1f][\"'\u201d\u2019)\u300d\u300f]*$")
_CLAUSE_END = re.compile(r"[,;:\u2013\u2014\uff0c\u3001\uff1b\uff1a][\"'\u201d\u2019)\u300d\u300f]*$")
_PARAGRAPH = re.compile(r"\n\s*(?:\n|[-*+>#|]|\d+[.)])")
_BREAK = re.compile(f"\\s+|(?<=[{WIDE}\u3000-\u303f\uff01-\uff60])(?=[{WIDE}])")
_UNEVEN, _NO_MARK = 1.0, 0.5  # what it costs to cut a sentence in unequal halves, or where there is no mark


@dataclass(frozen=True)
class Cue:
    """What is shown at once: at most two lines, and who says it where that is named."""

    start_seconds: float
    end_seconds: float
    lines: tuple[str, ...]
    speaker: str = ""


@dataclass(frozen=True)
class _Piece:
    """A word as it is shown, with its marks; ``space`` is what parts it from the next one."""

    text: str
    space: str
    start_seconds: float
    end_seconds: float
    speaker: str

    @property
    def columns(self) -> int:
        return _columns(self.text)


def cues(text: str, words: Sequence[Word], speakers: Sequence[tuple[int, str]] = ()) -> list[Cue]:
    """The cues of a text whose words are heard at these times; ``speakers`` are those from a character of it on.

    A sentence has a cue, or several where it is long: cut at its marks, or between words.
    """
    sentences: list[list[_Piece]] = [[]]
    for piece, following in pairwise([*_pieces(text, words, speakers), None]):
        assert piece is not None
        sentences[-1].append(piece)
        if following is None or _SENTENCE_END.search(piece.text) or _parts(piece, following):
            sentences.append([])
    found = [_cue(part) for sentence in sentences if sentence for part in _split(sentence)]
    return [_readable(cue, following) for cue, following in zip_longest(found, found[1:])]


def srt(found: Iterable[Cue]) -> str:
    """SubRip: who speaks stands before the first line that is theirs."""
    blocks, before = [], ""
    for number, cue in enumerate(found, start=1):
        lines = list(cue.lines)
        if cue.speaker and cue.speaker != before:
            lines = _wrapped(f"{cue.speaker}: {_unwrapped(lines)}")
        before = cue.speaker
        times = f"{_clock(cue.start_seconds, ',')} --> {_clock(cue.end_seconds, ',')}"
        blocks.append("\n".join((str(number), times, *lines)))
    return "\n\n".join(blocks) + "\n" if blocks else ""


def vtt(found: Iterable[Cue]) -> str:
    """WebVTT: who speaks is the cue's voice."""
    blocks = ["WEBVTT"]
    for cue in found:
        shown = html.escape("\n".join(cue.lines), quote=False)
        voice = f"<v {html.escape(cue.speaker, quote=False)}>" if cue.speaker else ""
        blocks.append(f"{_clock(cue.start_seconds)} --> {_clock(cue.end_seconds)}\n{voice}{shown}")
    return "\n\n".join(blocks) + "\n"


def _pieces(text: str, words: Sequence[Word], speakers: Sequence[tuple[int, str]]) -> Iterator[_Piece]:
    lead = _last_part(text[: words[0].start]) if words else ""
    for word, following in zip_longest(words, words[1:]):
        gap = text[word.stop : len(text) if following is None else following.start]
        after = "" if following is None else _last_part(gap) if any(map(str.isspace, gap)) else ""
        trail = gap.removesuffix(after).split("\n")[0].rstrip()
        space = "\n" if _PARAGRAPH.search(gap) else " " if any(map(str.isspace, gap)) else ""
        speaker = next((name for begin, name in reversed(speakers) if begin <= word.start), "")
        shown = _UNSHOWN.sub("", f"{lead}{text[word.start : word.stop]}{trail}").strip()
        yield from _short(_Piece(shown, space, word.start_seconds, word.end_seconds, speaker))
        lead = after


def _last_part(gap: str) -> str:
    """What stands right before a word: an opening quote, but not what is before a space."""
    return re.split(r"\s", gap)[-1]


def _short(piece: _Piece) -> Iterator[_Piece]:
    """A piece that has room in a line; of a longer one as many as it takes."""
    parts = [piece.text[at : at + LINE_COLUMNS] for at in range(0, len(piece.text), LINE_COLUMNS)]
    step = (piece.end_seconds - piece.start_seconds) / max(1, len(parts))
    for index, part in enumerate(parts):
        start, is_last = piece.start_seconds + step * index, index == len(parts) - 1
        yield _Piece(part, piece.space if is_last else "", start, start + step, piece.speaker)


def _parts(piece: _Piece, following: _Piece) -> bool:
    """Whether two pieces never stand in one cue."""
    pause_seconds = following.start_seconds - piece.end_seconds
    return piece.space == "\n" or piece.speaker != following.speaker or pause_seconds > PAUSE_SECONDS


def _split(pieces: Sequence[_Piece]) -> list[Sequence[_Piece]]:
    """A sentence in as many parts as it takes that each has room in a cue."""
    if len(pieces) == 1 or _fits(pieces):
        return [pieces]
    sizes = [piece.columns for piece in pieces]

    def cost(place: int) -> float:
        uneven = abs(sum(sizes[:place]) - sum(sizes[place:])) / sum(sizes)
        return _UNEVEN * uneven + (0.0 if _CLAUSE_END.search(pieces[place - 1].text) else _NO_MARK)

    place = min(range(1, len(pieces)), key=cost)
    return [*_split(pieces[:place]), *_split(pieces[place:])]


def _fits(pieces: Sequence[_Piece]) -> bool:
    seconds = pieces[-1].end_seconds - pieces[0].start_seconds
    name = f"{pieces[0].speaker}: " if pieces[0].speaker else ""
    return seconds <= LONGEST_SECONDS and len(_wrapped(name + _joined(pieces))) <= MOST_LINES


def _joined(pieces: Sequence[_Piece]) -> str:
    return "".join(f"{piece.text}{piece.space}" for piece in pieces).strip()


def _cue(pieces: Sequence[_Piece]) -> Cue:
    lines = tuple(_wrapped(_joined(pieces)))
    return Cue(pieces[0].start_seconds, pieces[-1].end_seconds, lines, pieces[0].speaker)


def _readable(cue: Cue, following: Cue | None) -> Cue:
    """A cue that is shown long enough to be read, where the next one leaves the time."""
    end_seconds = max(cue.end_seconds, cue.start_seconds + SHORTEST_SECONDS)
    return replace(cue, end_seconds=end_seconds if following is None else min(end_seconds, following.start_seconds))


def _wrapped(text: str) -> list[str]:
    """One line, or two of about the same length; more where that is not enough."""
    if _columns(text) <= LINE_COLUMNS:
        return [text]
    places = [match.start() for match in _BREAK.finditer(text)]
    halves = [(text[:place].rstrip(), text[place:].lstrip()) for place in places]
    fitting = [half for half in halves if max(map(_columns, half)) <= LINE_COLUMNS]
    if fitting:
        return list(min(fitting, key=lambda half: max(map(_columns, half))))
    first = [half for half in halves if _columns(half[0]) <= LINE_COLUMNS]
    head, rest = first[-1] if first else (text[:LINE_COLUMNS], text[LINE_COLUMNS:])
    return [head, *_wrapped(rest)]


def _unwrapped(lines: Sequence[str]) -> str:
    return "".join(line + ("" if _WIDE.match(line[-1:]) else " ") for line in lines).strip()


def _columns(text: str) -> int:
    return len(text) + len(_WIDE.findall(text))


def _clock(seconds: float, mark: str = ".") -> str:
    milliseconds = round(seconds * 1000)
    hours, minutes = divmod(milliseconds // 60_000, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds // 1000 % 60:02}{mark}{milliseconds % 1000:03}"
