from __future__ import annotations

import pytest

from parlando.core.errors import MissingDependencyError
from parlando.evaluate.optional import require
from parlando.evaluate.wer import error_rates, normalise, sentence_rate


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Seventeen, no, eighteen days ago.", "seventeen no eighteen days ago"),
        ("It's the strap hangers' cart", "it's the strap hangers cart"),
        ("It’s a Crooked-Leg!", "it's a crooked leg"),
        ("  ...  ", ""),
        ("snake_case 42", "snake case 42"),
    ],
)
def test_normalise_keeps_words_only(text, words):
    assert normalise(text) == words


def test_rates_are_errors_over_all_words():
    rates = error_rates(["one two three four", "five six"], ["one two tree four", "five six seven"])
    assert rates.words == 6
    assert rates.wer == pytest.approx(2 / 6)
    assert rates.cer == pytest.approx((1 + 6) / (18 + 8))


def test_equal_texts_have_no_errors_and_no_interval():
    rates = error_rates(["A b, c."] * 5, ["a b c"] * 5)
    assert (rates.wer, rates.cer, rates.low, rates.high) == (0.0, 0.0, 0.0, 0.0)


def test_interval_holds_the_rate_and_narrows_with_more_sentences():
    def width(times):
        rates = error_rates(["a b c d", "e f g h"] * times, ["a b c d", "e f"] * times)
        assert rates.low <= rates.wer <= rates.high
        return rates.high - rates.low

    assert width(100) < width(4)


def test_words_heard_in_silence_are_insertions():
    assert error_rates(["...", "a b"], ["uh huh", "a b"]).wer == pytest.approx(1.0)
    assert sentence_rate("...", "uh") == 1.0


def test_no_sentences_have_a_rate_of_zero():
    assert error_rates([], []).words == 0


def test_as_many_hypotheses_as_references():
    with pytest.raises(ValueError, match="shorter"):
        error_rates(["a", "b"], ["a"])


def test_a_missing_judge_names_the_extra():
    with pytest.raises(MissingDependencyError, match=r"'no_such_judge' is needed.*pip install .*\[eval\]"):
        require("no_such_judge")
