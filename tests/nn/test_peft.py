"""Adapters in peft's layout: written and read, and the same logits as peft's own on the model of `transformers`."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from higgs_published import write_published_lm
from parlando.core.errors import CheckpointError, FileMissingError
from parlando.models.cosyvoice.lm_weights import ADAPTER_NAMES as COSYVOICE_NAMES
from parlando.models.higgs.lm_weights import ADAPTER_NAMES, load_published_lm, to_published_layout
from parlando.nn.lora import LoRAConfig, adapt, adapted_layers
from parlando.nn.peft import CONFIG_FILE, WEIGHTS_FILE, AdapterFolder, read_adapter, write_adapter

CONFIG = LoRAConfig(3, 12.0, 0.1, ("q_proj", "o_proj", "audio_mlp.*", "mlp.up_proj"), ("embed_audio_tokens",))


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return write_published_lm(tmp_path_factory.mktemp("published"), "transformers")


@pytest.fixture
def saved(published, tmp_path):
    """An adapted model, and where its adapter is."""
    lm = load_published_lm(published)
    adapt(lm, CONFIG)
    torch.manual_seed(5)
    with torch.no_grad():
        for layer in adapted_layers(lm).values():
            layer.lora_B.weight.normal_()
        lm.embed_audio_tokens.weight.normal_(std=0.02)
    return lm, write_adapter(lm, CONFIG, tmp_path / "adapter", ADAPTER_NAMES, "some/base")


def positions(lm):
    """A row of text, then audio."""
    torch.manual_seed(6)
    tokens, codes = torch.randint(250, (1, 12)), torch.randint(66, (1, 12, 8))
    is_audio = torch.arange(12)[None] >= 7
    return torch.where(is_audio, lm.config.audio_out_id, tokens), codes, is_audio


def logits(lm):
    with torch.no_grad():
        return lm.audio_logits(lm(*positions(lm)))


def test_it_is_written_under_the_published_names(saved):
    _, folder = saved
    config, tensors = json.loads((folder / CONFIG_FILE).read_text()), load_file(folder / WEIGHTS_FILE)
    assert (config["peft_type"], config["r"], config["lora_alpha"]) == ("LORA", 3, 12.0)
    assert config["base_model_name_or_path"] == "some/base"
    assert config["target_modules"] == [
        *("audio_mlp.down_proj", "audio_mlp.gate_proj", "audio_mlp.up_proj"),
        *("mlp.up_proj", "self_attn.o_proj", "self_attn.q_proj"),
    ]
    assert config["modules_to_save"] == ["model.embed_audio_tokens.embed_audio_tokens"]
    assert len(tensors) == 2 * 6 * 2 + 1
    assert tensors["base_model.model.model.layers.1.audio_mlp.down_proj.lora_A.weight"].shape == (3, 48)
    assert tensors["base_model.model.model.embed_audio_tokens.embed_audio_tokens.weight"].shape == (8 * 66, 32)


def test_layers_that_are_not_everywhere_are_named_whole(published, tmp_path):
    lm, config = load_published_lm(published), LoRAConfig(1, targets=("layers.1.self_attn.q_proj", "audio_lm_head"))
    adapt(lm, config)
    write_adapter(lm, config, tmp_path / "a", ADAPTER_NAMES, "")
    targets = json.loads((tmp_path / "a" / CONFIG_FILE).read_text())["target_modules"]
    assert targets == ["audio_lm_head", "model.layers.1.self_attn.q_proj"]


@pytest.mark.parametrize("merged", [True, False])
def test_read_again_it_gives_the_same_logits(published, saved, merged):
    lm, folder = saved
    again = AdapterFolder(folder, merged).given_to(load_published_lm(published), ADAPTER_NAMES)
    assert len(adapted_layers(again)) == (0 if merged else 12)
    torch.testing.assert_close(logits(again), logits(lm.eval()), rtol=1e-5, atol=1e-5)
    assert not torch.allclose(logits(again), logits(load_published_lm(published)), atol=1e-2)


@pytest.mark.parametrize(
    ("changes", "scale"),
    [
        ({}, 12 / 3),
        ({"use_rslora": True}, 12 / 3**0.5),
        ({"alpha_pattern": {"o_proj": 6}}, 6 / 3),
        ({"alpha_pattern": {r"layers\.0\.self_attn\.o_proj": 6}}, 6 / 3),
        ({"rank_pattern": {"self_attn.o_proj": 6}}, 12 / 6),
        ({"alpha_pattern": {"proj": 6}}, 12 / 3),
    ],
)
def test_peft_s_ways_to_scale_are_understood(saved, changes, scale):
    _, folder = saved
    write_changed(folder, changes)
    assert read_adapter(folder, ADAPTER_NAMES).scales["layers.0.self_attn.o_proj"] == pytest.approx(scale)


def write_changed(folder, changes):
    config = json.loads((folder / CONFIG_FILE).read_text())
    (folder / CONFIG_FILE).write_text(json.dumps({**config, **changes}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"peft_type": "IA3"}, "peft_type IA3 is not supported"),
        ({"use_dora": True}, "use_dora is not supported"),
        ({"bias": "all"}, "bias 'all' is not supported"),
        ({"init_lora_weights": "pissa_niter_4"}, "init_lora_weights 'pissa_niter_4' is not supported"),
    ],
)
def test_what_is_not_computed_here_is_refused(published, saved, changes, message):
    _, folder = saved
    write_changed(folder, changes)
    with pytest.raises(CheckpointError, match=rf"adapter_config\.json: {message}"):
        AdapterFolder(folder).given_to(load_published_lm(published), ADAPTER_NAMES)


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        (
            "model.layers.9.self_attn.q_proj.lora_A.weight",
            torch.ones(3, 32),
            r"no layer 'layers\.9\.self_attn\.q_proj'",
        ),
        (
            "model.layers.0.self_attn.q_proj.lora_A.weight",
            torch.ones(3, 31),
            r"'layers\.0\.self_attn\.q_proj' does not fit",
        ),
        (
            "model.layers.0.self_attn.k_proj.lora_A.weight",
            torch.ones(3, 32),
            r"'layers\.0\.self_attn\.k_proj' does not fit",
        ),
        ("model.new.weight", torch.ones(3), "'new.weight' is not of this model"),
        ("model.embed_tokens.weight", torch.ones(3, 32), "'embed_tokens.weight' is not of this model"),
    ],
)
def test_an_adapter_of_another_model_is_refused(published, saved, name, tensor, message):
    _, folder = saved
    save_file({**load_file(folder / WEIGHTS_FILE), f"base_model.model.{name}": tensor}, folder / WEIGHTS_FILE)
    with pytest.raises(CheckpointError, match=message):
        AdapterFolder(folder).given_to(load_published_lm(published), ADAPTER_NAMES)


def test_a_folder_without_an_adapter_is_named(published, tmp_path):
    with pytest.raises(FileMissingError, match="adapter_config.json"):
        AdapterFolder(tmp_path).given_to(load_published_lm(published), ADAPTER_NAMES)


def test_two_adapters_do_not_lie_on_each_other_unmerged(published, saved):
    _, folder = saved
    lm = AdapterFolder(folder, merged=False).given_to(load_published_lm(published), ADAPTER_NAMES)
    with pytest.raises(CheckpointError, match="has an adapter already"):
        AdapterFolder(folder).given_to(lm, ADAPTER_NAMES)


def test_cosyvoice_s_names_are_those_of_its_backbone_alone_or_within_the_whole_model():
    own = {f"layers.0.self_attn.q_proj.lora_{part}.weight": torch.ones(1) for part in "AB"}
    theirs = {name: f"model.{name}" for name in own}
    assert set(COSYVOICE_NAMES.published(own)) == set(theirs.values())
    for prefix in ("", "llm.model."):
        assert set(COSYVOICE_NAMES.own({prefix + name: own[key] for key, name in theirs.items()})) == set(own)
    others = {"speech_head.lora_A.weight": torch.ones(1), "embed_marks.weight": torch.ones(1)}
    assert set(COSYVOICE_NAMES.own(COSYVOICE_NAMES.published(others))) == set(others)


@pytest.fixture
def peers(published):
    """The model of `transformers` with our tensors, and peft."""
    peft, transformers = pytest.importorskip("peft"), pytest.importorskip("transformers")
    config = transformers.HiggsAudioV2Config.from_pretrained(published)
    model = transformers.HiggsAudioV2ForConditionalGeneration(config, use_text_head=True).eval()
    model.load_state_dict(to_published_layout(load_published_lm(published).state_dict(), "transformers"))
    return peft, model


def their_logits(model, lm):
    tokens, codes, is_audio = positions(lm)
    audio = codes[is_audio][None]
    with torch.no_grad():
        found = model(input_ids=tokens, audio_input_ids=audio, audio_input_ids_mask=torch.ones(audio.shape[:2]).bool())
    return found.logits.view(1, 12, 8, 66)


@pytest.mark.slow
def test_peft_reads_ours_onto_the_model_of_transformers(peers, saved):
    peft, model = peers
    lm, folder = saved
    theirs = peft.PeftModel.from_pretrained(model, str(folder))
    torch.testing.assert_close(their_logits(theirs, lm), logits(lm.eval()), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_ours_reads_peft_s(peers, published, tmp_path):
    peft, model = peers
    config = peft.LoraConfig(
        r=2, lora_alpha=5, target_modules=["q_proj", "v_proj", "down_proj", "audio_lm_head"], use_rslora=True
    )
    theirs = peft.get_peft_model(model, config)
    torch.manual_seed(7)
    for name, parameter in theirs.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(parameter, std=0.1)
    theirs.save_pretrained(str(tmp_path / "theirs"))
    lm = AdapterFolder(tmp_path / "theirs").given_to(load_published_lm(published), ADAPTER_NAMES)
    torch.testing.assert_close(logits(lm), their_logits(theirs.eval(), lm), rtol=1e-5, atol=1e-5)
