"""Spoken and written forms: the words that recognisers are compared by, and punctuation put back on those they join."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from parlando.core.errors import TextError
from parlando.text.normalize import LANGUAGES, normalize
from parlando.text.scripts import HAN, KANA

SPACELESS = ("zh", "yue", "ja")
"""Languages whose words are compared and joined by their signs."""
_SIGN = HAN + KANA
_WORD = re.compile(rf"[{_SIGN}]|[^\W_{_SIGN}]+(?:'[^\W_{_SIGN}]+)*")
_NOISE = re.compile(r"\[[^\]]*\]|\([^)]*\)|<[^>]*>|♪+")
"""What recognisers write where they hear no words: [Music], (laughs), ♪."""
_ENDS = ".!?。！？…"
_MARKS = _ENDS + ",;:"
LONGEST_ABBREVIATION = 4


def spoken_words(text: str, language: str) -> list[str]:
    """The words of a text as they are said, lower-case; of languages without spaces, the signs."""
    plain = _NOISE.sub(" ", text).replace("’", "'")
    if language in LANGUAGES:
        try:
            plain = normalize(plain, language)
        except TextError:
            return []
    return _WORD.findall(plain.lower())


def confidences(said: Sequence[tuple[str, float]], words: Sequence[str], language: str) -> list[float]:
    """How sure a recogniser is of each spoken word, by its own words (text, confidence), which may be fewer."""
    own = [(word, sure) for text, sure in said for word in spoken_words(text, language)]
    usual = sum(sure for _, sure in own) / len(own) if own else 1.0
    found = [usual] * len(words)
    for block in SequenceMatcher(None, [word for word, _ in own], list(words), autojunk=False).get_matching_blocks():
        for step in range(block.size):
            found[block.b + step] = own[block.a + step][1]
    return found


def written(words: Sequence[str], texts: Sequence[str], language: str) -> str:
    """The joined words with punctuation and capitals, as the nearest of the transcripts has them.

    A transcript that says exactly these words is taken as it is, figures and all.
    """
    spoken = [spoken_words(text, language) for text in texts]
    order = sorted(range(len(texts)), key=lambda i: (not _has_marks(texts[i]), -_likeness(spoken[i], words)))
    best = next((i for i in order if spoken[i] == list(words)), order[0] if order else None)
    if best is None:
        return " ".join(words)
    if spoken[best] == list(words):
        return _NOISE.sub(" ", " ".join(texts[best].split())).strip()
    return _dressed(words, texts[best], language)


def _has_marks(text: str) -> bool:
    return any(mark in text for mark in _ENDS)


def _likeness(one: Sequence[str], other: Sequence[str]) -> float:
    return SequenceMatcher(None, list(one), list(other), autojunk=False).ratio()


def _dressed(words: Sequence[str], text: str, language: str) -> str:
    """The words, each as the transcript writes it where it has it, in its place."""
    tokens = [(token, spoken_words(token, language)) for token in text.split()]
    plain = [(place, word) for place, (_, said) in enumerate(tokens) for word in said]
    result: list[str] = []
    matcher = SequenceMatcher(None, [word for _, word in plain], list(words), autojunk=False)
    for kind, first, last, begin, end in matcher.get_opcodes():
        if kind == "equal":
            result += _as_written(tokens, plain, first, last)
        else:
            behind = _mark_behind(tokens[plain[last - 1][0]][0]) if first < last else ""
            if result and first == len(plain):  # what is added at the end takes the mark that ended the sentence
                behind, result[-1] = _mark_behind(result[-1]), result[-1].rstrip(_MARKS)
            result += words[begin:end]
            if result and behind:
                result[-1] = result[-1].rstrip(_MARKS) + behind
    joined = " ".join(result)
    return joined[:1].upper() + joined[1:] if text[:1].isupper() else joined


def _as_written(
    tokens: Sequence[tuple[str, list[str]]], plain: Sequence[tuple[int, str]], first: int, last: int
) -> list[str]:
    """Tokens whose words are all there as they are written; of others, such as half a number, the spoken words."""
    written_out: list[str] = []
    place = first
    while place < last:
        index = plain[place][0]
        token, said = tokens[index]
        whole = [number for number in range(place, last) if plain[number][0] == index]
        begins = place == 0 or plain[place - 1][0] != index
        if begins and len(whole) == len(said):
            written_out.append(token)
        else:
            written_out += [plain[number][1] for number in whole]
        place += len(whole)
    return written_out


def _mark_behind(token: str) -> str:
    """The punctuation at a token's end; the point of what may be an abbreviation (Mr.) is none."""
    found = re.search(r"[.!?…,;:]+$", token)
    return found[0] if found and (found[0] != "." or len(token) > LONGEST_ABBREVIATION) else ""
