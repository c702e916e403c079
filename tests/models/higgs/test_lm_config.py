"""Configs: our own strict layout, and what is refused in the two published styles."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from parlando.core.config import from_mapping, to_mapping
from parlando.core.errors import ConfigError
from parlando.models.higgs.config import HiggsConfig, LMConfig, parse_higgs_config
from parlando.models.higgs.published import lm_config_from_original, lm_config_from_transformers
from parlando.nn.rope import RopeConfig

TINY = json.loads((Path(__file__).resolve().parents[2] / "golden/higgs/lm_tiny/config.json").read_text())

LM = {
    "vocab_size": 40,
    "hidden_size": 32,
    "num_layers": 2,
    "num_heads": 4,
    "num_kv_heads": 2,
    "head_dim": 8,
    "intermediate_size": 48,
    "num_codebooks": 3,
    "codebook_size": 10,
    "context_length": 64,
    "audio_out_id": 1,
    "audio_out_bos_id": 2,
    "eot_id": 3,
    "end_of_text_id": 4,
}
OWN = {
    "format": 1,
    "family": "higgs",
    "name": "tiny",
    "lm": LM,
    "codec": {"kind": "spectral"},
    "text": {"kind": "phonemes"},
    "default_voice": "anna",
}
ORIGINAL = {
    "audio_num_codebooks": 8,
    "text_config": {
        "vocab_size": 128256,
        "hidden_size": 3072,
        "intermediate_size": 8192,
        "num_hidden_layers": 28,
        "num_attention_heads": 24,
        "num_key_value_heads": 8,
        "max_position_embeddings": 131072,
    },
}


def test_own_config_round_trip():
    config = parse_higgs_config(OWN)
    assert parse_higgs_config(json.loads(json.dumps(to_mapping(config)))) == config
    assert config.prompt_layout == "original"
    assert (config.lm.stream_bos, config.lm.stream_eos, config.lm.table_rows) == (10, 11, 12)
    assert config.lm.placeholder_ids == {1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"formt": 1}, "unknown key 'formt'. Did you mean 'format'"),
        ({"format": 2}, "2 is not one of 1"),
        ({"family": "cosyvoice"}, "'cosyvoice' is not one of 'higgs'"),
        ({"codec": {}}, "codec.kind: None is not one of 'dac', 'spectral'"),
        ({"text": {"kind": 3}}, "text.kind: 3 is not one of 'phonemes', 'hub'"),
        ({"text": {"kind": "hub", "fonts": 1}}, "text: unknown key 'fonts'"),
        ({"expected": {"lenght": {}}}, "expected: unknown key 'lenght'. Did you mean 'length'"),
        ({"sampling": {"top_p": 1.5}}, "config.json: sampling.top_p: 1.5 is out of range"),
        ({"lm": LM | {"hiden_size": 32}}, "Did you mean 'hidden_size'"),
        ({"lm": LM | {"hidden_size": "32"}}, "expected int"),
        (
            {"lm": LM | {"num_layers": 0}},
            "lm.num_layers: 0 is out of range; use at least 1 and at most 1,024",
        ),
        ({"lm": LM | {"num_heads": 3}}, "3 is not a multiple of num_kv_heads = 2"),
        ({"lm": LM | {"head_dim": 7}}, "7 is odd"),
        ({"lm": LM | {"eot_id": 40}}, "lm.eot_id: 40 is outside the vocabulary of 40"),
        ({"lm": LM | {"delay_id": -1}}, "lm.delay_id: -1 is outside"),
    ],
)
def test_own_config_is_strict(change, message):
    with pytest.raises(ConfigError) as caught:
        parse_higgs_config(OWN | change)
    assert message in str(caught.value)


def test_missing_lm_size_is_named():
    with pytest.raises(ConfigError, match=r"config\.json\.lm: 'head_dim' is missing"):
        parse_higgs_config(OWN | {"lm": {key: value for key, value in LM.items() if key != "head_dim"}})
    assert from_mapping(LMConfig, LM) == from_mapping(HiggsConfig, OWN).lm


def test_transformers_style_counts_bos_and_eos_in_the_codebook():
    config = lm_config_from_transformers(TINY)
    assert (config.codebook_size, config.stream_bos, config.table_rows) == (16, 16, 18)
    assert config.rope == RopeConfig(500000.0, 32.0, 0.125, 0.5, 1024)
    assert (config.audio_out_id, config.audio_out_bos_id, config.delay_id, config.eot_id) == (198, 196, 194, 189)
    assert config.audio_eos_id is None, "not named by this style, and not the published vocabulary"
    assert lm_config_from_transformers(TINY | {"eos_token_id": [189, 7]}).eot_id == 189


def test_what_the_transformers_style_leaves_out_has_its_own_defaults_and_not_llamas():
    config = lm_config_from_transformers({"codebook_size": 1026})
    assert (config.hidden_size, config.num_layers, config.head_dim, config.num_kv_heads) == (3072, 28, 128, 8)
    assert config.rms_norm_eps == 1e-5
    assert config.rope == RopeConfig(500000.0, 32.0, 0.125, 0.5, 1024)
    assert (config.vocab_size, config.context_length, config.codebook_size, config.num_codebooks) == (
        128256, 2048, 1024, 8,
    )  # fmt: skip
    assert (config.audio_out_id, config.audio_out_bos_id, config.delay_id) == (128016, 128013, 128014)
    assert (config.eot_id, config.end_of_text_id) == (128009, 128001)
    plain = {"rope_parameters": {"rope_type": "default", "rope_theta": 9.0}}
    assert lm_config_from_transformers({"codebook_size": 1026, **plain}).rope == RopeConfig(9.0)


def test_original_style_has_the_published_ids_by_default():
    config = lm_config_from_original(ORIGINAL)
    assert (config.head_dim, config.codebook_size, config.num_codebooks) == (128, 1024, 8)
    assert (config.audio_in_id, config.audio_out_id, config.audio_out_bos_id) == (128015, 128016, 128013)
    assert (config.audio_bos_id, config.audio_eos_id, config.eot_id) == (128011, 128012, 128009)
    assert config.rope == RopeConfig(10000.0), "no scaling unless the config has one"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_act": "gelu"}, "hidden_act = 'gelu' is not supported; only 'silu' is"),
        ({"attention_bias": True}, "attention_bias = True"),
        ({"codebook_size": 20}, "audio_stream_bos_id = 16 is not supported; only 18 is"),
        ({"num_codebooks": None}, "config.json.num_codebooks: expected int, got None"),
        ({"rope_parameters": {"rope_type": "yarn"}}, "rope type 'yarn'"),
        ({"rope_parameters": {"rope_type": "llama3", "factor": 8.0}}, "'low_freq_factor' is missing"),
    ],
)
def test_transformers_style_refuses_what_is_not_computed(change, message):
    with pytest.raises(ConfigError) as caught:
        lm_config_from_transformers(TINY | change)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"audio_dual_ffn_layers": [0, 2]}, "audio_dual_ffn_layers = [0, 2] is not supported"),
        ({"use_audio_out_self_attention": True}, "use_audio_out_self_attention = True"),
        ({"audio_embed_avg": True}, "audio_embed_avg = True"),
        ({"audio_stream_eos_id": 1026}, "audio_stream_eos_id = 1026 is not supported; only 1025 is"),
        ({"text_config": {"vocab_size": 5}}, "text_config: 'hidden_size' is missing"),
        ({"text_config": None}, "text_config: expected the backbone's table of settings, got None"),
    ],
)
def test_original_style_refuses_what_is_not_computed(change, message):
    with pytest.raises(ConfigError) as caught:
        lm_config_from_original(ORIGINAL | change)
    assert message in str(caught.value)


@pytest.mark.parametrize("head", [{"layer": 2, "head": 0}, {"layer": 0, "head": 4}, {"layer": -1, "head": 0}])
def test_a_head_that_is_not_there_is_refused(head):
    with pytest.raises(ConfigError, match="there is no head .* the model has 2 layers of 4 heads"):
        parse_higgs_config({**OWN, "lm": {**LM, "reading_head": head}})
