"""What of a text is a word."""

from __future__ import annotations

import pytest

from parlando.text.words import word_spans


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello, (dear) \u201cworld\u201d!", ["Hello", "dear", "world"]),
        ("It's $3.50, or 5% of well-known 3/4/2025.", ["It's", "$3.50", "or", "5%", "of", "well-known", "3/4/2025"]),
        ("你好, world。", ["你", "好", "world"]),
        ("<strong>so</strong> [laughter] [so](there) - ...", ["so", "so"]),
        ("{p aa0 r} said", ["{p aa0 r}", "said"]),
        ("a < b [c", ["a", "b", "c"]),
        ("", []),
    ],
)
def test_words_are_found_without_the_marks_around_them(text, words):
    assert [text[start:stop] for start, stop in word_spans(text)] == words
