"""Blocks of markdown and lines: what is left of them as prose, and that no word of plain prose is ever lost."""

from __future__ import annotations

import logging
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from parlando.text.arriving import ArrivingSentences
from parlando.text.blocks import BlockReader, read_blocks
from parlando.text.normalize import normalize
from parlando.text.reading import Reading
from parlando.text.sentences import spoken_sentences

_WORDS = (
    "we went home with Mary and the old dog because it was late nobody knew why Peter had left his coat there so they "
    "waited until spring came house river mountain Anna sings Apple banana tree Then Later However Yes no"
)
PLAIN_WORDS = tuple(_WORDS.split())
MARKS = ("", "", "", "", ",", ".", "?", "!", ";", ":", "...", " -", '"', ")")
GAPS = (" ", " ", " ", "  ", "\n", "\n", "\r\n", "\n\n", "\n \n", "\t", "\n  ", "\n    ", " (", ' "')
FRAGMENTS = (
    "```\n",
    "~~~\n",
    "# ",
    "- ",
    "1. ",
    "2. ",
    "> ",
    "| ",
    "---\n",
    "===\n",
    "[a](b)",
    "    ",
    "\n",
    "word ",
    "x = 1;\n",
    "!",
    "[",
)
PROSE = st.lists(
    st.tuples(st.sampled_from(PLAIN_WORDS), st.sampled_from(MARKS), st.sampled_from(GAPS)), min_size=1, max_size=30
)
CUTS = st.lists(st.integers(0, 400), max_size=10)
READING = Reading("en")


def written(prose):
    return "".join("".join(parts) for parts in prose)


def plain_words(text):
    return ["".join(c for c in word if c.isalpha()).lower() for word in text.split() if any(map(str.isalpha, word))]


def cut(text, places):
    bounds = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[start:end] for start, end in pairwise(bounds)]


def in_pieces(pieces):
    reader = BlockReader()
    return "".join([*map(reader.feed, pieces), reader.flush()])


@settings(max_examples=150, deadline=None)
@given(PROSE, CUTS)
@example([("apple", "", "\n"), ("banana", "", "\n"), ("tree", "", " ")], [])
@example([("house", "", "\n\n    "), ("river", "", "\n"), ("no", "", " ")], [3, 5, 9])
def test_no_layer_loses_a_word_of_plain_prose(prose, places):
    text, expected = written(prose), [word.lower() for word, *_ in prose]
    pieces = cut(text, places)
    assert plain_words(read_blocks(text)) == expected
    assert plain_words(in_pieces(pieces)) == expected
    assert plain_words(normalize(text)) == expected
    assert plain_words(" ".join(said for said, _ in spoken_sentences(text, READING))) == expected
    assert plain_words(" ".join(said for said, _ in spoken_sentences(pieces, READING))) == expected
    assert plain_words(" ".join("".join(said) for said in ArrivingSentences(pieces, READING))) == expected


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from((*FRAGMENTS, *PLAIN_WORDS[:6], " ", ". ")), max_size=20).map("".join), CUTS)
@example("[\r", [1])
@example("a ]\n[ b (\r\n c", [2, 5, 7])
def test_any_cutting_of_any_text_gives_the_same_blocks(text, places):
    assert in_pieces(cut(text, places)).split() == in_pieces([text]).split()


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("one line\nand another line.", "one line and another line."),
        ("He met\nMary and\nleft.", "He met. Mary and left."),
        ("A line that was wrapped at a margin by us and\nMary.", "A line that was wrapped at a margin by us and Mary."),
        ("- one\n- two\n\nthree", "one. two\n\nthree"),
        ("* a thing\n  that goes on\n* more", "a thing that goes on. more"),
        ("- [x] done\n- [ ] open", "done. open"),
        ("Buy this\n12. eggs", "Buy this\n\n12. eggs"),
        ("We waited a very long time, in all about\n12. Bye.", "We waited a very long time, in all about 12. Bye."),
        ("Title\n---\nText", "Title\n\nText"),
        ("## A ##\nb", "A\n\nb"),
        ("#hashtag here", "#hashtag here"),
        ("> a quote that\n> goes on\nlazily", "a quote that goes on lazily"),
        ("> 90% of it", "> 90% of it"),
        ("see [the page](http://a.b/c_(d) \"title\") and ![a cat](x.png)", "see the page and a cat"),
        ("[1]: http://a.b\nText", "Text"),
        ("a | b\n--|--\n1 | 2", "a | b\n\n1 | 2"),
        ("```\nprose here\n```", "prose here"),
        ("``` the answer is 42\nyes\n```", "the answer is 42 yes"),
        ("```\nIt ends.\n``` And goes on.", "It ends.\n\nAnd goes on."),
        ("````\n```\nwords inside\n```\n````", "words inside"),
        ("   ~~~\n   words\n   ~~~\nmore", "words\n\nmore"),
        ("```python\nx = 1\n```", "x = 1"),
        ("Look:\n\n    x = compute(y);\n    print(x)\n\ndone", "Look:\n\ndone"),
        ("苹果\n香蕉\n橙子", "苹果。 香蕉。 橙子"),
        ("Anna: How are you today my friend\nBob: Fine", "Anna: How are you today my friend. Bob: Fine"),
        ("infor-\nmation", "infor-mation"),
        ("✅ Do this thing\n❌ not that", "✅ Do this thing, ❌ not that"),
    ],
)  # fmt: skip
def test_blocks(text, blocks):
    assert read_blocks(text) == blocks


def test_code_that_is_left_out_is_logged(caplog):
    with caplog.at_level(logging.INFO, "parlando.text.blocks"):
        assert read_blocks("Run:\n```bash\npip install thing\n```") == "Run:"
    assert "1 lines of code are not read: pip install thing" in caplog.text


def test_words_of_a_line_come_out_before_it_ends():
    reader = BlockReader()
    assert reader.feed("We have ") == "We have "
    assert reader.feed("time [and") == "time "
    assert reader.feed(" tea](x) ") == "and tea "
    assert reader.feed("- no item") == "- no item"
    assert reader.feed("\n- an item") == ""
    assert reader.flush() == ". an item"


@pytest.mark.parametrize(
    "text", ["[" * 3, "[a](", "- ", "1. ", "> ", "# ", "| ", "```\n", "\n", "x\n", "    y\n", "(a", "[a\n"]
)
@pytest.mark.timeout(60)
def test_repetitive_text_does_not_hang(text):
    assert len(read_blocks(text * (20_000 // len(text)))) < 80_000
