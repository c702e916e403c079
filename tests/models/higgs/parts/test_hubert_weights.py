"""Checkpoints of HuBERT: what others wrote is read, what is written others read, and what is none is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from hubert_published import LARGE, TINY_HUBERT, published_hubert, write_hubert
from parlando.core.errors import CheckpointError, ConfigError, FileMissingError
from parlando.models.higgs.parts.hubert import Hubert
from parlando.models.higgs.parts.hubert_weights import load_hubert, read_hubert_config, save_hubert

POSITION = "encoder.pos_conv_embed.conv"
SAMPLES = 4_000


@pytest.fixture
def wave():
    return torch.randn(1, SAMPLES, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def hubert():
    torch.manual_seed(1)
    return Hubert(TINY_HUBERT).eval()


@pytest.mark.parametrize("change", [{}, LARGE], ids=["base", "large"])
def test_what_is_published_says_the_same_here(tmp_path, wave, change):
    config = replace(TINY_HUBERT, **change)
    published = published_hubert(config)
    published.save_pretrained(tmp_path)
    loaded = load_hubert(tmp_path)
    with torch.inference_mode():
        expected = torch.stack(published(wave, output_hidden_states=True).hidden_states).mean(0)
        assert (loaded(wave) - expected).abs().max() < 1e-5
    assert read_hubert_config(tmp_path) == config


def test_what_is_saved_others_read(tmp_path, hubert, wave):
    transformers = pytest.importorskip("transformers")
    mask = torch.arange(16.0)
    save_hubert(hubert, TINY_HUBERT, mask, tmp_path)
    published = transformers.HubertModel.from_pretrained(tmp_path).eval()
    with torch.inference_mode():
        states = published(wave, output_hidden_states=True).hidden_states
        assert (torch.stack(states).mean(0) - hubert(wave)).abs().max() < 1e-5
    assert torch.equal(published.masked_spec_embed, mask)
    again = load_hubert(tmp_path)
    assert all(torch.equal(tensor, hubert.state_dict()[key]) for key, tensor in again.state_dict().items())


def test_a_recogniser_made_of_it_and_older_spellings_are_read(tmp_path, hubert, wave):
    tensors = dict(hubert.state_dict())
    for index, name in enumerate(("weight_g", "weight_v")):
        tensors[f"{POSITION}.{name}"] = tensors.pop(f"{POSITION}.parametrizations.weight.original{index}")
    folder = write_hubert(tmp_path / "ctc", tensors, prefix="hubert.")
    from safetensors.torch import load_file, save_file

    save_file(
        load_file(folder / "model.safetensors") | {"lm_head.weight": torch.zeros(3, 16)}, folder / "model.safetensors"
    )
    assert torch.equal(load_hubert(folder)(wave), hubert(wave))


def test_another_size_than_its_config_is_named(tmp_path, hubert):
    folder = write_hubert(tmp_path / "other", hubert.state_dict(), replace(TINY_HUBERT, num_layers=4))
    with pytest.raises(CheckpointError, match=r"missing: encoder\.layers\.3\..* and \d+ more"):
        load_hubert(folder)


def test_what_is_no_hubert_is_refused(tmp_path, hubert):
    with pytest.raises(FileMissingError, match=r"config\.json"):
        load_hubert(tmp_path)
    folder = write_hubert(tmp_path / "other", {"embed.weight": torch.zeros(2, 2)})
    with pytest.raises(CheckpointError, match="no tensor of a HuBERT in it"):
        load_hubert(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "wavlm"}))
    with pytest.raises(ConfigError, match=r"config\.json: model_type 'wavlm' is not 'hubert'; name the folder"):
        load_hubert(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "hubert", "conv_pos_batch_norm": True}))
    with pytest.raises(ConfigError, match=r"config\.json\.conv_pos_batch_norm: True is not supported"):
        load_hubert(folder)
