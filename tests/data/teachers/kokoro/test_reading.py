import pytest

from parlando.core.errors import MissingDependencyError
from parlando.data.teachers.kokoro import packages, reading
from parlando.data.teachers.kokoro.reading import Reading, numbered, place_words


def heard(made):
    return [(word, made.symbols[first : last + 1]) for word, first, last in made.words]


def test_words_have_the_places_of_their_symbols():
    made = place_words([("Hello", "həlˈO"), (", ", ", "), ("you ", "ju "), ("two", "tˈu"), (".", ".")])
    assert made.symbols == "həlˈO, ju tˈu."
    assert heard(made) == [("Hello", "həlˈO"), ("you", "ju"), ("two", "tˈu")]


def test_pieces_without_a_space_between_them_are_one_word():
    made = place_words([("twenty", "twˈɛnti"), ("-", ""), ("one ", "wˈʌn "), ("is", "ɪz"), ("n't", "ᵊnt")])
    assert heard(made) == [("twenty-one", "twˈɛntiwˈʌn"), ("isn't", "ɪzᵊnt")]


def test_what_makes_no_sound_is_no_word():
    made = place_words([("- ", "— "), ("a ", "ɐ "), ("'", ""), ("!", "!")])
    assert heard(made) == [("a", "ɐ")]


def test_symbols_that_the_model_does_not_know_are_passed_over():
    symbols, words = numbered(
        Reading("a¿b ¿ c", (("ab", 0, 2), ("¿", 4, 4), ("c", 6, 6))), {"a": 1, "b": 2, " ": 3, "c": 4}
    )
    assert symbols == list("ab  c")
    assert words == (("ab", 0, 1), ("c", 4, 4))


def test_mandarin_words_are_found_and_other_letters_are_not_read():
    read = reading._mandarin({"我们": "wo↓mən", "去": "ʨʰy↘\u032f"}.__getitem__, lambda text: [text[:2], text[2:]])
    made = read("我们去，我们去。")
    assert made.symbols == "wo↓mən ʨʰy↘, wo↓mən ʨʰy↘. "
    assert heard(made) == [("我们", "wo↓mən"), ("去", "ʨʰy"), ("我们", "wo↓mən"), ("去", "ʨʰy")]
    assert reading.UNREADABLE in read("我们去Rome").symbols


def test_words_of_espeak_are_paired_where_there_are_as_many():
    read = reading._by_spaces({"Hola, tú": ("ˈola, tˈu", None), "a b": ("ab", None)}.__getitem__)
    assert heard(read("Hola, tú")) == [("Hola", "ˈola"), ("tú", "tˈu")]
    assert read("a b") == Reading("ab")


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    with pytest.raises(MissingDependencyError, match=r"'not_there' is needed.*pip install .*\[teach\]"):
        packages.require("not_there")


def test_the_extra_lists_what_the_command_installs(root):
    import tomllib

    extras = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert tuple(extras["teach"]) == packages.PACKAGES


@pytest.mark.slow
def test_real_english_is_read_in_two_accents():
    pytest.importorskip("misaki.en")
    for british, symbols in ((False, "ðə wˈɔTəɹ ɪzᵊnt hˈɑt."), (True, "ðə wˈɔːtə ɪzᵊnt hˈɒt.")):
        made = reading.reader("en", british)("The water isn't hot.")
        assert made.symbols == symbols
        assert [word for word, _, _ in made.words] == ["The", "water", "isn't", "hot"]
