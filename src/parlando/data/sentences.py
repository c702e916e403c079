"""Sentences for teachers: which lines of a text are fit to be said, and what makes two of them the same."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from parlando.text.normalize import LANGUAGES, normalize
from parlando.text.scripts import length
from parlando.text.segment import segment

PLAIN_SENTENCE = re.compile(r"[A-Za-z][A-Za-z' ,.?!;:-]*[a-z][.?!]?")
LONGEST_PLAIN, SHORTEST_PLAIN = 120, 8
LONGEST, SHORTEST = 400, 2
_PLAIN_MARKS = str.maketrans("’‘“”—–", "''\"\"--")
_LETTER = re.compile(r"[^\W\d_]")


def sentence_key(text: str) -> str:
    """What makes two sentences the same sentence: their letters, lower-case, nothing else."""
    return re.sub(r"[\W\d_]+", " ", text.lower()).strip()


def plain_sentences(lines: Iterable[str]) -> Iterator[str]:
    """Sentences of letters and simple punctuation only; long lines are cut at their clause marks."""
    for line in lines:
        straight = line.strip().translate(_PLAIN_MARKS).replace('"', "").replace("--", ", ")
        pieces = [straight] if len(straight) <= LONGEST_PLAIN else re.split(r"(?<=[,;:.?!]) ", straight)
        for piece in pieces:
            if SHORTEST_PLAIN <= len(piece) <= LONGEST_PLAIN and PLAIN_SENTENCE.fullmatch(piece):
                yield piece


def spoken_sentences(lines: Iterable[str], language: str) -> Iterator[str]:
    """Lines as they are said: numbers and signs in words where the language has rules for that.

    Lines of more than `LONGEST` letters (`parlando.text.scripts.length`) are cut between sentences.
    """
    for line in lines:
        said = normalize(line, language) if language in LANGUAGES else " ".join(line.split())
        pieces = [said] if length(said) <= LONGEST else segment(said, LONGEST, SHORTEST)
        for piece in (each.strip() for each in pieces):
            if len(_LETTER.findall(piece)) >= SHORTEST and length(piece) <= LONGEST:
                yield piece
