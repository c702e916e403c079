"""HuBERT features against the published implementation at a tiny size."""

from __future__ import annotations

import pytest
import torch

from parlando.models.higgs.parts.hubert import Hubert, HubertConfig

TINY = HubertConfig(
    hidden_size=16,
    num_layers=3,
    num_heads=4,
    intermediate_size=24,
    conv_channels=(8,) * 7,
    position_kernel=6,
    position_groups=2,
)


def _published(config: HubertConfig) -> torch.nn.Module:
    transformers = pytest.importorskip("transformers")
    settings = transformers.HubertConfig(
        hidden_size=config.hidden_size,
        num_hidden_layers=config.num_layers,
        num_attention_heads=config.num_heads,
        intermediate_size=config.intermediate_size,
        conv_dim=list(config.conv_channels),
        num_conv_pos_embeddings=config.position_kernel,
        num_conv_pos_embedding_groups=config.position_groups,
        mask_time_prob=0.0,
    )
    return transformers.HubertModel(settings).eval()


@pytest.mark.parametrize("position_kernel", [6, 7])
def test_features_are_the_mean_of_all_hidden_states(position_kernel):
    torch.manual_seed(0)
    config = HubertConfig(**{**vars(TINY), "position_kernel": position_kernel})
    published, ours = _published(config), Hubert(config).eval()
    ours.load_state_dict(published.state_dict())
    wave = torch.randn(2, 4_000)
    with torch.inference_mode():
        states = published(wave, output_hidden_states=True).hidden_states
        features = ours(wave)
    assert len(states) == 4
    assert (features - torch.stack(states).mean(0)).abs().max() < 1e-5
    assert features.shape[1] == ours.num_frames(4_000) == 12


def test_frames_are_320_samples_apart():
    model = Hubert(TINY)
    assert HubertConfig().samples_per_frame == 320
    assert [model.num_frames(n) for n in (399, 400, 719, 720, 16_000)] == [0, 1, 1, 2, 49]
