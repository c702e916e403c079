"""The codec interface, its choice by config, and the unified tokenizer against golden tensors."""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from parlando.core.config import from_mapping, to_mapping
from parlando.core.errors import AudioError, ConfigError
from parlando.models.higgs.parts.codec import CodecConfig, build_codec
from parlando.models.higgs.parts.codec_weights import load_published_codec
from parlando.models.higgs.parts.dac import DacConfig
from parlando.models.higgs.parts.semantic import SemanticConfig, SemanticDecoder, SemanticEncoder
from parlando.models.higgs.parts.spectral import SpectralCodec, SpectralCodecConfig
from parlando.models.higgs.parts.unified_codec import UnifiedCodec, UnifiedCodecConfig

GOLDEN = Path(__file__).resolve().parents[3] / "golden" / "higgs"


@dataclass
class Config:
    codec: CodecConfig


def parsed(table) -> CodecConfig:
    return from_mapping(Config, {"codec": table}).codec


@pytest.fixture(scope="module")
def io() -> dict[str, Tensor]:
    return load_file(GOLDEN / "codec_tiny" / "io.safetensors")


@pytest.fixture(scope="module")
def codec() -> UnifiedCodec:
    return load_published_codec(GOLDEN / "codec_tiny")


@pytest.mark.parametrize("num_samples", [19_200, 24_000, 24_480, 25_000])
def test_codes_equal_golden_for_every_kind_of_remainder(codec, io, num_samples):
    codes = codec.encode(io["wav"][None, :num_samples])[0]
    assert torch.equal(codes, io[f"codes_{num_samples}"])


def test_audio_equals_golden(codec, io):
    assert (codec.decode(io["codes_24000"][None]) - io["decoded_24000"]).abs().max() < 1e-6
    assert (codec.decode(io["random_codes"]) - io["random_decoded"][:, 0]).abs().max() < 1e-6


def test_a_worker_process_gets_the_same_codec(codec, io):
    sent = pickle.loads(pickle.dumps(codec))
    assert torch.equal(sent.encode(io["wav"][None, :24_000])[0], io["codes_24000"])
    assert not any(parameter.requires_grad for parameter in sent.semantic_model.parameters())
    assert not sent.training


def test_fewer_codebooks_decode_too(codec, io):
    assert codec.decode(io["random_codes"][:, :3]).shape == (2, 17 * 960)


def test_the_original_rule_pads_by_320_where_the_counts_differ(codec, io):
    original = build_codec(replace(codec.config, padding="original"))
    original.load_state_dict(codec.state_dict())
    uneven, even = io["wav"][None, :24_480], io["wav"][None, :25_000]
    expected = original.acoustic_encoder(functional.pad(uneven, (320, 320))[:, None])
    assert torch.equal(original.acoustic_latents(uneven, 26), expected)
    assert original.encode(uneven).shape == (1, 8, 26)
    assert not torch.equal(original.encode(uneven), codec.encode(uneven))
    assert torch.equal(original.encode(even), codec.encode(even))


def test_a_remaining_difference_cuts_the_longer_branch(codec, io, monkeypatch):
    full = codec.acoustic_latents
    monkeypatch.setattr(codec, "acoustic_latents", lambda wave, frames: full(wave, frames)[..., :-2])
    assert codec.encode(io["wav"][None, :24_000]).shape == (1, 8, 23)


def test_frame_counts_follow_the_published_formulas():
    with torch.device("meta"):
        codec = UnifiedCodec(UnifiedCodecConfig())
    for num_samples in [*range(119, 2_000, 7), 24_000, 24_119, 24_118, 24_631, 24_632, 1_234_567]:
        assert codec.num_frames(num_samples) == (num_samples + 841) // 960
        assert codec.acoustic_encoder.num_frames(num_samples) == (num_samples + 328) // 960
    assert codec.num_frames(118) == 0


def test_a_clip_of_one_frame_encodes_and_a_shorter_one_says_so(codec, io):
    assert codec.encode(io["wav"][None, :119]).shape == (1, 8, 1)
    with pytest.raises(AudioError, match=r"118 samples is too short"):
        codec.encode(io["wav"][None, :118])


def test_the_published_size_has_exactly_the_published_tensors():
    with torch.device("meta"):
        codec = build_codec(UnifiedCodecConfig())
    shapes = {key: list(tensor.shape) for key, tensor in codec.state_dict().items()}
    assert shapes == json.loads((GOLDEN / "manifest_codec_transformers_layout.json").read_text())
    assert (codec.sample_rate, codec.samples_per_frame, codec.num_codebooks, codec.codebook_size) == (
        24_000,
        960,
        8,
        1024,
    )
    assert (codec.past_frames, codec.future_frames) == (10, 10)


def test_the_semantic_blocks_convolve_last_in_the_encoder_and_first_in_the_decoder():
    encoder, decoder = SemanticEncoder(1, SemanticConfig()), SemanticDecoder(1, SemanticConfig())
    for module in (*encoder.modules(), *decoder.modules()):
        if isinstance(module, nn.Conv1d):
            nn.init.dirac_(module.weight)
            if module.bias is not None:
                nn.init.constant_(module.bias, 0.5)
    x = torch.tensor([[[0.25, 1.0, 3.0]]])
    assert torch.allclose(encoder(x), (4 * x + 0.5) * 4 + 0.5)
    assert torch.allclose(decoder(x), ((x + 0.5) * 4 + 0.5) * 4)
    assert encoder(-x).lt(0.5).all()


def test_kind_chooses_the_codec_and_the_config_comes_back():
    light = build_codec(parsed({"kind": "spectral", "num_codebooks": 2}))
    assert isinstance(light, SpectralCodec)
    assert light.num_codebooks == 2
    assert not light.training
    assert parsed(to_mapping(light.config)) == SpectralCodecConfig(num_codebooks=2)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, r"codec\.kind: None is not one of 'dac', 'spectral'"),
        ({"kind": "mp3"}, r"'mp3' is not one of"),
        ({"kind": "dac", "codebook_sise": 5}, r"codec: unknown key 'codebook_sise'. Did you mean 'codebook_size'"),
        ({"kind": "dac", "acoustic": {"ratios": [2, 2]}}, r"teacher is slower"),
        ({"kind": "dac", "acoustic": {"ratios": [8, 1]}}, r"at least 2, got \[8, 1\]"),
        ({"kind": "dac", "padding": "both"}, r"'both' is not one of"),
    ],
)
def test_a_wrong_table_is_a_config_error(table, message):
    with pytest.raises(ConfigError, match=message):
        parsed(table)


def test_a_config_survives_json(codec):
    assert parsed(json.loads(json.dumps(to_mapping(codec.config)))) == codec.config
    assert codec.config.acoustic == DacConfig(4, 64, 32)
