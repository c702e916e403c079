"""The part of a phoneme tokenizer that all families share."""

from __future__ import annotations

import pytest

from parlando.core.errors import ConfigError
from parlando.text.length import LengthPrior
from parlando.text.phonemes import PhonemeInventory, PhonemeReader

WORDS = {"hello": ("hh", "ax0", "l", "ow1"), "a": ("ax0",)}
FIRST = 100


@pytest.fixture(scope="module")
def reader():
    return PhonemeReader(PhonemeInventory(), FIRST, WORDS.get)


def shown(reader, text, spell=None):
    return "".join(reader.surfaces[index - FIRST] for index in reader.read(text, spell))


def test_ids_count_from_the_first_through_all_surfaces(reader):
    everything = reader.read("hello, a b'c.")
    assert FIRST <= min(everything) < max(everything) < FIRST + len(reader.surfaces)
    assert reader.read("hello a")[4] == FIRST
    assert reader.read("-'") == [FIRST + 7]
    assert reader.read("z") == [FIRST + len(reader.surfaces) - 2]


def test_words_are_phones_or_letters_with_borders_between_them(reader):
    assert shown(reader, "Hello zyx, hello") == "{hh}{ax0}{l}{ow1} zyx,{hh}{ax0}{l}{ow1}"
    assert shown(reader, "hello", lambda word: True) == "hello"
    assert shown(reader, "\u4f60 42 *") == ""


@pytest.mark.parametrize(
    ("text", "stand_for"),
    [
        ("Hello, a zb", ["Hello"] * 4 + [","] + ["a"] + [""] + ["zb"] * 2),
        ("(a)  \u2014 {hh ax0}\u4f60 a", ["a", "\u2014", *["{hh ax0}"] * 2, "", "a"]),
        ("z\u00e9 ze\u0301a\u2026", ["z\u00e9", "z\u00e9", "", *["ze\u0301a"] * 3, "\u2026"]),
        ("\u4f60", []),
    ],
)
def test_every_id_stands_for_characters_of_the_text(reader, text, stand_for):
    spans = reader.spans(text)
    assert [text[start:stop] for start, stop in spans] == stand_for
    assert len(spans) == len(reader.read(text))


def test_units_and_pauses_are_counted(reader):
    assert reader.measure(reader.read("hello, zyx a!")) == (4 + 3 + 1, 2)


def test_an_inventory_without_a_letter_twice():
    with pytest.raises(ConfigError, match=r"text\.letters"):
        PhonemeInventory(letters=("a", "a"))


def test_a_length_counts_units_and_pauses():
    assert LengthPrior(4, 2, 5).frames(3, 1) == 15
