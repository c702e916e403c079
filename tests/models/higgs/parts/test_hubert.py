"""HuBERT features against the published implementation at a tiny size."""

from __future__ import annotations

import pytest
import torch

from hubert_published import LARGE, TINY_HUBERT, published_hubert
from parlando.models.higgs.parts.hubert import Hubert, HubertConfig


@pytest.mark.parametrize(
    "change",
    [{}, {"position_kernel": 7}, LARGE],
    ids=["base", "odd kernel", "large"],
)
def test_features_are_the_mean_of_all_hidden_states(change):
    torch.manual_seed(0)
    config = HubertConfig(**{**vars(TINY_HUBERT), **change})
    published, ours = published_hubert(config), Hubert(config).eval()
    ours.load_state_dict(published.state_dict())
    wave = torch.randn(2, 4_000)
    with torch.inference_mode():
        states = published(wave, output_hidden_states=True).hidden_states
        features = ours(wave)
    assert len(states) == 4
    assert (features - torch.stack(states).mean(0)).abs().max() < 1e-5
    assert features.shape[1] == ours.num_frames(4_000) == 12


def test_frames_are_320_samples_apart():
    model = Hubert(TINY_HUBERT)
    assert HubertConfig().samples_per_frame == 320
    assert [model.num_frames(n) for n in (399, 400, 719, 720, 16_000)] == [0, 1, 1, 2, 49]
