import pytest
from tiny_corpus import write_clip

from parlando.data.manifest import Utterance, append_manifest
from parlando.data.shards import LEAD_SECONDS, PHONES, PackedCorpus, pack
from parlando.data.teachers.kokoro.symbols import (
    ENGLISH,
    LENGTHENING,
    MARKS,
    STRESSES,
    Timed,
    phones_of,
    timed_symbols,
    words_of,
)

# What misaki says it writes for American and British English (its US_VOCAB and GB_VOCAB), and T for a tapped t.
AMERICAN = "AIOWYbdfhijklmnpstuvwzæðŋɑɔəɛɜɡɪɹɾʃʊʌʒʤʧˈˌθᵊᵻʔT"
BRITISH = "AIQWYabdfhijklmnpstuvwzðŋɑɒɔəɛɜɡɪɹʃʊʌʒʤʧˈˌːθᵊ"


def said(symbols, units, language="en"):
    return phones_of(timed_symbols(["", *symbols, ""], units), language)


@pytest.mark.parametrize("inventory", [AMERICAN, BRITISH])
def test_every_symbol_of_english_is_a_phone(inventory):
    assert set(inventory) - set(ENGLISH) == set(inventory) & set(STRESSES + LENGTHENING)
    assert set(ENGLISH.values()) <= set(PHONES) - {"pau"}


def test_times_are_those_of_the_sound_and_end_with_the_audio():
    timed = timed_symbols(["", "b", "i", ""], [10, 3, 4, 5])
    assert timed == [Timed("", 0, 8), Timed("b", 8, 11), Timed("i", 11, 15), Timed("", 15, 22)]
    assert said("bi", [10, 3, 4, 5]) == [("pau", 0.2), ("b", 0.275), ("iy", 0.375), ("pau", 0.55)]


def test_a_sound_that_begins_at_once_has_no_pause_before_it():
    assert said("bi", [2, 3, 4, 5]) == [("b", 0.075), ("iy", 0.175), ("pau", 0.35)]


def test_stress_belongs_to_what_follows_and_length_to_what_precedes():
    assert [name for name, _ in said("bˈiːt", [8, 2, 2, 2, 2, 2, 2])] == ["pau", "b", "iy", "t", "pau"]
    assert said("bˈiːt", [8, 2, 2, 2, 2, 2, 2])[2] == ("iy", 0.35)


@pytest.mark.parametrize(
    ("symbols", "phones"),
    [
        ("wˈɔTəɹ", "w ao t er"),
        ("əɹˈWnd", "ax r aw n d"),
        ("hˈɜɹiɪŋ", "hh er iy ih ng"),
        ("fˈɜːðə", "f er dh ax"),
        ("ɹˈɛd", "r eh d"),
        ("kˈæməɹə", "k ae m er ax"),
        ("ʧˈIld", "ch ay l d"),
    ],
)
def test_vowels_and_the_r_after_them_are_one_phone(symbols, phones):
    names = [name for name, _ in said(symbols, [6] + [2] * len(symbols) + [3])]
    assert " ".join(names) == f"pau {phones} pau"


def test_a_space_within_one_breath_belongs_to_the_phone_before():
    assert said("i u", [6, 4, 3, 4, 4]) == [("pau", 0.1), ("iy", 0.275), ("uw", 0.375), ("pau", 0.525)]
    assert [name for name, _ in said("i u", [6, 4, 5, 4, 4])] == ["pau", "iy", "pau", "uw", "pau"]


@pytest.mark.parametrize("mark", [m for m in MARKS if m not in "()"])
def test_a_mark_is_a_pause_when_it_takes_time(mark):
    assert [name for name, _ in said(f"i{mark} u", [6, 4, 2, 1, 4, 4])] == ["pau", "iy", "pau", "uw", "pau"]
    assert [name for name, _ in said(f"i{mark} u", [6, 4, 1, 1, 4, 4])] == ["pau", "iy", "uw", "pau"]


def test_other_languages_keep_their_symbols_with_tones_and_breath_on_the_sound_before():
    names = [name for name, _ in said("ʨʰi↘ xə↓n", [6, *[2] * 10], "zh")]
    assert " ".join(names) == "pau ʨ i x ə n pau"


def test_borders_are_those_of_the_durations_and_packed_labels_keep_them_within_20_ms(tmp_path, in_this_process):
    units = [9, 3, 2, 5, 4, 3, 1, 2, 6, 3, 4, 7]
    phones = said("kˈIt, bi u", units)
    sounding = {end for name, end in phones[:-1]}
    assert sounding <= {round((sum(units[:place]) - 2) * 0.025, 3) for place in range(len(units) + 1)}
    clip = Utterance("a", "a.wav", "ada", "en", "Kite, be who.", sum(units) * 0.025, tuple(phones))
    append_manifest(tmp_path / "m.jsonl", [write_clip(tmp_path, clip)])
    pack([tmp_path / "m.jsonl"], tmp_path / "out")
    corpus = PackedCorpus(tmp_path / "out")
    labels = corpus.labels(corpus.entries[0]).reshape(-1)
    changes = [0.02 * (place + 1) for place in range(len(labels) - 1) if labels[place] != labels[place + 1]]
    first = phones[0][1] - LEAD_SECONDS
    borders = [end - first for _, end in phones[:-1]]
    assert len(changes) == len(borders)
    assert max(abs(a - b) for a, b in zip(changes, borders, strict=True)) < 0.02


def test_words_have_the_times_of_their_first_and_last_symbol():
    timed = timed_symbols(["", "b", "i", " ", "t", "u", ""], [6, 2, 2, 2, 2, 2, 2])
    assert words_of(timed, [("bee", 1, 2), ("two", 4, 5)]) == (("bee", 0.1, 0.2), ("two", 0.25, 0.35))
