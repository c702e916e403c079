"""Lengths and the reach of the DAC decoder, and the arithmetic they rest on."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from parlando.models.higgs.parts.dac import DacConfig, DacDecoder, DacEncoder
from parlando.nn.conv import downsampling_conv, input_span, output_length, receptive_field, same_conv, upsampling_conv
from parlando.nn.snake import Snake

CONFIGS = [DacConfig(2, 32, 3), DacConfig(2, 16, 3, (4, 3)), DacConfig(2, 8, 3, (3,)), DacConfig(2, 8, 3, (2, 5))]


def test_snake_is_the_published_formula():
    snake = Snake(2)
    snake.alpha.data = torch.tensor([1.0, 2.0]).view(1, 2, 1)
    x = torch.tensor([[[0.5], [0.5]]])
    assert torch.allclose(snake(x).flatten(), torch.tensor([0.5 + 0.22984885, 0.5 + 0.70807342 / 2]), atol=1e-6)


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("num_frames", [1, 2, 7])
def test_a_frame_is_exactly_its_samples(config, num_frames):
    wave = DacDecoder(config)(torch.randn(2, 3, num_frames))
    assert wave.shape == (2, 1, num_frames * config.samples_per_frame)


@pytest.mark.parametrize("num_samples", [632, 1_591, 1_592, 5_000])
def test_the_encoder_predicts_its_length(num_samples):
    encoder = DacEncoder(CONFIGS[0])
    assert encoder(torch.randn(1, 1, num_samples)).shape[2] == encoder.num_frames(num_samples)
    assert encoder.num_frames(631) == 0


@pytest.mark.parametrize("config", CONFIGS)
def test_the_reach_is_exact(config):
    torch.manual_seed(0)
    decoder = DacDecoder(config).double()
    past, future = decoder.context()
    length, changed = past + future + 5, future + 2
    latents = torch.randn(1, 3, length, dtype=torch.float64)
    other = latents.clone()
    other[..., changed] += 10.0
    difference = (decoder(latents) - decoder(other)).view(length, -1).abs().amax(dim=1)
    touched = difference.nonzero().flatten()
    assert touched[0] == changed - future
    assert touched[-1] == changed + past


def test_the_published_ratios_reach_ten_frames():
    with torch.device("meta"):
        assert DacDecoder(DacConfig()).context() == (10, 10)


@pytest.mark.parametrize(
    "layer",
    [same_conv(1, 1, 7, 3), downsampling_conv(1, 1, 5), upsampling_conv(1, 1, 5), nn.Conv1d(1, 1, 4, 3, 2, 2)],
)
def test_spans_are_where_the_gradient_is(layer):
    wave = torch.randn(1, 1, 40, requires_grad=True)
    out = layer(wave)
    first, last = out.shape[2] // 2, out.shape[2] // 2 + 2
    out[..., first : last + 1].sum().backward()
    reached = wave.grad.flatten().nonzero().flatten()
    assert (reached[0].item(), reached[-1].item()) == input_span(layer, first, last)


def test_lengths_of_a_chain():
    chain = [nn.Conv1d(1, 1, 10, 5), nn.Conv1d(1, 1, 3, 2), nn.Conv1d(1, 1, 3, 1, 1, 2)]
    assert output_length(chain, 400) == nn.Sequential(*chain)(torch.zeros(1, 1, 400)).shape[2]
    assert output_length(chain, 12) == 0
    assert receptive_field([same_conv(1, 1, 3), same_conv(1, 1, 5)], 1) == (3, 3)
