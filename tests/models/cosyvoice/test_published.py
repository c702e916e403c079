"""A published folder as it is: read as data, loaded strictly, saved in our layout; each damage is one clear error."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

import parlando
from cosyvoice_published import EXECUTED, SETTINGS, SIZES, write_published
from parlando.audio.clip import Clip
from parlando.core.errors import CheckpointError, ConfigError, FileMissingError, InputError
from parlando.core.types import SamplingOptions
from parlando.cosyvoice import CosyVoice2
from parlando.models.cosyvoice.build import load_model, load_published, save_model
from parlando.models.cosyvoice.config import PUBLISHED_SAMPLING, lm_config_from_published
from parlando.models.cosyvoice.published import flow_config, lm_settings, read_settings
from parlando.models.locate import describe, voices_of
from parlando.models.registry import FAMILIES, family_of

TEXT = "Hello there, it speaks."


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return write_published(tmp_path_factory.mktemp("hub") / "CosyVoice2-0.5B")


@pytest.fixture(autouse=True)
def tiny_sizes(monkeypatch):
    """The two graphs do not say their sizes; here they are tiny."""
    monkeypatch.setattr("parlando.models.cosyvoice.build.PublishedSizes", lambda: SIZES)


@pytest.fixture
def copy(published, tmp_path):
    return shutil.copytree(published, tmp_path / "copy")


def tone(seconds=2.0):
    time = np.arange(round(seconds * 16_000)) / 16_000
    wave = 0.3 * np.sin(2 * np.pi * 200 * time) * (1 + np.sin(2 * np.pi * 3 * time)) / 2
    return Clip(wave.astype(np.float32), 16_000)


def spoken(synthesizer, voice=None):
    with synthesizer:
        return synthesizer.say(TEXT, voice or synthesizer.clone(tone(), "Hello."), seed=1, max_frames=12).samples


def test_it_speaks_and_what_is_saved_in_our_layout_says_the_same(published, tmp_path):
    loaded = parlando.load(published)
    assert loaded.model.name == "CosyVoice2-0.5B"
    assert len(samples := spoken(loaded)) == 12 * 960
    save_model(loaded.model, tmp_path / "own")
    assert np.abs(spoken(parlando.load(tmp_path / "own")) - samples).max() < 1e-6
    assert not (published / EXECUTED).exists()


def test_a_prefix_before_the_vocoders_keys_changes_nothing(published, tmp_path):
    plain, prefixed = (load_published(folder, sizes=SIZES).parts.hift.state_dict() for folder in (
        published, write_published(tmp_path / "prefixed", prefix="generator.")
    ))  # fmt: skip
    assert all(torch.equal(plain[key], tensor) for key, tensor in prefixed.items())


def test_preset_speakers_and_saved_prompts_are_its_voices_in_both_layouts(copy, tmp_path):
    draws = torch.Generator().manual_seed(0)
    prompt = {
        "prompt_text": torch.tensor([[72, 101]], dtype=torch.int32),
        "prompt_text_len": torch.tensor([2]),
        "llm_prompt_speech_token": torch.zeros(1, 5, dtype=torch.int32),
        "flow_prompt_speech_token": torch.arange(5, dtype=torch.int32)[None],
        "prompt_speech_feat": torch.randn(1, 10, 80, generator=draws),
        "llm_embedding": torch.randn(1, 16, generator=draws),
        "flow_embedding": torch.randn(1, 16, generator=draws),
    }
    torch.save({"中文女": {"embedding": prompt["llm_embedding"]}, "me": prompt}, copy / "spk2info.pt")
    synthesizer = parlando.load(copy)
    assert list(synthesizer.voices) == ["中文女", "me"]
    assert synthesizer.voices["me"].references[0].text
    assert voices_of(copy)[0].keys() == synthesizer.voices.keys()
    assert voices_of(copy)[1] == synthesizer.model.default_voice == "中文女"
    save_model(synthesizer.model, tmp_path / "own")
    assert voices_of(tmp_path / "own")[0].keys() == synthesizer.voices.keys()
    for name in ("中文女", "me"):
        own = parlando.load(tmp_path / "own")
        assert np.abs(spoken(own, name) - spoken(parlando.load(copy), name)).max() < 1e-6


def test_a_speaker_saved_through_the_published_interface_is_found_again(copy):
    model = CosyVoice2(copy)
    recording = torch.from_numpy(tone().samples)[None]
    model.add_zero_shot_spk("Hello.", recording, "me")
    model.save_spkinfo()
    again = CosyVoice2(copy)
    assert again.list_available_spks() == ["me"]
    assert voices_of(copy)[1] == "me"
    assert next(again.inference_zero_shot(TEXT, "", "", zero_shot_spk_id="me", stream=True))["tts_speech"].numel()


def test_without_speakers_a_voice_must_be_cloned(published):
    assert voices_of(published) == ({}, "")
    with parlando.load(published) as synthesizer, pytest.raises(InputError, match="no voices of its own; clone one"):
        synthesizer.say(TEXT)


def test_the_folder_says_its_family_before_it_is_loaded(published):
    assert family_of(published) == "cosyvoice"
    entry = describe(published)
    assert (entry.name, entry.family) == ("CosyVoice2-0.5B", "cosyvoice")
    assert entry.bytes_on_disk > 100_000


@pytest.mark.parametrize("name", FAMILIES["cosyvoice"].other_files)
def test_other_generations_are_refused_by_name(tmp_path, name):
    (tmp_path / name).touch()
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match=rf"has a {name}, so it is of a generation .* not supported"):
        parlando.load(tmp_path)


@pytest.mark.parametrize(
    "name",
    ["llm.pt", "flow.pt", "hift.pt", "speech_tokenizer_v2.onnx", "campplus.onnx", "CosyVoice-BlankEN/config.json",
     "CosyVoice-BlankEN/vocab.json", "CosyVoice-BlankEN/merges.txt"],
)  # fmt: skip
def test_a_missing_file_is_named(copy, name):
    (copy / name).unlink()
    with pytest.raises(FileMissingError, match=name):
        load_model(copy)


def with_nan(tensors):
    key = next(iter(tensors))
    return tensors | {key: tensors[key] * float("nan")}


@pytest.mark.parametrize("name", ["llm.pt", "flow.pt", "hift.pt"])
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (with_nan, "not finite"),
        (lambda tensors: tensors | {"more.weight": torch.zeros(1)}, r"1 unexpected: more\.weight"),
        (lambda tensors: dict(list(tensors.items())[1:]), "1 missing: "),
        (lambda tensors: [tensors], "expected tensors by name"),
    ],
    ids=["nan", "extra", "fewer", "list"],
)
def test_damaged_weights_name_file_and_fault(copy, name, damage, message):
    torch.save(damage(torch.load(copy / name, weights_only=True)), copy / name)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_model(copy)
    assert name in str(caught.value)


class Runs:
    """What a file that is not only tensors would do when it is unpickled."""

    def __reduce__(self):
        return print, ("executed",)


@pytest.mark.parametrize("name", ["llm.pt", "flow.pt", "hift.pt", "spk2info.pt"])
def test_pickles_of_more_than_tensors_are_refused_and_not_run(copy, name, capsys):
    torch.save({"weight": Runs()}, copy / name)
    with pytest.raises(CheckpointError, match=name):
        load_model(copy)
    assert "executed" not in capsys.readouterr().out


def test_a_graph_of_another_model_is_refused(copy):
    shutil.copy(copy / "campplus.onnx", copy / "speech_tokenizer_v2.onnx")
    with pytest.raises(CheckpointError, match="not the graph of CosyVoice2's SpeechTokenizer"):
        load_model(copy)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("num_blocks: 1", "number_of_blocks: 1", "flow.encoder: unknown key 'number_of_blocks'"),
        ("lrelu_slope", "relu_slope", "hift: unknown key 'relu_slope'"),
        ("top_p: 0.7", "topp: 0.7", "llm.sampling: unknown key 'topp'"),
        ("solver: 'euler'", "solver: 'heun'", "cfm_params.solver: 'heun' is not supported"),
        ("channels: [16]", "channels: [16, 32]", "only a single level"),
        ("channels: [16]", "channels: 16", "only a single level"),
        ("mix_ratio: [5, 15]", "mix_ratio: 5", "mix_ratio: expected a list, got 5"),
        ("speech_token_size: 81", "speech_token_size: 90", "llm.speech_token_size: 90"),
        ("num_class: 1", "num_class: 2", "num_class: only 1"),
        ("vocab_size: 81", "vocab_size: many", "flow.vocab_size"),
        ("num_blocks: 1", "num_blocks: 1.5", "flow.encoder.num_layers"),
        ("!ref <tokens_a_second> * <", "!ref <tokens_a_second> / <", "no product of numbers"),
        ("!ref <speaker_numbers>", "!ref <speakers>", "<speakers> refers to a value that is not there"),
        ("llm: !new:cosyvoice.llm.llm.Qwen2LM", "lm:", "'llm' is no table of settings"),
        ("    encoder: !new", "    coder: !new", "'encoder' is no table"),
        ("hift: !new:cosyvoice.hifigan.generator.HiFTGenerator", "hift: 5\nrest:", "'hift' is no table"),
        ("__seed1: !apply:random.seed", "__seed1: !!python/object/apply:os.getcwd", "not YAML"),
        ("sample_rate: 24000", "sample_rate: [24000", "not YAML"),
        (SETTINGS[:100000], "- a list", "expected a table of settings, found list"),
    ],
)  # fmt: skip
def test_settings_that_are_not_those_of_this_model_are_named(copy, old, new, message):
    path = copy / "cosyvoice2.yaml"
    text = path.read_text() if old in path.read_text() else SETTINGS
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError, match=message):
        load_model(copy)


def test_sizes_that_do_not_fit_the_weights_are_refused(copy):
    path = copy / "cosyvoice2.yaml"
    path.write_text(path.read_text().replace("linear_units: 32", "linear_units: 64"))
    with pytest.raises(CheckpointError, match=r"flow\.pt.*misshapen"):
        load_model(copy)


def test_settings_and_defaults_are_the_published_ones(published):
    settings = read_settings(published / "cosyvoice2.yaml")
    assert settings.keys() == {"llm", "flow", "hift"}
    assert settings["hift"]["sampling_rate"] == 24_000
    flow = flow_config(settings["flow"])
    assert (flow.encoder.chunk_tokens, flow.encoder.lookahead_tokens, flow.encoder.frames_per_token) == (5, 3, 2)
    assert (flow.guidance, flow.solver_steps, flow.speaker_dim) == (0.7, 10, 16)
    backbone = lm_config_from_published({
        "vocab_size": 10, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1,
        "intermediate_size": 8, "max_position_embeddings": 99,
    })  # fmt: skip
    lm, sampling = lm_settings({}, backbone)
    assert (lm.group_text_tokens, lm.group_speech_tokens) == (5, 15)
    assert sampling == PUBLISHED_SAMPLING
    assert lm_settings({"sampling": {"tau_r": 0.25, "win_size": 9}}, backbone)[1] == SamplingOptions(
        temperature=1.0, top_k=25, top_p=0.8, repetition_window=9, repetition_limit=3
    )
