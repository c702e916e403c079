"""Both tokenizers on small vocabularies, and the default phoneme vocabulary's promises."""

from __future__ import annotations

import dataclasses
import json
import sys

import pytest

from parlando.core.config import from_mapping, to_mapping
from parlando.core.errors import CheckpointError, ConfigError, FileMissingError, MissingDependencyError
from parlando.models.higgs.parts.chatml import GENERATE_INSTRUCTION, MULTI_SPEAKER_INSTRUCTION
from parlando.models.higgs.tokenizer import (
    DELAY_STRING,
    SPECIAL_STRINGS,
    HubTokenizer,
    PhonemeTextConfig,
    PhonemeTokenizer,
    default_phoneme_config,
)

WORDS = {
    "hello": ("hh", "ax0", "l", "ow1"),
    "world": ("w", "er1", "l", "d"),
    "'em": ("ax0", "m"),
    "don't": ("d", "ow1", "n", "t"),
    "a": ("ax0",),
    "cafe": ("k", "ae0", "f", "ey1"),
}


@pytest.fixture(scope="module")
def tokenizer() -> PhonemeTokenizer:
    return PhonemeTokenizer(default_phoneme_config(), WORDS.get)


def spoken(tokenizer: PhonemeTokenizer, text: str) -> str:
    return tokenizer.decode(tokenizer.encode(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hello world", "{hh}{ax0}{l}{ow1} {w}{er1}{l}{d}"),
        ("  Hello,\n\n WORLD! ", "{hh}{ax0}{l}{ow1},{w}{er1}{l}{d}!"),
        ("hello zyx", "{hh}{ax0}{l}{ow1} zyx"),
        ("don't", "{d}{ow1}{n}{t}"),
        ("don\u2019t", "{d}{ow1}{n}{t}"),
        ("get 'em", "get {ax0}{m}"),
        ("'hello'", "{hh}{ax0}{l}{ow1}"),
        ("o'zyx", "o'zyx"),
        ("hello-world", "{hh}{ax0}{l}{ow1}-{w}{er1}{l}{d}"),
        ("hello \u2014 world", "{hh}{ax0}{l}{ow1}-{w}{er1}{l}{d}"),
        ("caf\u00e9", "{k}{ae0}{f}{ey1}"),
        ('(hello) "world" 42 *', "{hh}{ax0}{l}{ow1} {w}{er1}{l}{d}"),
        ("hello \u4f60\u597d world", "{hh}{ax0}{l}{ow1} {w}{er1}{l}{d}"),
        ("", ""),
        (" \n ", ""),
    ],
)
def test_ordinary_text(tokenizer, text, expected):
    assert spoken(tokenizer, text) == expected


def test_spell_reads_chosen_words_by_letters(tokenizer):
    ids = tokenizer.encode("Hello world", spell=lambda word: word == "hello")
    assert tokenizer.decode(ids) == "hello {w}{er1}{l}{d}"
    assert spoken(tokenizer, "hello") == "{hh}{ax0}{l}{ow1}"


def test_knows_only_words_of_the_lexicon(tokenizer):
    assert tokenizer.knows("Hello")
    assert not tokenizer.knows("zyx")


@pytest.mark.parametrize(
    "text",
    [
        GENERATE_INSTRUCTION,
        MULTI_SPEAKER_INSTRUCTION,
        "[SPEAKER3]",
        "SPEAKER2:",
        "<|start_header_id|>user<|end_header_id|>\n\n",
        "<|audio_out_bos|>",
        "<|scene_desc_end|>",
    ],
)
def test_prompt_strings_are_one_token(tokenizer, text):
    ids = tokenizer.encode(text)
    assert len(ids) == 1
    assert tokenizer.decode(ids) == text


def test_header_with_an_unknown_role_falls_back_to_its_parts(tokenizer):
    ids = tokenizer.encode("<|start_header_id|>zyx<|end_header_id|>")
    assert (ids[0], ids[-1]) == (tokenizer.start_header, tokenizer.end_header)
    assert tokenizer.decode(ids[1:-1]) == "zyx"


def test_descriptions_are_one_token_only_as_the_whole_of_a_speaker_line(tokenizer):
    scene = "<|scene_desc_start|>\nSPEAKER0: a Scottish man, brisk\nSPEAKER1: feminine\n<|scene_desc_end|>"
    assert len(tokenizer.encode(scene)) == 6
    assert spoken(tokenizer, "SPEAKER0: feminine<|eot_id|>") == "SPEAKER0:feminine<|eot_id|>"
    assert len(tokenizer.encode("feminine")) == len("feminine")
    assert len(tokenizer.encode("SPEAKER0: feminine zyx")) == 1 + len("feminine") + 1 + len("zyx")


def test_named_ids_are_those_of_the_published_strings(tokenizer):
    for name, text in SPECIAL_STRINGS.items():
        assert tokenizer.encode(text) == [getattr(tokenizer, name)]
    assert tokenizer.encode(DELAY_STRING) == [tokenizer.delay]
    assert tokenizer.pad == tokenizer.end_of_text


def test_ids_are_dense_and_in_the_order_of_the_config(tokenizer):
    config = tokenizer.config
    assert tokenizer.begin_of_text == 0
    first_phone = tokenizer.vocab_size - len(config.letters) - len(config.phones)
    assert tokenizer.encode("a") == [first_phone + config.phones.index("ax0")]
    assert tokenizer.encode("z") == [tokenizer.vocab_size - 2]
    total = sum(len(getattr(config, name)) for name in vars(config) if name not in ("boundary", "kind")) + 1
    assert tokenizer.vocab_size == total <= 256


def test_every_word_of_the_packaged_lexicon_fits_the_default_vocabulary():
    tokenizer = PhonemeTokenizer(default_phoneme_config())
    assert tokenizer.knows("hello")
    assert "{l}" in spoken(tokenizer, "hello")
    assert spoken(tokenizer, "qzxv") == "qzxv"


def test_config_survives_json_and_refuses_doubles():
    config = default_phoneme_config()
    assert from_mapping(PhonemeTextConfig, json.loads(json.dumps(to_mapping(config)))) == config
    with pytest.raises(ConfigError, match=r"text\.letters"):
        dataclasses.replace(config, letters=("a", "a"))


def test_vocabulary_without_special_tokens_is_refused():
    with pytest.raises(CheckpointError, match="<|eot_id|>"):
        PhonemeTokenizer(dataclasses.replace(default_phoneme_config(), specials=("<|begin_of_text|>",)), WORDS.get)


@pytest.fixture
def bpe_file(tmp_path):
    tokenizers = pytest.importorskip("tokenizers")
    bpe = tokenizers.Tokenizer(tokenizers.models.BPE())
    bpe.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(
        ["hello world"], tokenizers.trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False)
    )
    bpe.add_special_tokens([*SPECIAL_STRINGS.values(), DELAY_STRING])
    bpe.save(str(tmp_path / "tokenizer.json"))
    return tmp_path / "tokenizer.json"


def test_hub_tokenizer_recognises_specials_and_adds_none(bpe_file):
    tokenizer = HubTokenizer(bpe_file.parent)
    ids = tokenizer.encode("<|begin_of_text|>hello\n\n<|eot_id|>", spell=lambda word: True)
    assert ids[0] == tokenizer.begin_of_text
    assert ids[-1] == tokenizer.eot
    assert tokenizer.decode(ids) == "<|begin_of_text|>hello\n\n<|eot_id|>"
    assert tokenizer.encode("hello")[0] != tokenizer.begin_of_text
    assert tokenizer.vocab_size > tokenizer.audio_out
    assert tokenizer.encode(DELAY_STRING) == [tokenizer.delay]


def test_hub_tokenizer_explains_what_is_wrong_with_a_file(tmp_path, bpe_file):
    with pytest.raises(FileMissingError, match="no tokenizer at"):
        HubTokenizer(tmp_path / "nothing.json")
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(CheckpointError, match="describes no tokenizer model"):
        HubTokenizer(tmp_path / "other.json")
    plain = json.loads(bpe_file.read_text())
    plain["added_tokens"] = [token for token in plain["added_tokens"] if token["content"] != "<|AUDIO_OUT|>"]
    (tmp_path / "plain.json").write_text(json.dumps(plain))
    with pytest.raises(CheckpointError, match=r"<\|AUDIO_OUT\|>"):
        HubTokenizer(tmp_path / "plain.json")


def test_measure_counts_spoken_units_and_pauses(tokenizer, bpe_file):
    assert tokenizer.measure("hello, world zyx!") == (4 + 4 + 3, 2)
    assert HubTokenizer(bpe_file).measure("hello, \u4f60 3!") == (5 + 3 + 1, 2)


def test_hub_tokenizer_names_the_package_it_needs(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MissingDependencyError, match="'tokenizers' is needed"):
        HubTokenizer(tmp_path)


def test_a_among_initials_or_alone_is_the_letter_and_elsewhere_the_article():
    tokenizer = PhonemeTokenizer(default_phoneme_config())
    assert tokenizer.decode(tokenizer.encode("the U S A")).endswith("{ey1}")
    assert tokenizer.decode(tokenizer.encode("A B C")).startswith("{ey1}")
    assert tokenizer.decode(tokenizer.encode("A cat")).startswith("{ax0}")
    assert tokenizer.decode(tokenizer.encode("A. I went")).startswith("{ey1}")


def test_sound_events_are_not_read_aloud():
    tokenizer = PhonemeTokenizer(default_phoneme_config())
    plain = tokenizer.encode("well then")
    assert tokenizer.encode("well <SE>[Laughter]</SE> then") == plain
    assert tokenizer.encode("<SE_s>[Music]</SE_s> well then <SE_e>[Music]</SE_e>") == plain


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Hello, caf\u00e9 na\u00efve it's {hh ax0 l ow1}!", ""),
        ("I like \u4eac\u90fd and \u041c\u043e\u0441\u043a\u0432\u0430.", "\u4eac\u90fd"),
        ("the \ud55c\uad6d", "\ud55c\uad6d"),
        ("Stra\u00dfe", "Stra\u00dfe"),
        ("<|eot_id|> [SPEAKER0] <SE>[Laughter]</SE> ... 5", ""),
    ],
)
def test_the_first_word_that_is_left_out_is_named(tokenizer, bpe_file, text, word):
    assert tokenizer.unread(text) == word
    assert HubTokenizer(bpe_file).unread(text) == ""


def test_ids_stand_for_characters_whatever_is_left_out(tokenizer, bpe_file):
    text = "[SPEAKER0] Hello <SE>[Laughter]</SE> don\u2019t."
    spans = tokenizer.spans(text)
    assert len(spans) == len(tokenizer.encode(text))
    found = [text[start:stop] for start, stop in spans]
    assert found == ["[SPEAKER0]", *["Hello"] * 4, "", *["don\u2019t"] * 4, "."]
    bpe = HubTokenizer(bpe_file)
    assert len(bpe.spans("hello")) == len(bpe.encode("hello"))
