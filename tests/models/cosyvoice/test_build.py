"""A folder in our own layout: written whole, read strictly, its parts checked against each other."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from cosyvoice_tiny import tiny_config, tiny_cosyvoice, tiny_voices
from parlando.core.config import to_mapping
from parlando.core.errors import AudioError, CheckpointError, ConfigError, FileMissingError
from parlando.models.cosyvoice.build import load_model, new_model, save_model
from parlando.models.cosyvoice.config import parse_cosyvoice_config
from parlando.models.cosyvoice.voices import MEL, SPEAKER

FILES = {"config.json", "lm.safetensors", "flow.safetensors", "hift.safetensors", "speech_tokenizer.safetensors",
         "speaker.safetensors", "voices.json", "card.md"}  # fmt: skip


@pytest.fixture
def copy(tiny_cosyvoice_folder, tmp_path):
    return shutil.copytree(tiny_cosyvoice_folder, tmp_path / "copy")


def edit(path, change):
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def tone(seconds, rate=24_000):
    return (0.3 * np.sin(2 * np.pi * 200 * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def test_a_model_comes_back_as_it_was_saved(tiny_cosyvoice_folder):
    assert {path.name for path in tiny_cosyvoice_folder.iterdir()} == FILES
    loaded, made = load_model(tiny_cosyvoice_folder, "cpu"), tiny_cosyvoice()
    assert json.dumps(to_mapping(loaded.config)) == json.dumps(to_mapping(made.config))
    for name in ("lm", "flow", "hift", "speech_tokenizer", "speaker"):
        state = getattr(loaded.parts, name).state_dict()
        # The vocoder's weights are split into gain and direction again, which rounds.
        atol = 1e-7 if name == "hift" else 0.0
        for key, tensor in getattr(made.parts, name).state_dict().items():
            assert torch.allclose(state[key], tensor, rtol=0.0, atol=atol), key
    assert list(loaded.voices) == ["anna", "bert"]
    assert (loaded.takes_instructions, loaded.needs_transcript, loaded.converter) == (True, False, loaded)


def test_equal_seeds_make_equal_models_and_leave_the_generator_alone():
    before = torch.get_rng_state()
    same, other = (tiny_cosyvoice(seed).parts.lm.state_dict() for seed in (0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(same[key], t) for key, t in tiny_cosyvoice().parts.lm.state_dict().items())
    assert not all(torch.equal(same[key], t) for key, t in other.items())


def test_half_precision_is_stored_and_read_back_as_float32(tmp_path):
    folder = save_model(tiny_cosyvoice(), tmp_path / "half", dtype=torch.float16)
    assert {path.name for path in folder.iterdir()} == FILES - {"card.md"}
    assert {t.dtype for t in load_file(folder / "flow.safetensors").values()} == {torch.float16}
    assert load_model(folder).parts.flow.encoder_proj.weight.dtype == torch.float32


@pytest.mark.parametrize("name", sorted(FILES - {"card.md"}))
def test_every_missing_file_is_named(copy, name):
    (copy / name).unlink()
    with pytest.raises(FileMissingError, match=name):
        load_model(copy)


@pytest.mark.parametrize("name", sorted(name for name in FILES if name.endswith(".safetensors")))
def test_every_tensor_must_be_there_and_finite_and_no_other(copy, name):
    tensors = load_file(copy / name)
    first = next(key for key, t in tensors.items() if t.is_floating_point())
    damages = {
        "1 missing": {key: t for key, t in tensors.items() if key != first},
        "1 unexpected": tensors | {"more": torch.zeros(1)},
        "misshapen": tensors | {first: torch.zeros(1, 2, 3, 4, 5)},
        "not finite": tensors | {first: tensors[first] * float("nan")},
    }
    for message, damaged in damages.items():
        save_file(damaged, copy / name)
        with pytest.raises(CheckpointError, match=rf"{name}: .*{message}"):
            load_model(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(flows={}), "Did you mean 'flow'"),
        (lambda c: c["flow"].update(solver="x"), "flow: unknown key 'solver'"),
        (lambda c: c["hift"].update(chanels=1), "Did you mean 'channels'"),
        (lambda c: c["text"].update(kind="words"), "text.kind: 'words' is not one of"),
        (lambda c: c["text"].update(phone=[]), "Did you mean 'phones'"),
        (lambda c: c["lm"].update(num_heads=0), "lm.num_heads: 0 is out of range"),
        (lambda c: c["expected"].update(length={"base": 1}), "expected.length: unknown key 'base'"),
    ],
)
def test_a_config_that_cannot_be_is_named(copy, change, message):
    edit(copy / "config.json", change)
    with pytest.raises(ConfigError, match=message):
        load_model(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["flow"].update(vocab_size=82), "81 and 82 and 81 speech codes"),
        (lambda c: c["hift"].update(mel_bins=40), "80 and 40 mel bands"),
        (lambda c: c["speaker"].update(embedding_size=8), "16 and 8 numbers of a speaker embedding"),
        (lambda c: c["hift"]["source"].update(sample_rate=16_000), "hears 25"),
        (lambda c: c["lm"].update(vocab_size=100), "ids, the language model 100"),
        (lambda c: c.update(default_voice="eve"), "the default voice 'eve' is not there"),
    ],
)
def test_parts_that_do_not_belong_together_are_refused(change, message):
    data = json.loads(json.dumps(asdict(tiny_config())))
    change(data)
    with pytest.raises(CheckpointError, match=message):
        new_model(parse_cosyvoice_config(data), tiny_voices())


def test_a_save_that_fails_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("parlando.models.cosyvoice.build.write_voices", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save_model(tiny_cosyvoice(), tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_codes_and_mel_of_a_reference_have_one_length():
    model = tiny_cosyvoice()
    for seconds in (1.0, 1.013, 2.49):
        reference = model.refer("Hi.", tone(seconds), 24_000)
        frames = reference.codes.shape[1]
        assert frames == int(seconds * 25)
        assert reference.features[MEL].shape == (2 * frames, 80)
        assert reference.features[SPEAKER].shape == (16,)
    assert model.encode(tone(61.0), 24_000).shape == (1, 61 * 25)


def test_a_clip_below_16_khz_and_one_that_is_too_short_are_refused():
    model = tiny_cosyvoice()
    with pytest.raises(AudioError, match="a clip at 8000 Hz; this model needs at least 16000 Hz"):
        model.encode(tone(1.0, 8_000), 8_000)
    with pytest.raises(AudioError):
        model.refer("", tone(0.001), 24_000)
    with pytest.raises(AudioError, match="not a number or infinite"):
        model.frames(np.full(24_000, np.nan, np.float32), 24_000)
