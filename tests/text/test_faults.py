"""Inputs that were read wrongly once, by class of fault (A code fences … Z homographs), with what a good reader says.

Of the columns of ``faults.tsv`` the second has line ends as ``\\n``; in the third, ``|`` parts sentences.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from parlando.text.arriving import ArrivingSentences
from parlando.text.normalize import normalize
from parlando.text.reading import Reading
from parlando.text.sentences import spoken_sentences

ROWS = [
    tuple(line.split("\t")) for line in (Path(__file__).parent / "faults.tsv").read_text(encoding="utf-8").splitlines()
]
IDS = [f"{name}{number}" for number, (name, *_) in enumerate(ROWS)]
READING = Reading("en")


def unfolded(written):
    return written.replace("\\n", "\n")


def words(text):
    return re.findall(r"[^\W_]+(?:'[^\W_]+)*", text.lower())


@pytest.mark.parametrize(("name", "written", "said"), ROWS, ids=IDS)
def test_a_row_is_said_as_a_good_reader_says_it(name, written, said):
    assert " | ".join(sentence for sentence, _ in spoken_sentences(unfolded(written), READING)) == said


@pytest.mark.parametrize(("name", "written", "said"), ROWS, ids=IDS)
def test_a_row_that_is_normalised_whole_has_the_same_words(name, written, said):
    assert words(normalize(unfolded(written))) == words(said)


@pytest.mark.parametrize("size", [1, 7])
@pytest.mark.parametrize(("name", "written", "said"), ROWS, ids=IDS)
def test_a_row_that_arrives_in_pieces_has_the_same_words(name, written, said, size):
    text = unfolded(written)
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    assert words(" ".join(sentence for sentence, _ in spoken_sentences(pieces, READING))) == words(said)
    assert words(" ".join("".join(sentence) for sentence in ArrivingSentences(pieces, READING))) == words(said)


def test_every_class_has_its_rows():
    counts = {name: sum(row[0] == name for row in ROWS) for name, *_ in ROWS}
    assert set("ABCDEFGHIJKLMNOPQRUWXYZ") == set(counts)
    assert all(count >= 5 for name, count in counts.items() if name not in "XZ")
