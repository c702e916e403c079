"""Voices to JSON and back."""

from __future__ import annotations

import json

import numpy as np
import pytest

from parlando.core.errors import ConfigError, FileMissingError
from parlando.core.types import Reference, Voice
from parlando.core.voicefile import read_voice, read_voices, write_voice, write_voices

SPOKEN = Reference("Hello.", np.array([[1, 2, 3], [4, 5, 6]]))
ADA = Voice("ada", "calm", (SPOKEN,), "en", "A quiet room.", display_name="Ada L.")


def same(a, b):
    for name in ("name", "description", "language", "scene", "instruction", "display_name"):
        assert getattr(a, name) == getattr(b, name), name
    assert len(a.references) == len(b.references)
    for left, right in zip(a.references, b.references, strict=True):
        assert left.text == right.text
        assert left.codes.dtype == right.codes.dtype == np.int64
        assert np.array_equal(left.codes, right.codes)


def test_a_voice_survives_its_file(tmp_path):
    same(read_voice(write_voice(str(tmp_path / "ada.json"), ADA)), ADA)
    assert [p.name for p in tmp_path.iterdir()] == ["ada.json"]


def test_a_models_voices_keep_order_and_names(tmp_path):
    path = write_voices(tmp_path / "voices.json", {"ada": ADA, "bob": Voice("bob", "low")})
    voices = read_voices(path)
    assert list(voices) == ["ada", "bob"]
    same(voices["ada"], ADA)
    assert voices["bob"].references == ()


def heard(**features):
    return Voice("eva", references=(Reference("Hi.", np.array([[1, 2]]), features),), instruction="softly")


def test_features_are_written_without_loss_and_in_half_precision_where_that_loses_nothing(tmp_path):
    draws = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    features = {"exact": draws, "half": draws.astype(np.float16).astype(np.float32), "large": np.float32([7e4]),
                "none": np.zeros((0, 80), np.float32)}  # fmt: skip
    path = write_voice(tmp_path / "eva.json", heard(**features))
    voice = read_voice(path)
    assert voice.instruction == "softly"
    read = voice.references[0].features
    assert {name: values.shape for name, values in read.items()} == {n: v.shape for n, v in features.items()}
    assert all(values.dtype == np.float32 for values in read.values())
    assert all(np.array_equal(read[name], values) for name, values in features.items())
    kinds = {name: entry["dtype"] for name, entry in json.loads(path.read_text())["references"][0]["features"].items()}
    assert kinds == {"exact": "float32", "half": "float16", "large": "float32", "none": "float16"}


def test_a_voice_of_features_alone_has_no_codes(tmp_path):
    preset = Voice("ann", references=(Reference("", np.zeros((1, 0), np.int64), {"speaker": np.float32([1, 2])}),))
    codes = read_voice(write_voice(tmp_path / "ann.json", preset)).references[0].codes
    assert (codes.shape, codes.dtype) == ((1, 0), np.int64)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"base64": "@@@@"}, "not an array"),
        ({"base64": "AAA"}, "not an array"),
        ({"base64": "AAAA"}, "not an array"),
        ({"base64": "\u00e4"}, "not an array"),
        ({"shape": [3]}, "shape"),
        ({"shape": [-1]}, "below zero"),
        ({"shape": [10**30]}, "not an array"),
        ({"dtype": "int8"}, "dtype"),
        ({"base64": "AADAfwAAAAA="}, "holds NaN or infinity"),
        ({"base64": "AACAfwAAAAA="}, "holds NaN or infinity"),
        ({"more": 1}, "unknown key"),
        (None, "expected dtype, shape and base64"),
    ],
)
def test_a_damaged_feature_is_named_with_its_file(tmp_path, change, message):
    path = write_voice(tmp_path / "eva.json", heard(speaker=np.float32([0.1, 0.2])))
    data = json.loads(path.read_text())
    features = data["references"][0]["features"]
    features["speaker"] = change and features["speaker"] | change
    path.write_text(json.dumps(data))
    with pytest.raises(ConfigError, match=message) as caught:
        read_voice(path)
    assert "eva.json" in str(caught.value)
    assert "features.speaker" in str(caught.value)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"descripton": "x"}, "Did you mean 'description'"),
        ({"references": [{"text": "a", "codes": [[1, 2], [3]]}]}, "equally long"),
        ({"references": [{"text": "a", "codes": []}]}, "equally long"),
        ({"references": [{"text": "a", "codes": [[0.5]]}]}, "expected int"),
        ({"references": [{"text": "a", "codes": [[10**20]]}]}, "beyond 64 bits"),
        ([1], "table of settings"),
    ],
)
def test_a_bad_entry_says_what_and_where(tmp_path, entry, message):
    path = tmp_path / "voices.json"
    path.write_text(json.dumps({"ada": entry}))
    with pytest.raises(ConfigError, match=message) as caught:
        read_voices(path)
    assert "ada" in str(caught.value)
    assert "voices.json" in str(caught.value)


def test_a_missing_voice_file_is_named(tmp_path):
    with pytest.raises(FileMissingError, match=r"none\.json"):
        read_voice(tmp_path / "none.json")


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = write_voice(tmp_path / "ada.json", ADA)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        write_voice(path, Voice("ada", object()))
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1
