"""The values between stages are immutable and say their length."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from parlando.core.types import Frame, GenerationReport, Prompt, SamplingOptions, SentenceReport, Timings, Voice


def test_a_prompt_is_as_long_as_its_tokens() -> None:
    prompt = Prompt((1, 2, 3), np.zeros(3, dtype=bool), np.zeros((0, 8), dtype=np.int64))
    assert len(prompt) == 3
    assert (prompt.sentence, prompt.expected_frames) == ("", 0.0)


@pytest.mark.parametrize(
    ("value", "name"),
    [(Frame(1), "token"), (SamplingOptions(), "seed"), (Voice("ann"), "name"), (Timings(0.1, 1.0), "total_seconds")],
)
def test_values_cannot_be_changed(value: object, name: str) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(value, name, None)


def test_frames_compare_by_value() -> None:
    assert Frame(7, (1, 2)) == Frame(7, (1, 2)) != Frame(7, (2, 1))
    assert Frame(7).codes == ()


def test_reports_keep_their_sentences_in_order() -> None:
    sentences = tuple(SentenceReport(text, 10, 1, "end", 3) for text in ("a", "b"))
    assert [s.text for s in GenerationReport(sentences).sentences] == ["a", "b"]
    assert GenerationReport().sentences == ()
