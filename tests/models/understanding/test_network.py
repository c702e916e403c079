"""The network: Whisper's numbers in its tower, recordings that do not hear each other, answers that follow tokens."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_understanding import TINY
from transformers import WhisperConfig, WhisperFeatureExtractor
from transformers.models.qwen2_audio.configuration_qwen2_audio import Qwen2AudioEncoderConfig
from transformers.models.qwen2_audio.modeling_qwen2_audio import Qwen2AudioEncoder
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from parlando.models.understanding.config import EarConfig, TowerConfig
from parlando.models.understanding.ear import Ear
from parlando.models.understanding.network import UnderstandingNetwork
from parlando.models.understanding.tower import AudioTower

SIZES = {"d_model": 16, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 32}


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.fixture
def network():
    return UnderstandingNetwork(TINY).eval()


def sound(count, seed=0):
    return torch.from_numpy((0.1 * np.random.default_rng(seed).standard_normal(count)).astype(np.float32))


@pytest.mark.parametrize(
    ("kind", "config", "pooled"),
    [(WhisperEncoder, WhisperConfig, False), (Qwen2AudioEncoder, Qwen2AudioEncoderConfig, True)],
)
def test_the_tower_has_the_numbers_of_published_encoders(kind, config, pooled):
    theirs = kind(config(**SIZES, num_mel_bins=20, max_source_positions=30)).eval()
    ours = AudioTower(TowerConfig(**SIZES, max_source_positions=30, pooled=pooled), 20).eval()
    ours.load_state_dict(theirs.state_dict())
    features = torch.randn(2, 20, 60)
    heard = ours(features, torch.tensor([60, 60]))
    assert torch.allclose(heard.pooled, theirs(features).last_hidden_state, atol=1e-5)
    assert heard.num_pooled.tolist() == [15, 15] if pooled else [30, 30]


def test_fresh_positions_are_whispers():
    theirs = WhisperEncoder(WhisperConfig(**SIZES, num_mel_bins=20, max_source_positions=30))
    ours = AudioTower(TowerConfig(**SIZES, max_source_positions=30), 20)
    assert torch.allclose(ours.embed_positions.weight, theirs.embed_positions.weight, atol=1e-5)
    assert not ours.embed_positions.weight.requires_grad


def test_the_ear_hears_as_whispers_does():
    """Whisper pads with silence to its window; the loudest band of the recording sets the floor of both."""
    wave = sound(8000)
    extract = WhisperFeatureExtractor(feature_size=80, chunk_length=1)
    theirs = torch.tensor(extract(wave.numpy(), sampling_rate=16_000, return_tensors="np")["input_features"])[0]
    ear = Ear(EarConfig(16_000, 400, 160, 80))
    ours = ear(wave[None], torch.tensor([8000]))[0]
    assert torch.allclose(ours[:, :48], theirs[:, :48], atol=2e-3)


def test_recordings_of_a_batch_do_not_hear_each_other(network):
    samples = torch.tensor([9600, 16_000])
    together = torch.zeros(2, 16_000)
    together[0, :9600], together[1] = sound(9600), sound(16_000, 1)
    both = network.hear(network.ear(together, samples), network.ear.frames(samples))
    alone = network.hear(network.ear(together[:1, :9600], samples[:1]), network.ear.frames(samples[:1]))
    slots, positions = int(alone.num_slots[0]), int(alone.num_positions[0])
    assert (slots, positions) == (30, 7)
    assert torch.allclose(alone.symbols[0, :slots], both.symbols[0, :slots], atol=1e-5)
    assert torch.allclose(alone.prefix[0, :positions], both.prefix[0, :positions], atol=1e-5)
    tokens = torch.tensor([[3, 4, 5], [6, 0, 0]])
    present = torch.tensor([[True, True, True], [True, False, False]])
    logits = network.answer(both, tokens, present)
    assert logits.shape[:2] == (2, 4)
    assert torch.allclose(network.answer(both.of(0), tokens[:1], present[:1])[0], logits[0], atol=1e-5)
    assert torch.allclose(network.answer(both.of(1), tokens[1:, :1], present[1:, :1])[0], logits[1, :2], atol=1e-5)


def test_an_answer_follows_what_was_heard_and_what_was_written(network):
    samples = torch.tensor([8000, 8000])
    waves = torch.stack([sound(8000), sound(8000, 1)])
    heard = network.hear(network.ear(waves, samples), network.ear.frames(samples))
    same, present = torch.tensor([[1, 2], [1, 2]]), torch.ones(2, 2, dtype=torch.bool)
    logits = network.answer(heard, same, present)
    assert not torch.allclose(logits[0], logits[1], atol=1e-4)
    other = network.answer(heard, torch.tensor([[1, 9], [1, 9]]), present)
    assert torch.allclose(logits[:, :2], other[:, :2], atol=1e-6)
    assert not torch.allclose(logits[:, 2], other[:, 2], atol=1e-4)
