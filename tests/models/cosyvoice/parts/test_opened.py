"""Clips that the flow computed before."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from cosyvoice_tiny import FLOW, MEL_BINS, SPEAKER_DIM
from parlando.models.cosyvoice.parts.flow import Flow, FlowPrompt
from parlando.models.cosyvoice.parts.opened import OpenedPrompts

RATIO = FLOW.encoder.frames_per_token


@pytest.fixture(params=[None, 1], ids=["whole", "left chunks"])
def flow(request):
    torch.manual_seed(0)
    return Flow(replace(FLOW, encoder=replace(FLOW.encoder, left_chunks=request.param))).eval()


def prompt(tokens, seed=0):
    generator = torch.Generator().manual_seed(seed)
    mel = torch.randn(tokens * RATIO, MEL_BINS, generator=generator)
    drawn = torch.randint(FLOW.vocab_size, (tokens,), generator=generator)
    return FlowPrompt(drawn, mel, torch.randn(SPEAKER_DIM, generator=generator))


def spoken(flow, state, seed):
    tokens = torch.randint(FLOW.vocab_size, (40,), generator=torch.Generator().manual_seed(seed)).tolist()
    return [flow.push(state, tokens[:17]), flow.push(state, tokens[17:], final=True)]


def test_streams_of_one_clip_go_on_by_themselves_and_equal_their_own(flow):
    opened = OpenedPrompts(flow.open)
    clip = prompt(30)
    one, other = opened.open(clip), opened.open(clip)
    first = flow.push(one, [1] * 17)
    second = spoken(flow, other, seed=1)
    rest = flow.push(one, [2] * 20, final=True)
    alone = flow.open(clip)
    assert torch.equal(first, flow.push(alone, [1] * 17))
    assert torch.equal(rest, flow.push(alone, [2] * 20, final=True))
    assert all(map(torch.equal, second, spoken(flow, flow.open(clip), seed=1)))
    assert all(map(torch.equal, second, spoken(flow, opened.open(clip), seed=1)))


def test_a_clip_is_computed_once_and_the_oldest_are_forgotten(flow):
    computed = []
    opened = OpenedPrompts(lambda given: computed.append(len(given.tokens)) or flow.open(given), 30 * RATIO)
    for tokens in (10, 15, 10, 15, 20, 10, 15):
        opened.open(prompt(tokens))
    # Twenty and ten fill it, so that fifteen is gone.
    assert computed == [10, 15, 20, 10, 15]


def test_who_speaks_and_how_it_sounds_tell_clips_apart(flow):
    computed = []
    opened = OpenedPrompts(lambda given: computed.append(given) or flow.open(given))
    clip = prompt(10)
    for given in (clip, replace(clip, speaker=-clip.speaker), replace(clip, mel=-clip.mel), clip):
        opened.open(given)
    assert len(computed) == 3


@pytest.mark.parametrize("tokens", [0, 31])
def test_nothing_and_too_much_are_not_held(flow, tokens):
    computed = []
    opened = OpenedPrompts(lambda given: computed.append(1) or flow.open(given), 30 * RATIO)
    for _ in range(2):
        opened.open(prompt(tokens))
    assert len(computed) == 2
