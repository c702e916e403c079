"""Folders of understanding models, and published towers of every layout that there is."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from tiny_understanding import TINY
from transformers import WhisperConfig, WhisperModel

from parlando.core.errors import CheckpointError, ConfigError
from parlando.models.understanding.network import UnderstandingNetwork
from parlando.models.understanding.tower import AudioTower
from parlando.models.understanding.weights import (
    is_understanding,
    load_network,
    load_published,
    published_config,
    save_network,
)
from parlando.nn.checkpoint import save_tensors

SIZES = {"d_model": 24, "encoder_layers": 1, "encoder_attention_heads": 3, "encoder_ffn_dim": 40}
PUBLISHED = {**SIZES, "num_mel_bins": 16, "max_source_positions": 50, "scale_embedding": False}


def publish(folder, config, prefix, projector=""):
    """A checkpoint with other tensors around the tower, as language models have."""
    tower = AudioTower(published_config_of(folder, config).tower, 16)
    tensors = {f"{prefix}{name}": tensor for name, tensor in tower.state_dict().items()}
    tensors["model.layers.0.mlp.up_proj.weight"] = torch.zeros(2, 2)
    if projector:
        tensors |= {f"{projector}weight": torch.full((16, 24), 0.5), f"{projector}bias": torch.zeros(16)}
    save_tensors(tensors, folder / "model.safetensors")
    return tower


def published_config_of(folder, config):
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return published_config(folder, TINY)


@pytest.mark.parametrize(
    ("config", "prefix", "projector", "pooled"),
    [
        ({"audio_encoder_config": PUBLISHED, "text_config": {}}, "audio_tower.", "audio_encoder_proj.linear.", True),
        ({"audio_config": PUBLISHED}, "model.audio_tower.", "", True),
        ({**PUBLISHED, "model_type": "whisper"}, "model.encoder.", "", False),
        ({**PUBLISHED, "model_type": "whisper"}, "encoder.", "", False),
    ],
)
def test_published_towers_load(config, prefix, projector, pooled, tmp_path):
    tower = publish(tmp_path / "p", config, prefix, projector)
    settings = published_config(tmp_path / "p", TINY)
    assert (settings.tower.pooled, settings.ear.hop_samples, settings.ear.num_bands) == (pooled, 160, 16)
    network = UnderstandingNetwork(settings)
    load_published(tmp_path / "p", network)
    assert all(torch.equal(network.audio_tower.state_dict()[name], each) for name, each in tower.state_dict().items())
    assert bool((network.audio_encoder_proj.linear.weight == 0.5).all()) == bool(projector)
    assert not network.audio_tower.embed_positions.weight.requires_grad


def test_a_whisper_of_transformers_loads(tmp_path):
    torch.manual_seed(0)
    decoder = {"decoder_layers": 1, "decoder_attention_heads": 3, "decoder_ffn_dim": 40, "vocab_size": 60}
    ids = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}
    whisper = WhisperModel(WhisperConfig(**PUBLISHED, **decoder, **ids)).eval()
    whisper.save_pretrained(tmp_path / "w")
    network = UnderstandingNetwork(published_config(tmp_path / "w", TINY)).eval()
    load_published(tmp_path / "w", network)
    features = torch.randn(1, 16, 100)
    expected = whisper.encoder(features).last_hidden_state
    assert torch.allclose(network.audio_tower(features, torch.tensor([100])).pooled, expected, atol=1e-5)


def test_a_network_comes_back_from_its_folder(tmp_path):
    network = UnderstandingNetwork(replace(TINY, held_out_speakers=("ann",)))
    save_network(network, tmp_path)
    assert is_understanding(tmp_path)
    again = load_network(tmp_path)
    assert again.config == network.config
    assert all(torch.equal(again.state_dict()[name], each) for name, each in network.state_dict().items())


def test_what_is_no_model_is_told(tmp_path):
    with pytest.raises(ConfigError, match="no d_model"):
        published_config_of(tmp_path / "a", {"model_type": "llama"})
    with pytest.raises(ConfigError, match="scale_embedding is not implemented"):
        published_config_of(tmp_path / "b", {**PUBLISHED, "scale_embedding": True})
    with pytest.raises(CheckpointError, match="holds no understanding model"):
        load_network(tmp_path / "a")
    publish(tmp_path / "c", {"audio_config": PUBLISHED}, "vision_tower.")
    network = UnderstandingNetwork(published_config(tmp_path / "c", TINY))
    with pytest.raises(CheckpointError, match="no tensor is named audio_tower"):
        load_published(tmp_path / "c", network)
