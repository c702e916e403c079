"""ECAPA-TDNN (Desplanques et al., 2020) over WavLM-large (Chen et al., 2021): the speaker judge of Seed-TTS Eval.

The modules have the names of the published checkpoint (``wavlm_large_finetune.pth``), so that it loads as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from parlando.audio.clip import Clip
from parlando.core.errors import CheckpointError, FileMissingError
from parlando.evaluate.judges.base import Card, at_judge_rate, unit, version_of
from parlando.evaluate.judges.wavlm import WAVLM_LARGE, WavLMSizes, from_published, new_wavlm
from parlando.evaluate.optional import require

BACKBONE_PREFIX = "feature_extract.model."
TRAINING_ONLY = "loss_calculator."
FEATURE_SHIFT, VARIANCE_FLOOR = 1e-6, 1e-9


class ConvReluNorm(nn.Module):
    """Convolution, ReLU, batch norm."""

    def __init__(self, inputs: int, outputs: int, kernel: int, padding: int = 0) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, kernel, padding=padding)
        self.bn = nn.BatchNorm1d(outputs)

    def forward(self, x: Float[Tensor, "batch channel frame"]) -> Float[Tensor, "batch output frame"]:
        """Frames keep their number where the padding fits the kernel."""
        return self.bn(functional.relu(self.conv(x)))


class Res2Conv(nn.Module):
    """Res2Net's: channels in ``scale`` groups, each convolved together with the result of the one before."""

    def __init__(self, channels: int, dilation: int, scale: int) -> None:
        super().__init__()
        self.width = channels // scale
        groups = scale - 1
        self.convs = nn.ModuleList(
            nn.Conv1d(self.width, self.width, 3, padding=dilation, dilation=dilation) for _ in range(groups)
        )
        self.bns = nn.ModuleList(nn.BatchNorm1d(self.width) for _ in range(groups))

    def forward(self, x: Float[Tensor, "batch channel frame"]) -> Float[Tensor, "batch channel frame"]:
        """The last group passes as it is."""
        *groups, last = x.split(self.width, 1)
        done: list[Tensor] = []
        for group, conv, bn in zip(groups, self.convs, self.bns, strict=True):
            mixed = group + done[-1] if done else group
            done.append(bn(functional.relu(conv(mixed))))
        return torch.cat([*done, last], dim=1)


class SqueezeExcite(nn.Module):
    """Channels weighed by what the whole clip says of them."""

    def __init__(self, channels: int, bottleneck: int) -> None:
        super().__init__()
        self.linear1, self.linear2 = nn.Linear(channels, bottleneck), nn.Linear(bottleneck, channels)

    def forward(self, x: Float[Tensor, "batch channel frame"]) -> Float[Tensor, "batch channel frame"]:
        """The same frames."""
        weights = torch.sigmoid(self.linear2(functional.relu(self.linear1(x.mean(2)))))
        return x * weights[:, :, None]


class SERes2Block(nn.Module):
    """Between two convolutions of one frame a Res2Net convolution, then squeeze and excitation, added to the input."""

    def __init__(self, channels: int, dilation: int, scale: int = 8, bottleneck: int = 128) -> None:
        super().__init__()
        self.Conv1dReluBn1 = ConvReluNorm(channels, channels, 1)
        self.Res2Conv1dReluBn = Res2Conv(channels, dilation, scale)
        self.Conv1dReluBn2 = ConvReluNorm(channels, channels, 1)
        self.SE_Connect = SqueezeExcite(channels, bottleneck)

    def forward(self, x: Float[Tensor, "batch channel frame"]) -> Float[Tensor, "batch channel frame"]:
        """The same frames."""
        return x + self.SE_Connect(self.Conv1dReluBn2(self.Res2Conv1dReluBn(self.Conv1dReluBn1(x))))


class AttentiveStatistics(nn.Module):
    """Mean and deviation over the frames, weighed by attention for each channel."""

    def __init__(self, channels: int, attention: int = 128) -> None:
        super().__init__()
        self.linear1, self.linear2 = nn.Conv1d(channels, attention, 1), nn.Conv1d(attention, channels, 1)

    def forward(self, x: Float[Tensor, "batch channel frame"]) -> Float[Tensor, "batch doubled"]:
        """Means, then deviations."""
        weights = self.linear2(torch.tanh(self.linear1(x))).softmax(2)
        mean = (weights * x).sum(2)
        variance = (weights * x.square()).sum(2) - mean.square()
        return torch.cat([mean, variance.clamp_min(VARIANCE_FLOOR).sqrt()], dim=1)


class WavLMEcapa(nn.Module):
    """All hidden states of WavLM, weighed and normalised, through three ECAPA blocks to an embedding."""

    def __init__(
        self, sizes: WavLMSizes = WAVLM_LARGE, channels: int = 512, pooled: int = 1536, dim: int = 256
    ) -> None:
        super().__init__()
        self.backbone = new_wavlm(sizes)
        self.feature_weight = nn.Parameter(torch.zeros(sizes.layers + 1))
        self.instance_norm = nn.InstanceNorm1d(sizes.hidden)
        self.layer1 = ConvReluNorm(sizes.hidden, channels, 5, padding=2)
        self.layer2 = SERes2Block(channels, dilation=2)
        self.layer3 = SERes2Block(channels, dilation=3)
        self.layer4 = SERes2Block(channels, dilation=4)
        self.conv = nn.Conv1d(3 * channels, pooled, 1)
        self.pooling = AttentiveStatistics(pooled)
        self.bn = nn.BatchNorm1d(2 * pooled)
        self.linear = nn.Linear(2 * pooled, dim)

    def forward(self, wave: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch dim"]:
        """Embeddings, not normalised, of clips at 16 kHz."""
        hidden = self.backbone(functional.layer_norm(wave, wave.shape[1:]), output_hidden_states=True).hidden_states
        weights = self.feature_weight.softmax(0)
        mixed = sum(weight * state for weight, state in zip(weights, hidden, strict=True))
        x = self.layer1(self.instance_norm(mixed.transpose(1, 2) + FEATURE_SHIFT))
        second = self.layer2(x)
        third = self.layer3(second)
        joined = torch.cat([second, third, self.layer4(third)], dim=1)
        return self.linear(self.bn(self.pooling(functional.relu(self.conv(joined)))))

    def load_published(self, tensors: Mapping[str, Tensor]) -> None:
        """Take the tensors of a published checkpoint.

        Raises:
            CheckpointError: some are missing, unexpected or of another shape.
        """
        kept = {name: tensor for name, tensor in tensors.items() if not name.startswith(TRAINING_ONLY)}
        backbone = {
            name.removeprefix(BACKBONE_PREFIX): t for name, t in kept.items() if name.startswith(BACKBONE_PREFIX)
        }
        head = {name: tensor for name, tensor in kept.items() if not name.startswith(BACKBONE_PREFIX)}
        own = {f"backbone.{name}": tensor for name, tensor in from_published(backbone).items()}
        try:
            self.load_state_dict({**own, **head})
        except RuntimeError as error:
            raise CheckpointError(f"not a WavLM and ECAPA checkpoint of these sizes: {str(error)[:300]}") from error


class WavLMSpeaker:
    """A speaker encoder (`judges.base.SpeakerEncoder`) by the published ``wavlm_large_finetune.pth``."""

    def __init__(self, path: str, device: str = "cpu") -> None:
        """Find its file.

        Raises:
            MissingDependencyError: transformers is not installed.
            FileMissingError: there is no such file.
        """
        require("transformers", "pip install transformers")
        self._path, self._device = Path(path), device
        if not self._path.is_file():
            raise FileMissingError(path, "checkpoint of WavLM and ECAPA (wavlm_large_finetune.pth)")
        self.card = Card("wavlm-large-ecapa", f"torch {version_of('torch')}", {"file": self._path.name})

    @cached_property
    def _model(self) -> WavLMEcapa:
        held: Any = torch.load(self._path, map_location="cpu", weights_only=True)
        model = WavLMEcapa()
        model.load_published(held.get("model", held))
        return model.to(self._device).eval()

    @torch.inference_mode()
    def embed(self, clip: Clip) -> np.ndarray:
        """The voice of a clip, float32 [256]."""
        wave = torch.from_numpy(at_judge_rate(clip))[None].to(self._device)
        return unit(self._model(wave).cpu().numpy())
