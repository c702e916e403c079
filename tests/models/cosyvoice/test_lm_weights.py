"""LM configs and key layouts: the published manifest exactly, both ways, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from cosyvoice_tiny import tiny_config
from parlando.core.config import to_mapping
from parlando.core.errors import CheckpointError, ConfigError, FileMissingError
from parlando.models.cosyvoice.config import (
    PUBLISHED_SAMPLING,
    LMConfig,
    lm_config_from_published,
    parse_cosyvoice_config,
)
from parlando.models.cosyvoice.lm_weights import (
    empty_lm,
    load_lm,
    load_published_lm,
    save_lm,
    to_own_layout,
    to_published_layout,
)
from parlando.models.cosyvoice.tokenizer import HubTextConfig

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "cosyvoice"
TENSORS = load_file(GOLDEN / "llm.safetensors")
QWEN2 = {
    "vocab_size": 151936,
    "hidden_size": 896,
    "num_hidden_layers": 24,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "intermediate_size": 4864,
    "max_position_embeddings": 32768,
    "rope_theta": 1000000.0,
    "rms_norm_eps": 1e-06,
    "hidden_act": "silu",
    "use_sliding_window": False,
    "tie_word_embeddings": True,
}
SMALL = {**QWEN2, **json.loads((GOLDEN / "llm.json").read_text()), "max_position_embeddings": 256}
CONFIG = lm_config_from_published(SMALL, SMALL["speech_token_size"])


def test_full_size_model_has_exactly_the_295_published_tensors():
    manifest = json.loads((GOLDEN / "manifest_llm_full.json").read_text())
    published = to_published_layout(empty_lm(lm_config_from_published(QWEN2)).state_dict())
    assert {key: list(tensor.shape) for key, tensor in published.items()} == manifest
    assert len(published) == 295


def test_layouts_are_each_others_inverse():
    own = to_own_layout(TENSORS)
    assert own.keys() == empty_lm(CONFIG).state_dict().keys()
    again = to_published_layout(own)
    assert again.keys() == TENSORS.keys()
    assert all(torch.equal(again[key], tensor) for key, tensor in TENSORS.items())


def test_ids_of_the_published_model():
    config = lm_config_from_published(QWEN2)
    assert (config.eos, config.fill, config.table_rows) == (6561, 6563, 6564)
    assert config.stop_codes == (6561, 6562, 6563)
    assert (config.sos_id, config.task_id, config.speech_id) == (151936, 151937, 151938)
    assert (config.head_dim, config.rope.theta, config.attention.qkv_bias) == (64, 1e6, True)


def test_published_pt_file_and_our_own_folder_hold_the_same_model(tmp_path):
    torch.save(TENSORS, tmp_path / "llm.pt")
    lm = load_published_lm(tmp_path / "llm.pt", CONFIG)
    save_lm(lm, tmp_path)
    again = load_lm(tmp_path, CONFIG).state_dict()
    assert all(torch.equal(again[key], tensor) for key, tensor in lm.state_dict().items())


def test_a_checkpoint_without_the_unused_text_head_loads():
    rest = {key: tensor for key, tensor in TENSORS.items() if "lm_head" not in key}
    assert to_own_layout(rest).keys() == to_own_layout(TENSORS).keys()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"llm_decoder.bias": None}, "missing: speech_head.bias"),
        ({"extra": torch.zeros(1)}, "unexpected: extra"),
        ({"llm_embedding.weight": torch.zeros(3, 64)}, r"embed_marks.weight is \[3, 64\]"),
        ({"speech_embedding.weight": torch.full((84, 64), float("nan"))}, "not finite: speech_embedding.weight"),
        ({"llm.model.lm_head.weight": torch.full((300, 64), float("inf"))}, "not finite: llm.model.lm_head.weight"),
        ({"norm.weight": torch.zeros(64)}, "'norm.weight' is no published name"),
    ],
)
def test_tensors_that_do_not_fit_are_named(tmp_path, change, message):
    tensors = {key: tensor for key, tensor in {**TENSORS, **change}.items() if tensor is not None}
    save_file(tensors, tmp_path / "llm.safetensors")
    with pytest.raises(CheckpointError, match=message):
        load_published_lm(tmp_path / "llm.safetensors", CONFIG)


def test_a_pt_file_that_holds_more_than_tensors_is_refused(tmp_path):
    torch.save({**TENSORS, "optimizer": {"lr": 1.0}}, tmp_path / "llm.pt")
    with pytest.raises(CheckpointError, match="expected tensors by name, found 'optimizer', a dict"):
        load_published_lm(tmp_path / "llm.pt", CONFIG)
    torch.save({"path": Path("/")}, tmp_path / "llm.pt")
    with pytest.raises(CheckpointError, match="cannot be read as tensors"):
        load_published_lm(tmp_path / "llm.pt", CONFIG)
    with pytest.raises(FileMissingError):
        load_lm(tmp_path, CONFIG)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_act": "gelu"}, "hidden_act = 'gelu'"),
        ({"use_sliding_window": True}, "use_sliding_window"),
        ({"rope_scaling": {"type": "yarn"}}, "rope_scaling"),
        ({"vocab_size": None}, "vocab_size: expected int, got None"),
    ],
)
def test_other_backbones_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        lm_config_from_published({**QWEN2, **change})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_layers": 0}, "lm.num_layers: 0"),
        ({"num_kv_heads": 3}, "multiple of num_kv_heads"),
        ({"head_dim": 7}, "head_dim even"),
        ({"min_frames_per_token": 30.0}, "no range"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        replace(CONFIG, **change)


def test_config_of_a_folder_comes_back_as_it_was_and_is_strict():
    config = replace(tiny_config(), lm=CONFIG, text=HubTextConfig(), sampling=PUBLISHED_SAMPLING)
    assert config.sampling == PUBLISHED_SAMPLING
    data = json.loads(json.dumps(to_mapping(config)))
    assert parse_cosyvoice_config(data) == config
    assert isinstance(parse_cosyvoice_config(data).lm, LMConfig)
    with pytest.raises(ConfigError, match="unknown key 'flows'. Did you mean 'flow'"):
        parse_cosyvoice_config({**data, "flows": {}})
