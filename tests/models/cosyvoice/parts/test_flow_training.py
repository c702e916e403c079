"""The flow's loss: a pure function of a draw that does not see padding, and that a few steps bring down."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from parlando.core.config import from_mapping
from parlando.models.cosyvoice.parts.flow import Flow, FlowConfig
from parlando.models.cosyvoice.parts.flow_estimator import Conditions
from parlando.models.cosyvoice.parts.flow_training import (
    FlowDraw,
    FlowExamples,
    FlowOdds,
    draw_flow,
    flow_losses,
)
from parlando.nn.chunked import Span

SIZES = {
    "vocab_size": 20,
    "mel_bins": 6,
    "speaker_dim": 5,
    "encoder": {
        "input_dim": 12,
        "dim": 12,
        "num_heads": 2,
        "inner_dim": 16,
        "num_layers": 1,
        "num_up_layers": 1,
        "chunk_tokens": 4,
        "dropout": 0.0,
    },
    "estimator": {"dim": 12, "num_heads": 2, "head_dim": 4, "num_mid_stages": 1, "layers_per_stage": 1},
}


def new_flow() -> Flow:
    torch.manual_seed(0)
    return Flow(from_mapping(FlowConfig, SIZES))


def examples_of(lengths: list[int]) -> FlowExamples:
    torch.manual_seed(1)
    batch, longest = len(lengths), max(lengths)
    return FlowExamples(
        torch.randint(0, 20, (batch, longest)),
        torch.tensor(lengths),
        torch.randn(batch, 2 * longest, 6),
        torch.randn(batch, 5),
    )


def draw_for(examples: FlowExamples, seed: int = 0, odds: FlowOdds | None = None) -> FlowDraw:
    return draw_flow(examples, torch.Generator().manual_seed(seed), odds)


def velocity_loss(flow: Flow, examples: FlowExamples, draw: FlowDraw) -> torch.Tensor:
    return flow_losses(flow, examples, draw)["velocity"]


def test_a_draw_follows_the_odds():
    examples = examples_of([100] * 400)
    draws = [draw_for(examples, seed) for seed in range(20)]
    assert 3 < sum(draw.chunked for draw in draws) < 17
    prompts = torch.cat([draw.prompt_frames for draw in draws]).float()
    assert (prompts == 0).float().mean().item() == pytest.approx(0.5 + 0.5 / 61, abs=0.02)
    assert prompts.max().item() == 60  # 30 % of 200 frames
    assert prompts[prompts > 0].mean().item() == pytest.approx(30.5, abs=1)
    assert torch.cat([draw.kept for draw in draws]).float().mean().item() == pytest.approx(0.8, abs=0.02)
    assert torch.cat([draw.time for draw in draws]).mean().item() == pytest.approx(0.5, abs=0.02)


def test_a_draw_is_repeatable_and_prompts_fit_their_own_length():
    examples = examples_of([10, 40])
    first, again, other = draw_for(examples, 3), draw_for(examples, 3), draw_for(examples, 4)
    assert torch.equal(first.noise, again.noise)
    assert not torch.equal(first.noise, other.noise)
    odds = FlowOdds(no_prompt=0.0)
    prompts = torch.stack([draw_for(examples, seed, odds).prompt_frames for seed in range(60)])
    assert prompts.amax(dim=0).tolist() == [6, 24]


@pytest.mark.parametrize("chunked", [True, False])
def test_padding_changes_nothing(chunked):
    flow, examples = new_flow().eval(), examples_of([9, 5])
    draw = dataclasses.replace(draw_for(examples), chunked=chunked)
    with torch.no_grad():
        whole = velocity_loss(flow, examples, draw)
        alone = []
        for row, length in enumerate([9, 5]):
            rows, frames = slice(row, row + 1), slice(2 * length)
            one = FlowExamples(
                examples.tokens[rows, :length],
                examples.lengths[rows],
                examples.mel[rows, frames],
                examples.speaker[rows],
            )
            kept = FlowDraw(
                chunked, draw.prompt_frames[rows], draw.kept[rows], draw.time[rows], draw.noise[rows, frames]
            )
            alone.append(velocity_loss(flow, one, kept).item() * length)
    assert whole.item() == pytest.approx(sum(alone) / 14, rel=1e-5)


def test_the_prompt_and_the_conditions_are_heard():
    flow, examples = new_flow().eval(), examples_of([8, 8])
    draw = dataclasses.replace(draw_for(examples), kept=torch.tensor([True, True]), prompt_frames=torch.tensor([0, 0]))
    with torch.no_grad():
        losses = [
            velocity_loss(flow, examples, dataclasses.replace(draw, **change)).item()
            for change in ({}, {"prompt_frames": torch.tensor([4, 0])}, {"kept": torch.tensor([False, True])})
        ]
    assert len({round(loss, 6) for loss in losses}) == 3
    without = dataclasses.replace(draw, kept=torch.tensor([False, False]))
    other = dataclasses.replace(examples, tokens=examples.tokens.flip(1))
    with torch.no_grad():
        assert velocity_loss(flow, examples, without).item() == velocity_loss(flow, other, without).item()


def test_every_weight_learns_and_a_few_steps_bring_the_loss_down():
    flow, examples = new_flow().train(), examples_of([9, 6, 8])
    draw = dataclasses.replace(
        draw_for(examples), kept=torch.ones(3, dtype=torch.bool), prompt_frames=torch.tensor([4, 0, 2])
    )
    velocity_loss(flow, examples, draw).backward()
    assert [name for name, weight in flow.named_parameters() if weight.grad is None or not weight.grad.any()] == []
    optimiser = torch.optim.Adam(flow.parameters(), 1e-2)
    losses = []
    for _ in range(12):
        optimiser.zero_grad()
        loss = velocity_loss(flow, examples, draw)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_the_velocity_of_a_prior_around_the_mean_leads_from_there():
    """An estimator that says nothing errs by what is missing from the encoder's frames, and by the noise."""
    flow, examples = new_flow(), examples_of([40])
    told = Flow(dataclasses.replace(flow.config, prior="mean", noise_scale=0.1, speaker_in_encoder=True)).eval()
    for tensor in (told.decoder.estimator.final_proj.weight, told.decoder.estimator.final_proj.bias):
        torch.nn.init.zeros_(tensor)
    with torch.no_grad():
        mean = told.encode(examples.tokens, examples.speaker, Span(0, 40, None))
        exact = dataclasses.replace(examples, mel=mean)
        losses = flow_losses(told, exact, dataclasses.replace(draw_for(exact), chunked=False))
    assert losses["mean"] == pytest.approx(0, abs=1e-6)
    assert losses["velocity"] == pytest.approx(0.1**2, rel=0.1)


def test_an_encoder_learns_alone_where_that_is_asked_for():
    flow, examples = new_flow(), examples_of([9, 5])
    losses = flow_losses(flow, examples, draw_for(examples), encoder_only=True)
    assert set(losses) == {"mean"}
    losses["mean"].backward()
    assert all(parameter.grad is None for parameter in flow.decoder.parameters())
    assert flow.encoder_proj.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("kept", [True, False])
def test_loss_and_gradients_are_those_of_the_published_formula(kept):
    """x = (1 - (1 - 1e-6) t) noise + t mel, towards mel - (1 - 1e-6) noise, all conditions left out together."""
    flows, examples = [new_flow(), new_flow()], examples_of([7])
    draw = dataclasses.replace(draw_for(examples), chunked=False, kept=torch.tensor([kept]))
    ours = velocity_loss(flows[0], examples, draw)
    flow, time = flows[1], draw.time[:, None, None]
    shown = examples.mel.clone()
    shown[:, int(draw.prompt_frames) :] = 0
    encoded = flow.encode(examples.tokens, examples.speaker, Span(0, 7, None, examples.lengths))
    given = Conditions(encoded * kept, flow.project_speaker(examples.speaker) * kept, shown * kept)
    point = (1 - (1 - 1e-6) * time) * draw.noise + time * examples.mel
    estimator = flow.decoder.estimator
    seen = Span(0, 14, None, 2 * examples.lengths).visibility(point.device)
    predicted = estimator(point, draw.time, given, seen, estimator.new_state(lasting=False))
    theirs = (predicted - (examples.mel - (1 - 1e-6) * draw.noise)).square().mean()
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    for loss in (ours, theirs):
        loss.backward()
    for (name, one), other in zip(flows[0].named_parameters(), flows[1].parameters(), strict=True):
        if one.grad is not None:
            torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-6, msg=name)
