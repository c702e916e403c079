"""Speech told from narration by its marks."""

from __future__ import annotations

import pytest

from parlando.text.quotations import quoted_spans


def shown(paragraph):
    return [("“" if span.is_speech else "") + span.text for span in quoted_spans(paragraph)]


@pytest.mark.parametrize(
    ("paragraph", "spans"),
    [
        ("“Come in,” said Tom, “and sit.”", ["“Come in,", "said Tom,", "“and sit."]),
        ('"Come in," said Tom.', ["“Come in,", "said Tom."]),
        ("«Entrez», dit Tom.", ["«Entrez», dit Tom."]),
        ("«Entrez donc!» dit Tom.", ["“Entrez donc!", "dit Tom."]),
        ("„Komm herein!“, sagte Tom.", ["“Komm herein!", ", sagte Tom."]),
        ("»Komm herein!« Er ging.", ["“Komm herein!", "Er ging."]),
        ("「进来。」他说。", ["“进来。", "他说。"]),
        ("‘It’s Tom’s,’ she said.", ["“It’s Tom’s,", "she said."]),
        ("'Don't go,' he said.", ["“Don't go,", "he said."]),
        ("The dogs' bowl and Tom's “Iliad” stood there.", ["The dogs' bowl and Tom's “Iliad” stood there."]),
        ("He went home.", ["He went home."]),
        ("", []),
        ("“…”", []),
    ],
)
def test_marks_of_many_languages(paragraph, spans):
    assert shown(paragraph) == spans


def test_a_quotation_that_goes_on_in_the_next_paragraph_is_open():
    (span,) = quoted_spans("“And another thing. I will not have it")
    assert (span.is_speech, span.open) == (True, True)
