"""Tags inside sentences that a model was trained with: which there are is its `Notation`, here they are checked.

`VOCAL` is the notation of CosyVoice2: sounds (``[breath]``), and words said in some way (``<strong>…</strong>``).
"""

from __future__ import annotations

import re
from functools import cache

from parlando.core.errors import TextError, nearest
from parlando.core.types import Notation
from parlando.text.lexicon import PHONES

VOCAL = Notation(
    sounds=(
        "noise", "laughter", "cough", "clucking", "accent", "breath", "quick_breath", "hissing", "sigh",
        "vocalized-noise", "lipsmack", "mn",
    ),
    manners=("strong", "laughter"),
)  # fmt: skip

PHONES_FORM = rf"\{{(?:{'|'.join(PHONES)})(?: (?:{'|'.join(PHONES)}))*\}}"
"""How phones stand in a text, as a pattern: ``{p aa0 r l aa1 n d ow0}``."""

_EMPTY_PAIR = re.compile(r"<(\w+)>\s*</\1>")
_SHOWN = 20


@cache
def notation_pattern(notation: Notation) -> re.Pattern[str] | None:
    """A pattern with one group for every tag of a notation, ``None`` if there is none."""
    forms = [re.escape(f"[{name}]") for name in notation.sounds]
    forms += [rf"</?{re.escape(name)}>" for name in notation.manners]
    forms += [PHONES_FORM] if notation.phones else []
    return re.compile(f"({'|'.join(forms)})") if forms else None


@cache
def _manner_pattern(notation: Notation) -> re.Pattern[str] | None:
    names = "|".join(map(re.escape, notation.manners))
    return re.compile(rf"<(?P<end>/?)(?P<name>{names})>") if names else None


def check_markup(text: str, notation: Notation) -> None:
    """Refuse tags that are not closed, close nothing, or are nearly those of the notation.

    Raises:
        TextError: there is one; the message has its line and what stands beside it.
    """
    names = notation.sounds
    for match in re.finditer(r"\[([a-z][a-z_-]*)\]", text) if names else ():
        hint = nearest(match[1], names)
        if match[1] not in names and hint:
            raise TextError(f"line {_line(text, match.start())}: unknown tag '{match[0]}'.{hint}")
    open_tags: list[tuple[str, int]] = []
    pattern = _manner_pattern(notation)
    for match in pattern.finditer(text) if pattern else ():
        if not match["end"]:
            open_tags.append((match["name"], match.start()))
        elif open_tags and open_tags[-1][0] == match["name"]:
            open_tags.pop()
        else:
            raise TextError(_misplaced(text, match, open_tags))
    if open_tags:
        raise TextError(_unclosed(text, *open_tags[-1]))


def _unclosed(text: str, name: str, start: int) -> str:
    return f"line {_line(text, start)}: <{name}> is not closed, at '{_shown(text, start)}'; add </{name}>"


def _misplaced(text: str, match: re.Match[str], open_tags: list[tuple[str, int]]) -> str:
    advice = f"close <{open_tags[-1][0]}> first" if open_tags else f"put <{match['name']}> before it, or remove it"
    before = text[max(match.start() - _SHOWN, 0) : match.end()].split("\n")[-1]
    return f"line {_line(text, match.start())}: {match[0]} closes nothing that is open, at '{before}'; {advice}"


def _line(text: str, start: int) -> int:
    return text.count("\n", 0, start) + 1


def _shown(text: str, start: int) -> str:
    return text[start : start + _SHOWN].split("\n")[0]


class OpenTags:
    """Closes every tag at the end of the sentence it is open in, and opens it again in the next, of one text."""

    def __init__(self, notation: Notation) -> None:
        self._pattern, self._open = _manner_pattern(notation), list[str]()

    @property
    def any_open(self) -> bool:
        """Whether the next sentence begins inside a tag."""
        return bool(self._open)

    def balance(self, sentence: str) -> str:
        """The next sentence, with its tags in pairs.

        Raises:
            TextError: a tag closes nothing that is open.
        """
        if self._pattern is None:
            return sentence
        opened = "".join(f"<{name}>" for name in self._open)
        for match in self._pattern.finditer(sentence):
            if not match["end"]:
                self._open.append(match["name"])
            elif self._open and self._open[-1] == match["name"]:
                self._open.pop()
            else:
                raise TextError(_misplaced(sentence, match, [(name, 0) for name in self._open]))
        balanced = opened + sentence + "".join(f"</{name}>" for name in reversed(self._open))
        return _EMPTY_PAIR.sub("", balanced)

    def check_closed(self) -> None:
        """Refuse a text that has ended with a tag open.

        Raises:
            TextError: there is one.
        """
        if self._open:
            raise TextError(f"<{self._open[-1]}> is not closed before the text ends; add </{self._open[-1]}>")
