from __future__ import annotations

import pytest

from parlando.evaluate.scoring.strict import normalise, rates


def test_whispers_normaliser_spells_alike_on_both_sides():
    assert normalise("Mr. Smith paid twenty-five dollars for colours.", "en") == normalise(
        "mister smith paid $25 for colors", "en"
    )


def test_chinese_is_compared_by_simplified_signs():
    assert normalise("歡迎，大家！", "zh") == "欢 迎 大 家"


def test_errors_are_over_all_words_and_a_missing_output_is_all_of_its_own():
    texts = ["one two three four five six seven", "stop it now"]
    found = rates(texts, ["one two three four five six seven", None], ["en", "en"])
    assert (found.words, found.wer) == (4, pytest.approx(3 / 4))  # the numbers become one word, 1234567
    assert rates(texts[1:], ["stop it"], ["en"]).wer == pytest.approx(1 / 3)
    assert rates(["你好世界"], ["你好"], ["zh"]).wer == pytest.approx(0.5)
