"""CAM++: embeddings equal to golden ones, its segments, and clips that cannot serve."""

from __future__ import annotations

import pytest
import torch

from cosyvoice_front import golden, small_campplus
from parlando.core.config import from_mapping, to_mapping
from parlando.core.errors import AudioError, ConfigError
from parlando.models.cosyvoice.parts.campplus import CampPlus, CampPlusConfig, ContextMask
from parlando.nn.checkpoint import SkipInitialisation


@pytest.fixture(scope="module")
def campplus():
    return small_campplus()


def test_the_embedding_equals_golden(campplus):
    io = golden("frontend_io")
    expected = io["campplus_embedding"]
    assert (campplus(io["fbank_80"][None]) - expected).abs().max() < 1e-4
    assert (campplus.embed(io["wav_16k"]) - expected[0]).abs().max() < 1e-4


def test_a_batch_gives_what_its_clips_give_alone(campplus):
    fbank = golden("frontend_io")["fbank_80"]
    clips = torch.stack((fbank[:150], fbank[40:190]))
    together = campplus(clips)
    assert (together - torch.cat([campplus(clip[None]) for clip in clips])).abs().max() < 1e-4


def test_the_published_size_has_937_tensors():
    with torch.device("meta"), SkipInitialisation():
        encoder = CampPlus(CampPlusConfig())
    state = encoder.state_dict()
    assert (len(state), sum(tensor.numel() for tensor in state.values())) == (937, 6_930_842)
    assert sum(parameter.numel() for parameter in encoder.parameters()) == 6_848_544


@pytest.mark.parametrize("frames", [99, 100, 101, 250])
def test_a_mask_sees_the_clip_and_the_segment_of_a_frame(frames):
    config = CampPlusConfig(growth=2)
    mask = ContextMask(4, config, block=1)
    for layer in (mask.linear1, mask.linear2):
        torch.nn.init.constant_(layer.weight, 0.25)
        torch.nn.init.zeros_(layer.bias)
    torch.nn.init.dirac_(mask.linear_local.weight)
    x = torch.rand(1, 4, frames)
    segments = torch.cat([part.mean(-1, keepdim=True).expand_as(part) for part in x.split(100, dim=-1)], dim=-1)
    context = x.mean(-1, keepdim=True) + segments
    expected = torch.sigmoid(0.5 * context.mean(1, keepdim=True)) * x[:, :2]
    assert torch.allclose(mask(x), expected, atol=1e-6)


def test_an_embedding_leaves_the_weights_as_they_were(campplus):
    before = {key: tensor.clone() for key, tensor in campplus.state_dict().items()}
    campplus.embed(golden("frontend_io")["wav_16k"])
    assert all(torch.equal(before[key], tensor) for key, tensor in campplus.state_dict().items())


@pytest.mark.parametrize(
    ("wave", "message"),
    [
        (torch.full((16_000,), float("inf")), "not a number or infinite"),
        (torch.zeros(16_000), "it is silent"),
        (torch.randn(600), "at least a second of speech"),
        (torch.randn(300), "are too short"),
    ],
)
def test_clips_that_cannot_serve_say_why(campplus, wave, message):
    with pytest.raises(AudioError, match=message):
        campplus.embed(wave)


def test_a_config_survives_plain_data_and_a_wrong_one_is_an_error():
    config = CampPlusConfig(layers=(2, 1), kernels=(3, 3), dilations=(1, 2), growth=4)
    assert from_mapping(CampPlusConfig, to_mapping(config)) == config
    assert CampPlus(config).eval()(torch.randn(1, 30, 80)).shape == (1, 192)
    with pytest.raises(ConfigError, match="equally many"):
        CampPlusConfig(layers=(2, 1))
    with pytest.raises(ConfigError, match="84 bands are not a multiple of 8"):
        from_mapping(CampPlusConfig, {"fbank": {"num_bands": 84}})
