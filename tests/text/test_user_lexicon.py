"""A user's pronunciations: pinyin, homophones, phones, and how they reach a text."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from parlando.core.errors import ConfigError, FileMissingError, MissingDependencyError
from parlando.core.types import Notation
from parlando.text import pinyin
from parlando.text.lexicon import PHONES
from parlando.text.pinyin import FINALS, INITIALS, homophones, parse_pinyin, phones_of
from parlando.text.user_lexicon import UserLexicon

TEXT, PHONE_MODEL = Notation(), Notation(phones=True)
LEXICON = UserLexicon.parse(
    [
        "# names",
        "",
        "行长=háng zhǎng",
        "银行=yin2 hang2",
        "Parlando = p aa0 r l aa1 n d ow0",
        "東京=とうきょう",
        "C++=s iy1",
    ]
)


@pytest.mark.parametrize(
    ("text", "syllables"),
    [
        ("háng zhǎng", ("hang2", "zhang3")),
        ("HANG2 zhang3", ("hang2", "zhang3")),
        ("lv4 nǚ lǜ xu1", ("lü4", "nü3", "lü4", "xu1")),
        ("ma ma0 ma5", ("ma5", "ma5", "ma5")),
        ("nar4 er2", ("nar4", "er2")),
    ],
)
def test_pinyin(text: str, syllables: tuple[str, ...]) -> None:
    assert parse_pinyin(text) == syllables


@pytest.mark.parametrize("text", ["", "xyz", "zhag3", "hang7", "hello", "rong4 q", "fong1", "bua3"])
def test_what_is_no_pinyin_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"here: .*(no pinyin|no syllable)"):
        parse_pinyin(text, "here")


@pytest.mark.parametrize(
    ("word", "said", "written"),
    [
        ("行长", "háng zhǎng", "航掌"),
        ("重庆", "chóng qìng", "虫庆"),
        ("我们", "wo3 men5", "我们"),
        ("单", "shan4", "善"),
        ("一点儿", "yì diǎnr", "意点儿"),
        ("那儿", "nàr", "那儿"),
    ],
)
def test_homophones_are_of_exactly_that_sound_and_keep_what_needs_no_change(word: str, said: str, written: str) -> None:
    assert homophones(word, parse_pinyin(said)) == written


@pytest.mark.slow
def test_the_character_for_a_syllable_is_one_that_others_read_so() -> None:
    from pypinyin import Style, lazy_pinyin

    wanted = ["hang2", "zhang3", "de5", "le5", "lü4", "er2", "zhong4", "yue4", "jue2", "xing2"]
    written = [homophones("", [syllable]) for syllable in wanted]
    read = [lazy_pinyin(c, style=Style.TONE3, neutral_tone_with_five=True)[0].replace("v", "ü") for c in written]
    assert read == wanted


def test_pinyin_in_english_phones_has_only_phones_that_there_are() -> None:
    syllables = {initial + final + "1" for initial in INITIALS for final in FINALS}
    known = [syllable for syllable in syllables if pinyin._SHAPE.fullmatch(syllable)]
    assert len(known) > 400
    assert {phone for syllable in known for phone in phones_of([syllable])} <= set(PHONES)
    assert phones_of(parse_pinyin("háng zhǎng")) == ("hh", "aa1", "ng", "jh", "aa1", "ng")


@pytest.mark.parametrize(
    ("text", "plain", "phones"),
    [
        ("银行行长来了", "银航航掌来了", "{y ih1 n hh aa1 ng}{hh aa1 ng jh aa1 ng}来了"),
        ("PARLANDO's 3 Parlandos", "pahrlahndoh's 3 Parlandos", "{p aa0 r l aa1 n d ow0 z} 3 Parlandos"),
        ("说Parlando的", "说pahrlahndoh的", "说{p aa0 r l aa1 n d ow0}的"),
        ("東京で", "とうきょうで", "とうきょうで"),
        ("C++.", "see.", "{s iy1}."),
    ],
)
def test_words_are_replaced_longest_first_as_a_model_can_read_them(text: str, plain: str, phones: str) -> None:
    assert LEXICON.apply(text, PHONE_MODEL) == phones.replace("y ih1 n", "ih1 n")
    assert LEXICON.apply(text, TEXT) == plain


def test_longer_words_win() -> None:
    lexicon = UserLexicon.parse(["长=zhang3", "长江=chang2 jiang1", "New York=n uw1", "York=y ao1 r k"])
    assert (
        lexicon.apply("长江长 New York York", PHONE_MODEL) == "{ch aa1 ng jh y aa1 ng}{jh aa1 ng} {n uw1} {y ao1 r k}"
    )


def test_nothing_to_say_differently_changes_nothing() -> None:
    assert UserLexicon().apply("行长 {s} 5", TEXT) == "行长 {s} 5"
    assert UserLexicon.parse(["s=z"]).apply("{s} s", PHONE_MODEL) == "{s} {z}"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("行长", r"lexicon:1: expected 'word=pronunciation', got '行长'"),
        ("=hang2", "expected"),
        ("行长=", "expected"),
        ("行长=hang2", "lexicon:1: '行长' has 2 characters and 1 syllables; give one for each"),
        ("Parlando=p aa2", "lexicon:1: unknown phone 'aa2'"),
        ("行=xang7", "lexicon:1: 'xang7' is no pinyin syllable"),
    ],
)
def test_wrong_entries_are_refused_with_their_place(entry: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        UserLexicon.parse([entry])


def test_files_and_entries_together(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("\ufeff# mine\n行长=háng zhǎng\nfoo=f uw1\n", encoding="utf-8")
    lexicon = UserLexicon.collect([path, "foo=f ow1", "iPhone=ài fēng"])
    assert lexicon.apply("行长 foo iPhone", TEXT) == "航掌 foh 爱风"
    path.write_text("ok=k\nbroken\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"words.txt:2: expected"):
        UserLexicon.read(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        UserLexicon.read(path)
    with pytest.raises(FileMissingError, match="no lexicon at"):
        UserLexicon.collect([tmp_path / "none.txt"])


def test_without_pypinyin_pinyin_is_read_and_only_plain_text_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pypinyin.pinyin_dict", None)
    pinyin.forget()
    lexicon = UserLexicon.parse(["行长=háng zhǎng"])
    assert lexicon.apply("行长", PHONE_MODEL) == "{hh aa1 ng jh aa1 ng}"
    with pytest.raises(MissingDependencyError, match=r"'pypinyin' is needed .*pip install .*\[languages\]"):
        lexicon.apply("行长", TEXT)
