"""Spans of mixed text: which part is read in which language, told from scripts and, for digits, from what is beside.

Numbers in a name (iPhone 15 Pro) are read in the language around it, those in a run of English words in English.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from parlando.text.scripts import HAN, HANGUL, KANA, WIDE, length

_LATIN = r"A-Za-z\u00c0-\u024f"
_RUN = re.compile(rf"(?P<cjk>[{HAN}{KANA}]+)|(?P<ko>[{HANGUL}]+)|(?P<other>[^{WIDE}]+)")
_STATEMENT = re.compile(r"(?:[^.?!]|[.?!](?!\s))+[.?!]*\s*|[.?!]+\s*")
_MEASURE = (
    r"\d[\d.,]* (?:[kcdmµ]?m|k?g|mg|[mkd]?[lL]|[kMG]?Hz|[KMGT]B|km/h|m/s|[kM]?W|k?Wh|mAh|[ap]\.?m\.?|°[CF])(?!\w)"
)
_CHUNK = re.compile(rf"{_MEASURE}\S*|\S+|\s+")
_WITH_DIGIT = re.compile(rf"{_MEASURE}|\S*\d\S*")
_KANA, _WIDE = re.compile(f"[{KANA}]"), re.compile(f"[{WIDE}]")
_LETTER, _DIGIT = re.compile(f"[{_LATIN}]"), re.compile(r"\d")
_WORD = re.compile(rf"(?<!\w)[{_LATIN}][{_LATIN}']*(?!\w)")
_FUNCTION_WORD = re.compile(
    r"(?:a|an|the|is|are|was|were|be|been|am|have|has|had|do|does|did|i|you|he|she|it|we|they|of|in|on|at|to|for|with"
    r"|from|by|as|or|and|but|not|my|your|his|her|our|their|this|that|these|those|will|would|can|could|there|what|who"
    r"|how|when|where|if)",
    re.IGNORECASE,
)
_WORDS_OF_A_SENTENCE = 3
_KANA_SHARE = 4  # within Chinese, one kana in this many characters makes it Japanese


@dataclass(frozen=True)
class Span:
    """A piece of text that is read in one language."""

    language: str
    text: str


def spans(text: str, language: str = "en") -> list[Span]:
    """Split text into spans; joined, they are the text.

    ``language`` is that of the text as a whole, and has what belongs to no other. Digits and signs that touch Chinese,
    Japanese or Korean characters, or have nothing else on either side, are read in the language of these characters.
    """
    if text.isascii() and language == "en":
        return [Span(language, text)] if text else []
    return _merged(span for statement in _STATEMENT.findall(text) for span in _of_statement(statement, language))


def detect(text: str, default: str = "en") -> str:
    """The language that most of a text is in; ``default`` for one without letters."""
    count = Counter[str]()
    for span in spans(text, "zh"):
        letters = _LETTER if span.language == "en" else _WIDE
        count[span.language] += length("".join(letters.findall(span.text)))
    if count["ja"]:
        count["ja"] += count.pop("zh", 0)
    # Of two that are equal it is not English: names in Latin letters stand in every language.
    most = max(count, key=lambda language: (count[language], language != "en"), default=default)
    return most if count[most] else default


def _merged(found: Iterable[Span]) -> list[Span]:
    merged: list[Span] = []
    for span in found:
        if merged and (merged[-1].language == span.language or span.text.isspace()):
            merged[-1] = Span(merged[-1].language, merged[-1].text + span.text)
        else:
            merged.append(span)
    return merged


def _of_statement(text: str, language: str) -> Iterator[Span]:
    cjk = _language_of_han(text, language)
    runs = list(_RUN.finditer(text))
    languages = [cjk if run["cjk"] else "ko" if run["ko"] else None for run in runs]
    for index, (run, own) in enumerate(zip(runs, languages, strict=True)):
        if own is not None:
            yield Span(own, run[0])
            continue
        before = languages[index - 1] if index else None
        after = languages[index + 1] if index + 1 < len(runs) else None
        yield from _between(run[0], language, before, after)


def _language_of_han(text: str, language: str) -> str:
    """Chinese, or Japanese where there are kana among the characters."""
    kana = len(_KANA.findall(text))
    if language == "ja":
        return "ja"
    enough = kana > 0 if language != "zh" else kana * _KANA_SHARE >= len(_WIDE.findall(text)) > 0
    return "ja" if enough else "zh"


def _between(text: str, language: str, before: str | None, after: str | None) -> Iterator[Span]:
    """The spans of a run without wide characters; ``before`` and ``after`` are the languages that it touches."""
    chunks = _CHUNK.findall(text)
    if before and after and not _LETTER.search(text):
        yield Span(after if _DIGIT.search(chunks[-1]) else before, text)
        return
    rest = "en" if _is_english(text, alone=not before and not after) else language
    for index, chunk in enumerate(chunks):
        beside = after if index == len(chunks) - 1 and after else before if index == 0 else None
        if not _LETTER.search(chunk):
            yield Span(beside or rest, chunk)
        else:
            yield Span((beside or rest) if _DIGIT.search(chunk) else "en", chunk)


def _is_english(text: str, alone: bool) -> bool:
    """Whether the Latin words of a run are a sentence, rather than a name within another language."""
    words = _WORD.findall(_WITH_DIGIT.sub(" ", text))
    if len(words) < _WORDS_OF_A_SENTENCE:
        return False
    return alone or any(map(_FUNCTION_WORD.fullmatch, words))
