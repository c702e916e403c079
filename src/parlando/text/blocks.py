"""Lines and markdown as blocks: headings, lists, quotes, tables and fences become prose before lines are joined.

What comes out has an empty line between blocks and a stop where a line ends that nothing else ends.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

from parlando.text.codelike import is_code
from parlando.text.linebreaks import Paragraph

logger = logging.getLogger(__name__)

_NEWLINE = re.compile("\r\n?|[\u2028\x85\v\f]")
_FENCE = re.compile(r"[ \t]*(?:[-*+][ \t]+|\d{1,3}[.)][ \t]+)?(?P<fence>`{3,}|~{3,})[ \t]*(?P<info>[^`~\n]*)$")
_WORDS_OF_PROSE = 3  # an info string of that many words is none
_QUOTE = re.compile(r"[ \t]*>(?![ \t]*[\d.$€£=>-])[ \t]?")
_HEADING = re.compile(r"[ \t]*#{1,6}[ \t]+(?P<title>.*?)(?:[ \t]+#+)?[ \t]*$")
_BULLET = re.compile(
    r"[ \t]*(?:[-*+\u2022\u2023\u25e6\u25aa\u25ab\u25cf\u25cb\u2043\u2219\u00b7\u2013\u2014])[ \t]+(?:\[[ xX]\][ \t]+)?"
)
_NUMBERED = re.compile(r"[ \t]*(?:\(?(?P<number>\d{1,3})[.)]|\(?[a-zA-Z]\)|[ivxIVX]{1,5}[.)])(?:[ \t]+|$)")
_TABLE_ROW = re.compile(r"[ \t]*\|")
_CELLS = re.compile(r"(?<!\\)\|")
_DEFINITION = re.compile(r"[ \t]*\[[^\[\]\n]{1,200}\]:[ \t]*<?(?:https?:|www\.|/|\.|#)\S*")
_INDENTED = re.compile(r"(?: {4}|\t)[ \t]*\S")
_SHORTEST_DIVIDER = 3
_STRUCTURE = frozenset("\n\r[\u2028\u2029\x85\v\f")
_LINK = re.compile(
    r"!?\[(?P<text>[^\[\]\n]{0,300})\]"
    r"(?:\((?:[^()\s]|\([^()\s]{0,200}\)){0,500}(?:[ \t]+\"[^\"\n]{0,200}\")?\)|\[\d{1,3}\])"
)
_UNFINISHED_LINK = re.compile(
    r"!?(?:\[[^\[\]\n]{0,300}(?:\](?:\((?:[^()\s]|\([^()\s]{0,200}\)?){0,500}(?:[ \t]+\"?[^\"\n]{0,200}\"?)?"
    r"|\[\d{0,3})?)?)?$"
)
_DECIDING = 40  # characters of a line that say what it is and how it follows the one before
_FIRST_WORD = re.compile(r"[ \t]{0,3}(?:<\|\S+\|>|\[[\w ]+\])?[^\W\d_]+[ \t,;:!?'\u2019]")
_MARKERS = "#>|`~-*+=_[(\u2022\u2023\u25e6\u25aa\u25ab\u25cf\u25cb\u2043\u2219\u00b7\u2013\u2014"
_LONGEST_MARKER = 12


def read_blocks(text: str) -> str:
    """A whole text with its blocks as prose."""
    if _is_one_line_of_prose(text):
        return text
    reader = BlockReader()
    return (reader.feed(text) + reader.flush()).strip()


def _is_one_line_of_prose(text: str) -> bool:
    return text[:1].isalpha() and _STRUCTURE.isdisjoint(text) and not _NUMBERED.match(text)


@dataclass
class _Fence:
    """An open fence, or a block of indented lines, and what it holds."""

    mark: str
    info: str
    lines: list[str] = field(default_factory=list)

    def is_closed_by(self, line: str) -> bool:
        """Whether a line ends it; words may follow the mark."""
        bare = line.lstrip(" \t>")
        run = len(bare) - len(bare.lstrip(self.mark[0]))
        return run >= len(self.mark) and (not bare[run:].strip() or bare[run] in " \t")


class BlockReader:
    """Text that arrives in pieces, its blocks as prose; how it is cut into pieces makes no difference to the words."""

    def __init__(self) -> None:
        self._held, self._begun = "", False  # of a line, and whether its beginning was given out
        self._out: list[str] = []
        self._paragraph, self._in_list, self._in_quote = Paragraph(), False, False
        self._fence: _Fence | None = None
        self._skipped: list[str] = []
        self._spoke = False

    def feed(self, piece: str) -> str:
        """What is certain now, to be read after what came before."""
        self._held += piece
        # A carriage return may be the first half of a line's end.
        end = len(self._held) - self._held.endswith("\r")
        *lines, rest = _NEWLINE.sub("\n", self._held[:end]).replace("\u2029", "\n\n").split("\n")
        for line in lines:
            self._end_line(line)
        self._held = rest + self._held[end:]
        self._begin_line()
        return self._given()

    def flush(self) -> str:
        """What is left; nothing may be fed after it."""
        self._end_line(self._held.rstrip("\r"))
        if self._fence:
            self._close_fence(ended=False)
        if not self._spoke:
            self._prose(self._skipped)
        return self._given()

    def _given(self) -> str:
        given = "".join(self._out)
        self._out.clear()
        return given

    def _begin_line(self) -> None:
        """Give out the beginning of a line of which more may come, if that changes nothing."""
        if self._fence or not (self._begun or self._is_decided(self._held)):
            return
        if not self._begun:
            self._begin(self._held)
        unfinished = _UNFINISHED_LINK.search(self._held)
        end = unfinished.start() if unfinished else len(self._held)
        self._give(self._held[:end])
        self._held = self._held[end:]

    def _is_decided(self, line: str) -> bool:
        """Whether it is prose whatever follows, and how it goes on from the line before."""
        if len(line) <= _DECIDING and not self._paragraph.is_marked:
            return False
        if _FIRST_WORD.match(line):
            return not _INDENTED.match(line)
        start = line.lstrip()
        return (
            len(start) > _LONGEST_MARKER
            and start[0] not in _MARKERS
            and not _marker(line)
            and len(line) - len(start) < 4
        )

    def _end_line(self, line: str) -> None:
        if self._begun:
            self._give(line)
            self._begun = False
        elif self._fence and self._fence.mark:
            self._fenced(line)
        elif self._fence and (_INDENTED.match(line) or not line.strip()):
            self._fence.lines.append(line)
        else:
            if self._fence:
                self._close_fence()
            self._block(line)

    def _fenced(self, line: str) -> None:
        assert self._fence
        if not self._fence.is_closed_by(line):
            self._fence.lines.append(line)
            return
        after = line.lstrip(" \t>").lstrip(self._fence.mark[0])
        self._close_fence()
        self._block(after)

    def _close_fence(self, ended: bool = True) -> None:
        """Read what was fenced, but for code; of a fence that never ends, all but the lines that surely are code."""
        fence, self._fence = self._fence, None
        assert fence
        named = len(fence.info.split()) < _WORDS_OF_PROSE and any(map(str.strip, fence.lines))
        lines = fence.lines if named else [fence.info, *fence.lines]
        code = lines if is_code(lines, fence.info) else []
        if not ended:
            code = [line for line in lines if is_code([line])]
        self._skipped += code
        if code:
            logger.info("%d lines of code are not read: %s ...", len(code), code[0].strip())
        self._end_block()
        self._prose([line for line in lines if line not in code])
        self._end_block()

    def _prose(self, lines: Sequence[str]) -> None:
        for line in lines:
            self._line(line.strip())

    def _block(self, line: str) -> None:
        """A whole line outside fences."""
        quote = _QUOTE.match(line)
        if quote and not self._in_quote:
            self._end_block()
        self._in_quote = bool(quote)
        while quote:
            line = line[quote.end() :]
            quote = _QUOTE.match(line)
        fence = _FENCE.match(line)
        if fence:
            self._fence = _Fence(fence["fence"], fence["info"].strip())
        elif _INDENTED.match(line) and not self._paragraph.last and not self._in_list and not _marker(line):
            self._fence = _Fence("", "", [line])
        else:
            self._line(line)

    def _line(self, line: str) -> None:
        """A line by what it begins with."""
        heading, marker = _HEADING.match(line), _marker(line)
        if not line.strip() or _is_divider(line) or _DEFINITION.match(line):
            self._end_block()
        elif heading:
            self._end_block()
            self._give_line(heading["title"])
            self._end_block()
        elif _TABLE_ROW.match(line):
            self._row(line)
        elif marker and self._may_begin_item(marker):
            self._item(line, marker)
        else:
            self._give_line(line)

    def _row(self, line: str) -> None:
        cells = [cell.strip() for cell in _CELLS.split(line)]
        self._stop()
        self._give_line(", ".join(cell for cell in cells if any(map(str.isalnum, cell))))
        self._stop()

    def _may_begin_item(self, marker: re.Match[str]) -> bool:
        """A number in the middle of a sentence begins no item, unless it is the first."""
        if self._in_list or self._paragraph.is_marked or marker.re is _BULLET:
            return True
        return marker["number"] == "1" or self._paragraph.is_short

    def _item(self, line: str, marker: re.Match[str]) -> None:
        words, numbered = line[marker.end() :], marker.re is _NUMBERED
        if not words and numbered and not self._in_list:
            self._give_line(line)
            return
        if numbered and marker["number"]:
            self._end_block()
        self._stop()
        if words:
            self._give_line(line if numbered else words)
        self._in_list = True

    def _give_line(self, line: str) -> None:
        self._begin(line)
        self._give(line)
        self._begun = False

    def _begin(self, line: str) -> None:
        """Join a line of prose to what is before it."""
        continued = self._in_list and line[:1].isspace()
        separator = " " if continued else self._paragraph.separator(line[:_DECIDING], len(line) > _DECIDING)
        self._out.append(separator)
        self._paragraph.last, self._begun = "", True

    def _give(self, text: str) -> None:
        words = _LINK.sub(lambda link: link["text"], text)
        words = words if self._paragraph.last else words.lstrip()
        self._paragraph.last += words
        self._out.append(words)
        self._spoke = self._spoke or bool(words)

    def _stop(self) -> None:
        """End a sentence, if nothing did."""
        if not self._paragraph.is_marked:
            self._out.append(self._paragraph.stop)
            self._paragraph.last += self._paragraph.stop

    def _end_block(self) -> None:
        if self._paragraph.last:
            self._out.append("\n\n")
        self._paragraph, self._in_list = Paragraph(), False


def _marker(line: str) -> re.Match[str] | None:
    return _BULLET.match(line) or _NUMBERED.match(line)


def _is_divider(line: str) -> bool:
    """A line of signs alone: it parts what is above and below, and is not read."""
    signs = "".join(line.split())
    if any(map(str.isalnum, unicodedata.normalize("NFKC", signs))):  # letters in circles are letters
        return False
    return len(signs) >= _SHORTEST_DIVIDER or signs in (
        "==",
        "--",
        "**",
        "__",
        "~~",
        "*",
        "-",
        "+",
        "#",
        "##",
        "`",
        "``",
    )
