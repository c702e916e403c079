"""Answers as tokens, and the grammar of headers."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from parlando.models.understanding.tokens import END, SPOKEN, START, VOCABULARY, decode, encode, is_tag, next_in_header
from parlando.text.answer import MOST_SPEAKERS, PLACES, parse_answer

LINE = "<place:telephone><event:music><speaker:feminine,high><1>grüß dich.<2>hi"


def test_a_line_is_its_tokens():
    tokens = encode(LINE)
    assert decode(tokens) == LINE
    assert [is_tag(token) for token in tokens[:4]] == [True, True, True, False]
    assert tokens[3] == SPOKEN - MOST_SPEAKERS
    assert max(tokens) < START < END == VOCABULARY - 1


@settings(max_examples=80, deadline=None)
@given(st.text(max_size=20))
def test_any_text_comes_back(text):
    plain = text.encode("utf-8", "replace").decode("utf-8")
    assert decode(encode(plain)) == plain


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(0, VOCABULARY - 1), max_size=20))
def test_any_tokens_are_an_answer(tokens):
    assert parse_answer(decode(tokens)).place in PLACES


def test_headers_come_to_an_end_and_say_each_thing_once():
    for seed in range(40):
        generator, header = np.random.default_rng(seed), []
        while not header or (header[-1] != END and header[-1] >= SPOKEN):
            header.append(int(generator.choice(next_in_header(header))))
            assert len(header) < 16
        words = decode(header[:-1])
        assert words.count("<place:") == 1
        assert words.count("<emotion:") <= 1
        events = [word for word in words.split("<") if word.startswith("event")]
        assert len(set(events)) == len(events)
        assert (header[-1] == END) == ("<speaker" not in words)
