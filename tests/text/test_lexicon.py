"""Words to phones: dictionary and word-formation rules."""

from __future__ import annotations

from importlib import resources

import pytest

from parlando.core.errors import ConfigError
from parlando.text.lexicon import PHONES, Lexicon, pack, parse_phones

LEXICON = Lexicon.default()

SPOKEN = {
    "the": "dh ax0", "a": "ax0", "to": "t ax0", "of": "ah1 v", "and": "ae1 n d", "read": "r iy1 d",
    "live": "l ih1 v", "i": "ay1", "an": "ae1 n", "was": "w aa1 z", "for": "f ao1 r", "does": "d ah1 z",
    "hello": "hh ax0 l ow1", "Hello": "hh ax0 l ow1", "don't": "d ow1 n t", "you\u2019re": "y ao1 r",
    "café": "k ax0 f ey1",
}  # fmt: skip

DERIVED = {
    "smartphone's": ("s m aa1 r t f ow1 n z"),
    "chatbots": "ch ae1 t b aa1 t s",
    "dogs'": "d aa1 g z",
    "James's": "jh ey1 m z ax0 z",
    "who'd": "hh uw1 d",
    "nobody'll": "n ow1 b aa1 d iy1 ax0 l",
    "googled": "g uw1 g ax0 l d",
    "googling": "g uw1 g l ih0 ng",
    "well-known": "w eh1 l n ow1 n",
    "sunbeam": "s ah1 n b iy1 m",
    "unloved": "ax0 n l ah1 v d",
}


@pytest.mark.parametrize(("word", "phones"), SPOKEN.items())
def test_common_words_have_their_common_pronunciation(word: str, phones: str) -> None:
    assert LEXICON.pronounce(word) == tuple(phones.split())


@pytest.mark.parametrize(("word", "phones"), DERIVED.items())
def test_word_formation(word: str, phones: str) -> None:
    assert LEXICON.pronounce(word) == tuple(phones.split())


@pytest.fixture
def tiny() -> Lexicon:
    words = {
        "box": "b aa1 k s",
        "cat": "k ae1 t",
        "stop": "s t aa1 p",
        "try": "t r ay1",
        "make": "m ey1 k",
        "happy": "hh ae1 p iy0",
        "fade": "f ey1 d",
        "gentle": "jh eh1 n t ax0 l",
        "color": "k ah1 l er0",
    }
    return Lexicon(pack({word: phones.split() for word, phones in words.items()}))


@pytest.mark.parametrize(
    ("word", "phones"),
    {
        "boxes": "b aa1 k s ax0 z",
        "cats": "k ae1 t s",
        "tries": "t r ay1 z",
        "tried": "t r ay1 d",
        "makes": "m ey1 k s",
        "stopped": "s t aa1 p t",
        "stopping": "s t aa1 p ih0 ng",
        "making": "m ey1 k ih0 ng",
        "faded": "f ey1 d ax0 d",
        "happily": "hh ae1 p ax0 l iy0",
        "happiness": "hh ae1 p iy0 n ax0 s",
        "gently": "jh eh1 n t ax0 l l iy0",
        "recolor": "r iy0 k ah1 l er0",
        "colorization": "k ah1 l er0 ax0 z ey1 sh ax0 n",
        "catbox": "k ae1 t b aa1 k s",
        "box-cat": "b aa1 k s k ae1 t",
        "'cat'": "k ae1 t",
        "cat'd": "k ae1 t d",
    }.items(),
)
def test_rules_on_a_nine_word_dictionary(tiny: Lexicon, word: str, phones: str) -> None:
    assert tiny.pronounce(word) == tuple(phones.split())


@pytest.mark.parametrize("word", ["zxqv", "", "'", "-", "box-zxqv", "zxqv's", "zxqv'll", "qqs", "qs", "京都"])
def test_unknown_words_are_none(word: str) -> None:
    assert LEXICON.pronounce(word) is None


def test_every_phone_of_the_dictionary_is_declared() -> None:
    words = "this sixth treasure joy boy chew yes vision thing hood loud far bird bed about see say so zoo hung"
    seen = {phone for word in words.split() for phone in LEXICON.pronounce(word) or ()}
    assert seen <= set(PHONES)
    assert len(PHONES) == len(set(PHONES)) == 55


@pytest.mark.parametrize(
    ("phones", "message"), [("p aa2", "unknown phone 'aa2'. Did you mean 'aa"), (" ", "no phones")]
)
def test_an_unknown_phone_is_named_with_the_nearest(phones: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_phones(phones)


def test_the_packed_file_is_small_and_loads() -> None:
    packed = (resources.files("parlando.text") / "data" / "en.lexicon.xz").read_bytes()
    assert len(packed) < 1_300_000
    assert Lexicon(packed).pronounce("hello")
