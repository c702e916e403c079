"""Which pronunciation of a word is meant, measured on a list of sentences; and the letter A."""

from __future__ import annotations

from pathlib import Path

import pytest

from parlando.text.homographs import HOMOGRAPHS, in_context
from parlando.text.lexicon import PHONES, Lexicon
from parlando.text.phonemes import PhonemeInventory, PhonemeReader

ROWS = [
    tuple(line.split("\t"))
    for line in (Path(__file__).parent / "homographs.tsv").read_text(encoding="utf-8").splitlines()
]
PAIRS = [
    tuple(line.split("\t"))
    for line in (Path(__file__).parent / "homographs_in_pairs.tsv").read_text(encoding="utf-8").splitlines()
]
FLOOR = 0.97
READER = PhonemeReader(PhonemeInventory(), 0)


def said(sentence, word):
    """The phones of the first ``word`` of a sentence, as a model is given them."""
    units = READER._units.findall(sentence)
    index = [unit.lower() for unit in units].index(word)
    return " ".join(in_context(units, index) or Lexicon.default().pronounce(word))


def all_said(sentence, word):
    """The phones of every ``word`` of a sentence."""
    units = READER._units.findall(sentence)
    places = [index for index, unit in enumerate(units) if unit.lower() == word]
    return [" ".join(in_context(units, index) or Lexicon.default().pronounce(word)) for index in places]


def share(choose):
    return sum(choose(sentence, word) == phones for sentence, word, phones in ROWS) / len(ROWS)


def test_most_homographs_are_told_apart_and_without_context_they_are_not():
    assert len(ROWS) >= 150
    assert share(said) >= FLOOR
    assert share(lambda _, word: " ".join(Lexicon.default().pronounce(word))) < 0.5


@pytest.mark.parametrize(("sentence", "word", "phones"), PAIRS)
def test_one_word_is_said_in_two_ways_in_a_sentence(sentence, word, phones):
    assert all_said(sentence, word) == phones.split(",")


@pytest.mark.parametrize(
    ("sentence", "phones"),
    [
        ("Vitamin A helps.", "ey1"), ("A", "ey1"), ("A.", "ey1"), ("A and B", "ey1"), ("Grade A milk", "ey1"),
        ("if a is less than b", "ey1"), ("A cat sat.", "ax0"), ("Once Upon A Time", "ax0"), ("It was a... cat", "ax0"),
        ("THIS IS A TEST", "ax0"), ("Is it a cat?", "ax0"), ("A, First we go.", "ey1"), ("A B test", "ey1"),
        ("He is a U S citizen.", "ax0"), ("SHE IS A U S CITIZEN.", "ax0"), ("A C E O's pay", "ax0"),
        ("A I is fun.", "ey1"),
        ("a B movie", "ax0"),
    ],
)  # fmt: skip
def test_the_letter_and_the_article(sentence, phones):
    assert said(sentence, "a") == phones


def test_the_reader_says_words_by_their_context_and_a_dictionary_of_ones_own_by_itself():
    present, past = READER.read("I read"), READER.read("I have read")
    assert present[-3:] != past[-3:]
    own = PhonemeReader(PhonemeInventory(), 0, {"read": ("r", "iy1", "d"), "have": ("hh",), "i": ("ay1",)}.get)
    assert own.read("I have read")[-3:] == own.read("read")


def test_every_pronunciation_has_phones_of_the_dictionary():
    contexts = ("I {} it", "the {}", "they {} in", "to {} the", "was {}", "{} the door", "he {} the")
    for word in HOMOGRAPHS:
        for context in contexts:
            units = context.format(word).split()
            assert set(in_context(units, units.index(word)) or ()) <= set(PHONES), (word, context)
