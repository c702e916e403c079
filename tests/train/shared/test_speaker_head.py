"""The classifier of speakers: it learns to tell them apart, and its gradient makes its input hide them."""

import math

import pytest
import torch

from parlando.train.shared.speaker_head import SpeakerHead


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def told_by_order(batch, frames):
    """Two speakers with the same frames, in opposite orders: one frame alone says nothing."""
    speakers = torch.arange(batch) % 2
    steps = torch.arange(frames) + torch.randint(3, (batch, 1))
    directed = torch.where(speakers[:, None] == 0, steps, -steps) % 3
    return torch.nn.functional.one_hot(directed, 4).float(), speakers


@pytest.mark.parametrize(("reach", "low", "high"), [(0, 0.6, 0.8), (1, 0.0, 0.05)])
def test_a_run_of_frames_tells_what_a_frame_does_not(reach, low, high):
    head = SpeakerHead(4, 2, reach)
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-2)
    for _ in range(150):
        loss = head(*told_by_order(32, 9))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert low <= float(loss.detach()) <= high


def test_its_input_climbs_what_its_weights_descend():
    head, (content, speakers) = SpeakerHead(4, 2, 1), told_by_order(8, 9)
    content = content.requires_grad_()
    before = head(content, speakers)
    before.backward()
    with torch.no_grad():
        assert head(content - 0.05 * content.grad.sign(), speakers) > before
        for parameter in head.parameters():
            parameter -= 0.05 * parameter.grad
        assert head(content, speakers) < before


def test_a_clip_shorter_than_its_reach_is_heard_as_a_whole():
    loss = SpeakerHead(4, 2, 5)(torch.randn(3, 4, 4), torch.tensor([0, 1, 0]))
    assert math.isfinite(float(loss.detach()))
