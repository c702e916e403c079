"""The flow's training loss: conditional flow matching with prompts, guidance and attention drawn at random.

What is drawn is a value of its own, so a loss is a pure function of weights, examples and draw.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from parlando.models.cosyvoice.parts.flow import Flow
from parlando.models.cosyvoice.parts.flow_estimator import Conditions
from parlando.nn.chunked import Span
from parlando.nn.flow_matching import flow_matching_loss, path


@dataclass(frozen=True)
class FlowExamples:
    """A padded batch; row b has ``lengths[b]`` tokens and ``frames_per_token`` times as many mel frames."""

    tokens: Int[Tensor, "batch token"]
    lengths: Int[Tensor, " batch"]
    mel: Float[Tensor, "batch frame bin"]
    speaker: Float[Tensor, "batch dim"]

    def to(self, device: torch.device) -> FlowExamples:
        """The same on another device."""
        return FlowExamples(*(part.to(device) for part in vars(self).values()))


@dataclass(frozen=True)
class FlowOdds:
    """How often attention is chunked, an example has no prompt or no conditions; the longest prompt, as a share."""

    chunked: float = 0.5
    no_prompt: float = 0.5
    no_conditions: float = 0.2
    longest_prompt: float = 0.3


@dataclass(frozen=True)
class FlowDraw:
    """What one training step leaves to chance; ``time`` runs from 0 (noise) to 1 (data)."""

    chunked: bool
    prompt_frames: Int[Tensor, " batch"]
    kept: Bool[Tensor, " batch"]
    time: Float[Tensor, " batch"]
    noise: Float[Tensor, "batch frame bin"]

    def to(self, device: torch.device) -> FlowDraw:
        """The same on another device."""
        prompt_frames, kept, time, noise = (
            part.to(device) for part in (self.prompt_frames, self.kept, self.time, self.noise)
        )
        return FlowDraw(self.chunked, prompt_frames, kept, time, noise)


def draw_flow(examples: FlowExamples, generator: torch.Generator, odds: FlowOdds | None = None) -> FlowDraw:
    """Draw on the CPU, so that a seed means the same on every device; the result is where the mel is."""
    odds = FlowOdds() if odds is None else odds
    batch, frames, _ = examples.mel.shape
    chunked, *_ = torch.rand(1, generator=generator).tolist()
    has_prompt, share, kept, time = torch.rand(4, batch, generator=generator).to(examples.mel.device)
    ratio = frames // examples.tokens.shape[1]
    longest = odds.longest_prompt * examples.lengths.to(share) * ratio
    prompt_frames = (share * (longest.floor() + 1)).long() * (has_prompt >= odds.no_prompt)
    noise = torch.randn(examples.mel.shape, generator=generator).to(examples.mel)
    return FlowDraw(chunked < odds.chunked, prompt_frames, kept >= odds.no_conditions, time, noise)


def flow_losses(
    flow: Flow, examples: FlowExamples, draw: FlowDraw, encoder_only: bool = False
) -> dict[str, Float[Tensor, ""]]:
    """``velocity``, the mean squared error at one time of each example's path, and ``mean``; padding left out.

    Every example shows the estimator a beginning of its own mel as the prompt, and is learned without its conditions
    now and then, which guidance needs (Le et al., 2023). Frames of the prompt count as well.
    ``mean`` is the mean absolute distance of the encoder's frames from the mel, which Grad-TTS (Popov et al., 2021)
    adds and the published training does not: with it, a short training finds out sooner what the tokens sound like.
    ``encoder_only`` leaves ``velocity`` out, and what it costs.
    """
    ratio = flow.config.encoder.frames_per_token
    grid = flow.config.grid if draw.chunked else None
    span = Span(0, examples.tokens.shape[1], grid, examples.lengths)
    frame_span = span.scaled(ratio)
    valid = frame_span.valid()
    mean = flow.encode(examples.tokens, examples.speaker, span)
    losses = {"mean": (mean - examples.mel).abs()[valid].mean()}
    if encoder_only:
        return losses
    is_prompt = torch.arange(frame_span.new, device=examples.mel.device) < draw.prompt_frames[:, None]
    speaker = flow.project_speaker(examples.speaker)
    conditions = Conditions(mean, speaker, examples.mel * is_prompt[:, :, None]).kept(draw.kept)
    point, velocity = path(examples.mel, flow.decoder.start(mean.detach(), draw.noise), draw.time)
    estimator = flow.decoder.estimator
    seen = frame_span.visibility(examples.mel.device)
    predicted = estimator(point, draw.time, conditions, seen, estimator.new_state(lasting=False))
    return {"velocity": flow_matching_loss(predicted, velocity, valid), **losses}
