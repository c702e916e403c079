"""The page on text: each row of its tables is what is really said."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from parlando.text.markup import VOCAL
from parlando.text.normalize import LANGUAGES, normalize
from parlando.text.user_lexicon import UserLexicon

PAGE = (Path(__file__).parents[2] / "docs" / "text.md").read_text(encoding="utf-8")
MIXED, *SECTIONS = re.split(r"^### \w+ \(`(\w+)`\)$", PAGE, flags=re.M)
ROW = re.compile(r"^\| ([^|`]+) \| ([^|]+) \| ([^|]+) \|$", re.M)
LANGUAGE_ROWS = [
    (language, written, said)
    for language, section in zip(SECTIONS[::2], SECTIONS[1::2], strict=True)
    for _, written, said in ROW.findall(section)[1:]
] + ROW.findall(MIXED)[1:]


@pytest.mark.parametrize(("language", "written", "said"), LANGUAGE_ROWS, ids=range(len(LANGUAGE_ROWS)))
def test_a_row_is_what_is_said(language: str, written: str, said: str) -> None:
    assert normalize(written, language) == said


def test_every_language_has_its_table() -> None:
    assert {language for language, *_ in LANGUAGE_ROWS} == set(LANGUAGES)
    assert len(LANGUAGE_ROWS) >= 30


def test_every_entry_of_the_lexicon_is_one() -> None:
    entries = re.findall(r"`([^`\s=]+=[^`]+)`", PAGE.partition("| entry | is |")[2])
    assert len(UserLexicon.parse(entries).entries) >= 6


def test_tags_are_those_of_the_notation() -> None:
    table = PAGE.partition("| tag | is |")[2].partition("\n\n")[0]
    assert set(re.findall(r"\[([\w-]+)\]", table)) <= set(VOCAL.sounds)
    assert set(re.findall(r"</(\w+)>", table)) == set(VOCAL.manners)
    assert normalize("<strong>3</strong>个", "zh", VOCAL) == "<strong>三</strong>个"
