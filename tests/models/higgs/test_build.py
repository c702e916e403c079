"""A checkpoint folder: read strictly, written whole, and every misfit named."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from parlando.core.errors import AudioError, CheckpointError, ConfigError, FileMissingError
from parlando.core.types import Reference, SamplingOptions, Voice
from parlando.models.higgs.build import build_tokenizer, load_model, load_published, new_model, save_model
from parlando.models.higgs.voices import check_voices
from parlando.nn.checkpoint import SkipInitialisation


@pytest.fixture
def folder(tiny_folder, tmp_path):
    return shutil.copytree(tiny_folder, tmp_path / "model")


def change_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_saved_and_loaded_it_says_the_same(tiny_model, tiny_folder):
    loaded = load_model(tiny_folder, "cpu")
    assert {path.name for path in tiny_folder.iterdir()} == {
        "config.json",
        "lm.safetensors",
        "codec.safetensors",
        "voices.json",
        "card.md",
    }
    assert loaded.config == tiny_model.config
    assert (loaded.name, loaded.family, loaded.default_voice) == ("tiny", "higgs", "ada")
    assert (loaded.sample_rate, loaded.frame_rate) == (24_000, 25.0)
    for key, tensor in tiny_model.parts.lm.state_dict().items():
        assert torch.equal(tensor, loaded.parts.lm.state_dict()[key]), key
    codes = np.arange(30).reshape(3, 10)
    assert torch.equal(
        tiny_model.codec.decode(torch.from_numpy(codes)[None]), loaded.codec.decode(torch.from_numpy(codes)[None])
    )


def test_the_same_seed_makes_the_same_random_model(tiny_model):
    again = new_model(tiny_model.config, tiny_model.voices, "cpu", seed=0)
    other = new_model(tiny_model.config, tiny_model.voices, "cpu", seed=1)
    weights = [model.parts.lm.norm.weight.shape for model in (again, other)]
    assert weights[0] == weights[1]
    assert torch.equal(again.parts.lm.embed_tokens.weight, tiny_model.parts.lm.embed_tokens.weight)
    assert not torch.equal(other.parts.lm.embed_tokens.weight, tiny_model.parts.lm.embed_tokens.weight)


def test_making_a_random_model_leaves_the_generator_alone(tiny_model):
    before = torch.get_rng_state()
    new_model(tiny_model.config, tiny_model.voices, "cpu")
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("name", ["config.json", "lm.safetensors", "codec.safetensors", "voices.json"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(FileMissingError, match=name):
        load_model(folder, "cpu")


@pytest.mark.parametrize("name", ["lm.safetensors", "codec.safetensors"])
@pytest.mark.parametrize("fault", ["missing", "unexpected", "misshapen"])
def test_tensors_that_do_not_fit_are_named(folder, name, fault):
    tensors = load_file(folder / name)
    key = sorted(key for key, tensor in tensors.items() if tensor.ndim == 2)[0]
    if fault == "missing":
        del tensors[key]
    elif fault == "unexpected":
        key = "stray.weight"
        tensors[key] = torch.zeros(2)
    else:
        tensors[key] = torch.zeros(1, 1)
    save_file(tensors, folder / name)
    with pytest.raises(CheckpointError) as caught:
        load_model(folder, "cpu")
    assert fault in str(caught.value)
    assert key in str(caught.value)
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"famly": 1}, ConfigError, "Did you mean 'family'"),
        ({"default_voice": "eve"}, CheckpointError, "'eve' is not there; there are: ada, bob"),
        ({"codec": {"kind": "wavelet"}}, ConfigError, "wavelet"),
        ({"text": {"kind": "runes"}}, ConfigError, "runes"),
        ({"text": {"kind": "hub"}}, FileMissingError, r"tokenizer\.json"),
        ({"expected": {"length": {"frames": 1}}}, ConfigError, "unknown key 'frames'"),
        ({"format": 2}, ConfigError, "format"),
    ],
)
def test_a_config_that_does_not_fit_is_explained(folder, changes, error, message):
    change_config(folder, **changes)
    with pytest.raises(error, match=message):
        load_model(folder, "cpu")


def test_a_codec_of_other_codebooks_is_refused(tiny_model):
    codec = dataclasses.replace(tiny_model.config.codec, num_codebooks=2)
    other = dataclasses.replace(tiny_model.config, codec=codec)
    with pytest.raises(CheckpointError, match="2 codebooks of 256, the language model 3 of 256"):
        new_model(other, tiny_model.voices, "cpu")


def test_a_tokenizer_with_more_ids_than_the_model_is_refused(tiny_model):
    lm = dataclasses.replace(tiny_model.config.lm, vocab_size=tiny_model.config.lm.vocab_size - 1)
    with pytest.raises(CheckpointError, match="tokenizer"):
        new_model(dataclasses.replace(tiny_model.config, lm=lm), tiny_model.voices, "cpu")


@pytest.mark.parametrize("codes", [np.zeros((2, 5), int), np.full((3, 5), 256), np.full((3, 5), -1)])
def test_a_voice_of_another_model_is_refused(tiny_model, codes):
    voice = Voice("eve", references=(Reference("Hi.", codes),))
    with pytest.raises(CheckpointError, match=r"'eve'.*the model has 3 of 256"):
        check_voices({"eve": voice}, tiny_model.config.lm, "eve", "here")


def test_half_precision_is_for_the_language_model_only(tiny_folder):
    model = load_model(tiny_folder, "cpu", "bfloat16")
    assert model.parts.lm.norm.weight.dtype == torch.bfloat16
    assert {parameter.dtype for parameter in model.codec.parameters()} == {torch.float32}


def test_encode_gives_25_frames_per_second_at_any_rate(tiny_model):
    for rate in (16_000, 24_000, 44_100):
        wave = 0.3 * np.sin(2 * np.pi * 200 * np.arange(2 * rate) / rate)
        codes = tiny_model.encode(wave.astype(np.float32), rate)
        assert codes.dtype == np.int64
        assert codes.shape == (3, 50)
        assert 0 <= codes.min() <= codes.max() < 256


@pytest.mark.parametrize(
    ("samples", "message"),
    [(np.zeros(10, np.float32), "shorter than one frame"), (np.full(24_000, np.nan), "not a number")],
)
def test_encode_refuses_what_is_no_clip(tiny_model, samples, message):
    with pytest.raises(AudioError, match=message):
        tiny_model.encode(samples, 24_000)


def test_a_sampler_is_made_per_request(tiny_model):
    prompt = tiny_model.prompts.build("Hello.", tiny_model.voices["ada"])
    samplers = [tiny_model.new_sampler(prompt, SamplingOptions(seed=seed)) for seed in (1, 1)]
    assert samplers[0] is not samplers[1]


def test_hub_text_needs_a_folder():
    with pytest.raises(ConfigError, match=r"tokenizer\.json"):
        build_tokenizer({"kind": "hub"}, None)


def test_a_failed_save_leaves_the_folder_as_it_was(tiny_model, folder, monkeypatch):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("parlando.models.higgs.build.write_voices", fail)
    with pytest.raises(OSError, match="disk full"):
        save_model(tiny_model, folder, "new card")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_saving_leaves_nothing_of_another_model(tiny_model, folder):
    for name in ("tokenizer.json", "card.md"):
        (folder / name).write_text("{}")
    save_model(tiny_model, folder)
    assert not {"tokenizer.json", "card.md"} & {path.name for path in folder.iterdir()}


def test_a_published_language_model_alone_says_where_the_codec_goes(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "higgs_audio_v2"}))
    with pytest.raises(CheckpointError, match="audio_tokenizer"):
        load_model(tmp_path, "cpu")
    with pytest.raises(FileMissingError, match="language model weights"):
        load_published(tmp_path, tmp_path, tmp_path, "cpu")


def test_weights_about_to_be_loaded_are_not_initialised():
    weight = torch.full((3,), 7.0)
    with SkipInitialisation():
        assert torch.nn.init.uniform_(weight) is weight
        assert torch.nn.init.normal_(tensor=weight, std=2.0) is weight
        total = weight.sum()
    assert (weight.tolist(), float(total)) == ([7.0, 7.0, 7.0], 21.0)
