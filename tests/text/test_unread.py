"""What is said of a text that a model cannot read."""

from __future__ import annotations

import pytest

from parlando.text.unread import advice, nothing_read


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("今天天气很好。", "it is Chinese; load a model that speaks it"),
        ("こんにちは", "it is Japanese"),
        ("안녕하세요", "it is Korean"),
        ("Это по-русски.", "its letters are Cyrillic"),
        ("مرحبا", "its letters are Arabic"),
        ("[laughter]!", "give at least one word"),
    ],
)
def test_advice_names_the_language_or_the_script(text: str, said: str) -> None:
    assert advice(text).startswith(said)


def test_the_text_is_quoted_as_it_was_given_and_cut() -> None:
    assert "model 'm' finds nothing to pronounce in 'Да. Нет.': its" in str(nothing_read("Да.\nНет.", "m"))
    assert f"'{'д' * 60}...'" in str(nothing_read("д" * 100, "m"))
