"""Both tokenizers: the ids of special strings, byte pairs as Qwen2 has them, phonemes and tags of the small model."""

from __future__ import annotations

import json
import sys

import pytest

from parlando.core.config import from_mapping, to_mapping
from parlando.core.errors import CheckpointError, FileMissingError, MissingDependencyError
from parlando.models.cosyvoice.parts.interleave import ArrivingText
from parlando.models.cosyvoice.tokenizer import (
    END_OF_PROMPT,
    PUBLISHED_SPECIALS,
    TAGS,
    HubTokenizer,
    PhonemeTextConfig,
    PhonemeTokenizer,
    default_phoneme_config,
)

PUBLISHED_BASE = 151_643
PUBLISHED_IDS = {
    "<|endoftext|>": 151643, "<|im_end|>": 151645, "<|endofprompt|>": 151646, "[breath]": 151647, "<strong>": 151648,
    "</strong>": 151649, "[noise]": 151650, "[laughter]": 151651, "[cough]": 151652, "[clucking]": 151653,
    "[accent]": 151654, "[quick_breath]": 151655, "<laughter>": 151656, "</laughter>": 151657, "[hissing]": 151658,
    "[sigh]": 151659, "[vocalized-noise]": 151660, "[lipsmack]": 151661, "[mn]": 151662,
}  # fmt: skip
TEXT = (
    "Hello world, it's 2024!\n\n  I'LL say: caf\u00e9 cafe\u0301 \u4f60\u597d\uff0c\u4e16\u754c\u3002 a\tb  "
    "\ud55c\uad6d\uc5b4 \U0001f600 x_y [breath] <strong>so</strong> don\u2019t"
)


@pytest.fixture(scope="module")
def blank_en(tmp_path_factory):
    """A folder like `CosyVoice-BlankEN`: all bytes and the merges of a few words."""
    tokenizers = pytest.importorskip("tokenizers")
    bpe = tokenizers.Tokenizer(tokenizers.models.BPE())
    bpe.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=330, initial_alphabet=alphabet, show_progress=False)
    bpe.train_from_iterator([TEXT] * 2 + ["hello world, it's so"] * 3, trainer)
    folder = tmp_path_factory.mktemp("BlankEN")
    bpe.model.save(str(folder))
    return folder


@pytest.fixture(scope="module")
def hub(blank_en):
    return HubTokenizer(blank_en)


@pytest.fixture(scope="module")
def phonemes():
    return PhonemeTokenizer(default_phoneme_config())


def test_the_special_strings_have_the_published_ids():
    ids = {text: PUBLISHED_BASE + index for index, text in enumerate(PUBLISHED_SPECIALS)}
    assert {text: ids[text] for text in PUBLISHED_IDS} == PUBLISHED_IDS
    assert len(ids) == 20


def test_special_strings_follow_the_byte_pairs(hub, blank_en):
    base = len(json.loads((blank_en / "vocab.json").read_text()))
    assert [hub.encode(text) for text in PUBLISHED_SPECIALS] == [[base + i] for i in range(20)]
    assert (hub.end_of_prompt, hub.vocab_size) == (base + 3, base + 20)


def test_byte_pairs_are_those_of_qwen2(hub, blank_en):
    transformers = pytest.importorskip("transformers")
    theirs = transformers.Qwen2Tokenizer.from_pretrained(blank_en)
    theirs.add_special_tokens({"additional_special_tokens": list(PUBLISHED_SPECIALS[1:])})
    ids = hub.encode(TEXT)
    assert [theirs.convert_tokens_to_ids(text) for text in PUBLISHED_SPECIALS] == list(
        range(hub.end_of_prompt - 3, hub.vocab_size)
    )
    assert ids == theirs(TEXT)["input_ids"]
    assert hub.decode(ids) == TEXT.replace("e\u0301", "\u00e9")


def test_numbers_are_cut_into_digits_and_words_with_their_space(hub):
    assert [hub.decode([index]) for index in hub.encode("20")] == ["2", "0"]
    assert hub.decode(hub.encode(" world")[:1]).startswith(" ")


def test_a_saved_tokenizer_is_the_same(hub, tmp_path):
    hub.save(tmp_path / "tokenizer.json")
    again = HubTokenizer(tmp_path)
    assert again.encode(TEXT) == hub.encode(TEXT)
    assert (again.end_of_prompt, again.vocab_size) == (hub.end_of_prompt, hub.vocab_size)
    assert again.measure("so, so") == (len(hub.encode("so, so")), 0)


def test_what_is_no_tokenizer_is_explained(blank_en, tmp_path, monkeypatch):
    with pytest.raises(FileMissingError, match=r"vocab\.json"):
        HubTokenizer(tmp_path)
    (tmp_path / "vocab.json").write_bytes((blank_en / "vocab.json").read_bytes())
    (tmp_path / "merges.txt").write_text("q\u00e9 z\u00e9\n")
    with pytest.raises(CheckpointError, match="no byte-pair encoding"):
        HubTokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(CheckpointError, match="describes no tokenizer model"):
        HubTokenizer(tmp_path)
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MissingDependencyError, match="'tokenizers' is needed"):
        HubTokenizer(tmp_path)


def test_ids_in_another_order_are_refused(hub, tmp_path):
    hub.save(tmp_path / "tokenizer.json")
    table = json.loads((tmp_path / "tokenizer.json").read_text())
    table["added_tokens"] = [token for token in table["added_tokens"] if token["content"] != "[breath]"]
    (tmp_path / "tokenizer.json").write_text(json.dumps(table))
    with pytest.raises(CheckpointError, match="not one after the other"):
        HubTokenizer(tmp_path)


def test_phonemes_and_tags(phonemes):
    text = "Hello [breath] <strong>big</strong> zyx." + END_OF_PROMPT
    shown = phonemes.decode(phonemes.encode(text))
    assert shown.startswith("{hh}")
    assert shown.endswith("[breath]<strong>{b}{ih1}{g}</strong>zyx." + END_OF_PROMPT)
    assert [phonemes.encode(tag) for tag in TAGS] == [[1 + index] for index in range(16)]
    assert (phonemes.end_of_prompt, phonemes.vocab_size) == (0, 17 + 1 + 7 + len(phonemes.config.phones) + 27)
    assert phonemes.knows("hello")
    assert phonemes.encode("big", lambda word: True) == phonemes.encode("b'i'g")[::2]


def test_tags_take_no_time(phonemes):
    assert phonemes.measure("Zyx, [sigh] zyx!") == (6, 2)


def test_the_phoneme_vocabulary_survives_json():
    config = default_phoneme_config()
    assert from_mapping(PhonemeTextConfig, json.loads(json.dumps(to_mapping(config)))) == config
    with pytest.raises(CheckpointError, match="no <|endofprompt|>"):
        PhonemeTokenizer(PhonemeTextConfig(specials=("[breath]",)))


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_text_that_arrives_in_pieces_has_the_same_phonemes(phonemes, size):
    text = "Don't go, it's the dogs' [laughter] <strong>bark</strong>-day; o'zyx said so: 'hello'. Well. No!"
    arriving = ArrivingText((text[i : i + size] for i in range(0, len(text), size)), phonemes.encode)
    while not arriving.ended:
        arriving.pull()
    assert arriving.tokens == phonemes.encode(text)


def test_ids_stand_for_characters_tags_and_byte_pairs_too(blank_en):
    phonemes = PhonemeTokenizer(default_phoneme_config(), {"so": ("s", "ow1")}.get)
    text = "[breath] <strong>so</strong>, so"
    found = [text[start:stop] for start, stop in phonemes.spans(text)]
    assert found == ["[breath]", "<strong>", "so", "so", "</strong>", ",", "so", "so"]
    assert len(found) == len(phonemes.encode(text))
    bpe = HubTokenizer(blank_en)
    assert "".join("Hello world"[start:stop] for start, stop in bpe.spans("Hello world")) == "Hello world"
