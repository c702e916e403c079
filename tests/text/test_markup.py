"""Tags inside sentences: which are refused and why, and that sentences have them in pairs."""

from __future__ import annotations

import pytest

from parlando.core.errors import TextError
from parlando.core.types import Notation
from parlando.text.markup import VOCAL, OpenTags, check_markup
from parlando.text.reading import Reading


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("一\n好的<strong>很好", "line 2: <strong> is not closed, at '<strong>很好'; add </strong>"),
        ("</strong>好", "line 1: </strong> closes nothing that is open, at '</strong>'; put <strong> before it"),
        ("<strong>a</laughter>", "closes nothing that is open, at '<strong>a</laughter>'; close <strong> first"),
        ("[laghter] 好", r"line 1: unknown tag '\[laghter\]'. Did you mean 'laughter'\?"),
    ],
)
def test_wrong_tags_are_refused_with_their_place(text: str, message: str) -> None:
    with pytest.raises(TextError, match=message):
        check_markup(text, VOCAL)


@pytest.mark.parametrize("text", ["", "<strong><laughter>a</laughter></strong>[breath]", "[SPEAKER0] [see here] <b>"])
def test_right_tags_pass(text: str) -> None:
    check_markup(text, VOCAL)


def test_without_a_notation_nothing_is_a_tag() -> None:
    check_markup("<strong> [laghter]", Notation())
    assert OpenTags(Notation()).balance("<strong>a") == "<strong>a"


def test_sounds_have_a_sound_and_what_only_says_how_has_none() -> None:
    reading = Reading("zh", notation=VOCAL)
    assert [reading.has_sound(text) for text in ("[laughter]", "好", "<strong>。</strong>", "<|endofprompt|>")] == [
        True, True, False, False,
    ]  # fmt: skip


def test_a_tag_over_two_sentences_is_closed_and_opened_again() -> None:
    tags = OpenTags(VOCAL)
    assert tags.balance("我<strong>很好。") == "我<strong>很好。</strong>"
    assert tags.balance("真的。") == "<strong>真的。</strong>"
    with pytest.raises(TextError, match="<strong> is not closed before the text ends"):
        tags.check_closed()
    assert tags.balance("</strong>走吧。") == "走吧。"
    tags.check_closed()
    with pytest.raises(TextError, match="closes nothing"):
        tags.balance("</laughter>")
