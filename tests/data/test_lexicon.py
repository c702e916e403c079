"""Building the packed dictionary from a word list and a teacher's pronunciations."""

from __future__ import annotations

import lzma
from pathlib import Path

import pytest

from parlando.core.errors import FileMissingError, MissingDependencyError
from parlando.data import lexicon
from parlando.data.teachers import flite
from parlando.text.lexicon import Lexicon

CMUDICT = """\
cat K AE T
cat's K AE T S
record R AH K AO R D
record(2) R EH K ER D
don't D OW N T
does D AH Z
o'clock AH K L AA K
caf\u00e9 K AH F EY
2nd S EH K AH N D
empty
"""
SPOKEN = {
    "cat": "k ae1 t",
    "record": "r eh1 k er0 d",
    "don't": "d aa1 n t",
    "does": "d ow1 z",
    "o'clock": "ax0 k l aa1 k",
    "to": "t ax",
}


@pytest.fixture
def words(tmp_path: Path) -> dict[str, list[tuple[str, ...]]]:
    path = tmp_path / "cmudict"
    path.write_text(CMUDICT, encoding="utf-8")
    return lexicon.read_cmudict(path)


def test_only_plain_words_are_read_with_their_alternates(words: dict[str, list[tuple[str, ...]]]) -> None:
    assert list(words) == ["cat", "cat's", "record", "don't", "does", "o'clock"]
    assert words["record"] == [("r", "ah", "k", "ao", "r", "d"), ("r", "eh", "k", "er", "d")]


def test_a_missing_word_list_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileMissingError, match="no CMU dictionary at"):
        lexicon.read_cmudict(tmp_path / "none")


@pytest.mark.parametrize(
    ("spoken", "written", "chosen"),
    [
        ("r eh1 k er0 d", ["r ah k ao r d", "r eh k er d"], "r eh1 k er0 d"),  # agrees with the second
        ("t er1 m ax0 n", ["t er m ih n"], "t er1 m ax0 n"),  # agrees up to a reduced vowel
        ("d aa1 n t", ["d ow n t"], "d ow1 n t"),  # its stress, the written phones
        ("l ay1 v l iy0 er0", ["ah l ay v"], "ah1 l ay0 v"),  # vowels do not pair up
        ("ae0 b ay1", ["ah b iy"], "ax0 b iy1"),  # unstressed ah is neutral
        ("t ax", [], "t ax0"),  # nothing written
    ],
)
def test_which_phones_win(spoken: str, written: list[str], chosen: str) -> None:
    found = lexicon.choose_phones(spoken.split(), [tuple(w.split()) for w in written])
    assert found == tuple(chosen.split())


def test_the_built_file_is_a_lexicon(
    words: dict[str, list[tuple[str, ...]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lexicon, "pronounce", lambda word: SPOKEN[word].split())
    out = tmp_path / "made" / "en.lexicon.xz"
    assert lexicon.build_lexicon(words, out) == 5
    built = Lexicon(out.read_bytes())
    assert built.pronounce("record") == ("r", "eh1", "k", "er0", "d")
    assert built.pronounce("cat's") == ("k", "ae1", "t", "s")
    assert b"\ncat's " not in lzma.decompress(out.read_bytes())


def test_flite_pronounces_words() -> None:
    try:
        phones = flite.pronounce("hello")
    except MissingDependencyError:
        pytest.skip("flite is not installed")
    assert phones == ["hh", "ax0", "l", "ow1"]
