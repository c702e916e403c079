"""Voices to JSON and back."""

from __future__ import annotations

import json

import numpy as np
import pytest

from parlando.core.errors import ConfigError, FileMissingError
from parlando.core.types import Reference, Voice
from parlando.core.voicefile import read_voice, read_voices, write_voice, write_voices

ADA = Voice("ada", "calm", (Reference("Hello.", np.array([[1, 2, 3], [4, 5, 6]])),), "en", "A quiet room.")


def same(a, b):
    assert (a.name, a.description, a.language, a.scene) == (b.name, b.description, b.language, b.scene)
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
