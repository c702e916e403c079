"""Checkpoints of the LM: both published layouts, shards, split tables, and errors that name what is wrong."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from parlando.core.errors import CheckpointError, ConfigError, FileMissingError
from parlando.core.types import Prompt
from parlando.models.higgs.lm_inference import HiggsTokenLM
from parlando.models.higgs.lm_weights import (
    LM_FILE,
    empty_lm,
    load_lm,
    load_published_lm,
    save_lm,
    to_own_layout,
    to_published_layout,
)
from parlando.models.higgs.published import lm_config_from_transformers
from parlando.nn.rope import RopeConfig

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "higgs"
TINY = GOLDEN / "lm_tiny"
TRANSFORMERS = load_file(TINY / "model.safetensors")
ORIGINAL = load_file(TINY / "original_layout.safetensors")

ORIGINAL_CONFIG = {
    "model_type": "higgs_audio",
    "audio_adapter_type": "dual_ffn_fast_forward",
    "audio_dual_ffn_layers": [0, 1, 2],
    "audio_num_codebooks": 8,
    "audio_codebook_size": 16,
    "audio_stream_bos_id": 16,
    "audio_stream_eos_id": 17,
    "audio_in_token_idx": 197,
    "audio_out_token_idx": 198,
    "audio_out_bos_token_id": 196,
    "audio_bos_token_id": 191,
    "audio_eos_token_id": 195,
    "eot_token_id": 189,
    "pad_token_id": 190,
    "text_config": {
        "vocab_size": 200,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 131072,
        "rms_norm_eps": 1e-5,
        "rope_theta": 500000.0,
        "rope_scaling": {
            "factor": 32.0,
            "high_freq_factor": 4.0,
            "low_freq_factor": 1.0,
            "original_max_position_embeddings": 8192,
            "rope_type": "llama3",
        },
    },
}


def folder_with(folder: Path, tensors: dict[str, torch.Tensor], config: dict | None = None) -> Path:
    folder.mkdir(exist_ok=True)
    config = json.loads((TINY / "config.json").read_text()) if config is None else config
    (folder / "config.json").write_text(json.dumps(config))
    save_file(tensors, folder / "model.safetensors")
    return folder


def assert_same_weights(lm: torch.nn.Module) -> None:
    expected = to_own_layout(TRANSFORMERS)
    assert lm.state_dict().keys() == expected.keys()
    assert all(torch.equal(value, expected[key]) for key, value in lm.state_dict().items())


def test_both_published_layouts_load_to_the_same_weights(tmp_path):
    assert_same_weights(load_published_lm(TINY))
    original = load_published_lm(folder_with(tmp_path, ORIGINAL, ORIGINAL_CONFIG))
    assert_same_weights(original)
    assert original.config.rope == RopeConfig(500000.0, 32.0, 1.0, 4.0, 8192)


def test_original_layout_gives_the_reference_logits(tmp_path):
    lm = load_published_lm(folder_with(tmp_path, ORIGINAL, ORIGINAL_CONFIG))
    assert lm.config.context_length == 131072
    io = load_file(TINY / "io.safetensors")
    tokens, mask = io["input_ids"][0], torch.isin(io["input_ids"][0], torch.tensor([194, 198]))
    prompt = Prompt(tuple(tokens.tolist()), mask.numpy(), io["delayed_codes"].T.contiguous().numpy())
    token_lm = HiggsTokenLM(lm)
    logits = token_lm.prefill(prompt, token_lm.new_cache(1, 40), 0)
    torch.testing.assert_close(logits.audio, io["audio_logits"][0, -1], atol=1e-4, rtol=0)
    torch.testing.assert_close(logits.text, io["text_logits"][0, -1], atol=1e-4, rtol=0)


def test_layout_conversions_are_inverse_and_complete():
    own = to_own_layout(TRANSFORMERS)
    assert to_published_layout(own, "transformers").keys() == TRANSFORMERS.keys()
    assert to_published_layout(own, "original").keys() == ORIGINAL.keys()
    assert to_own_layout(to_published_layout(own, "original")).keys() == own.keys()


def test_3b_model_has_exactly_the_published_keys_and_shapes():
    manifest = json.loads((GOLDEN / "manifest_lm_3b_transformers_layout.json").read_text())
    config = lm_config_from_transformers(
        {
            "vocab_size": 128256,
            "hidden_size": 3072,
            "intermediate_size": 8192,
            "num_hidden_layers": 28,
            "num_attention_heads": 24,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "max_position_embeddings": 2048,
            "rms_norm_eps": 1e-5,
            "eos_token_id": 128009,
            "pad_token_id": 128001,
            "num_codebooks": 8,
            "codebook_size": 1026,
            "audio_token_id": 128016,
            "audio_bos_token_id": 128013,
            "audio_delay_token_id": 128014,
        }
    )
    state = to_published_layout(empty_lm(config).state_dict(), "transformers")
    assert {key: list(tensor.shape) for key, tensor in state.items()} == manifest
    assert sum(tensor.numel() for tensor in state.values()) == 5_771_283_456
    assert (config.audio_in_id, config.audio_bos_id, config.audio_eos_id) == (128015, 128011, 128012)


def test_own_layout_round_trip_after_packing(tmp_path):
    lm = load_published_lm(TINY)
    HiggsTokenLM(lm)
    assert save_lm(lm, tmp_path) == tmp_path / LM_FILE
    assert_same_weights(load_lm(tmp_path, lm.config))


def test_shards_load_as_one(tmp_path):
    folder = folder_with(tmp_path, {})
    (folder / "model.safetensors").unlink()
    keys = sorted(TRANSFORMERS)
    places = {key: f"model-0000{1 + index % 2}-of-00002.safetensors" for index, key in enumerate(keys)}
    for name in set(places.values()):
        save_file({key: TRANSFORMERS[key] for key in keys if places[key] == name}, folder / name)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": places}))
    assert_same_weights(load_published_lm(folder))
    index.write_text(json.dumps({"weight_map": places | {"norm.extra": places[keys[0]]}}))
    with pytest.raises(CheckpointError, match=r"shards lack norm\.extra"):
        load_published_lm(folder)
    (folder / places[keys[0]]).unlink()
    with pytest.raises(FileMissingError, match="00001-of-00002"):
        load_published_lm(folder)
    index.write_text(json.dumps({"weight_map": {"a": "../elsewhere.safetensors"}}))
    with pytest.raises(CheckpointError, match="file of this folder"):
        load_published_lm(folder)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pth"])
def test_pickled_state_dicts_load(tmp_path, name):
    shutil.copy(TINY / "config.json", tmp_path)
    torch.save(TRANSFORMERS, tmp_path / name)
    assert_same_weights(load_published_lm(tmp_path))


def test_split_tables_and_buffers_of_training_are_understood(tmp_path):
    tensors = dict(ORIGINAL)
    for stem, half in (
        ("embed_tokens", "embedding"),
        ("audio_decoder_proj.text_lm_head", "linear"),
        ("audio_decoder_proj.audio_lm_head", "linear"),
    ):
        whole = tensors.pop(f"{stem}.weight")
        tensors[f"{stem}.{half}_frozen.weight"] = whole[:100].clone()
        tensors[f"{stem}.{half}_trainable.weight"] = whole[100:].clone()
    tensors["audio_codebook_weights"] = torch.ones(8)
    tensors["layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(8)
    assert_same_weights(load_published_lm(folder_with(tmp_path, tensors, ORIGINAL_CONFIG)))
    del tensors["embed_tokens.embedding_trainable.weight"]
    with pytest.raises(CheckpointError, match="'embed_tokens' is split and only its frozen half"):
        to_own_layout(tensors)


def test_aliases_must_agree():
    head = ORIGINAL["audio_decoder_proj.text_lm_head.weight"]
    assert to_own_layout(ORIGINAL | {"text_lm_head.weight": head}).keys() == to_own_layout(ORIGINAL).keys()
    with pytest.raises(CheckpointError, match=r"both 'text_lm_head\.weight'"):
        to_own_layout(ORIGINAL | {"text_lm_head.weight": head + 1})


def test_checkpoint_without_text_head_is_a_model_that_only_speaks(tmp_path):
    tensors = {key: value for key, value in TRANSFORMERS.items() if key != "text_lm_head.weight"}
    lm = load_published_lm(folder_with(tmp_path, tensors))
    assert not lm.config.text_head
    assert lm.text_lm_head is None


def test_faults_are_named_with_their_count(tmp_path):
    tensors = {key: value for key, value in TRANSFORMERS.items() if ".layers.1." not in key}
    tensors["model.norm.weight"] = torch.ones(65)
    tensors["model.stranger"] = torch.ones(1)
    with pytest.raises(CheckpointError) as caught:
        load_published_lm(folder_with(tmp_path, tensors))
    message = str(caught.value)
    assert "14 missing: layers.1.audio_input_layernorm.weight" in message
    assert "and 9 more" in message
    assert "1 unexpected: stranger" in message
    assert "1 misshapen: norm.weight is [65], not [64]" in message


def test_own_weights_with_nan_are_refused(tmp_path):
    lm = load_published_lm(TINY)
    with torch.no_grad():
        lm.norm.weight[3] = float("nan")
    save_lm(lm, tmp_path)
    with pytest.raises(CheckpointError, match=r"not finite: norm\.weight"):
        load_lm(tmp_path, lm.config)


def test_damaged_missing_and_foreign_files(tmp_path):
    config = load_published_lm(TINY).config
    with pytest.raises(FileMissingError, match="weights file"):
        load_lm(tmp_path, config)
    with pytest.raises(FileMissingError, match="config"):
        load_published_lm(tmp_path)
    shutil.copy(TINY / "config.json", tmp_path)
    with pytest.raises(FileMissingError, match="language model weights"):
        load_published_lm(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"not tensors at all")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_published_lm(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save([1, 2], tmp_path / "model.pth")
    with pytest.raises(CheckpointError, match="found list"):
        load_published_lm(tmp_path)


def test_config_of_another_depth_is_refused(tmp_path):
    config = json.loads((TINY / "config.json").read_text()) | {"num_hidden_layers": 2}
    with pytest.raises(CheckpointError, match="14 unexpected: layers.2"):
        load_published_lm(folder_with(tmp_path, TRANSFORMERS, config))
    with pytest.raises(ConfigError, match="num_heads"):
        replace(load_published_lm(TINY).config, num_kv_heads=3)
