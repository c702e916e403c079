"""Training of the speech tokenizer: a recogniser of phones that hears only what passes the quantiser."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from parlando.audio.resample import sinc_resample
from parlando.core.errors import ConfigError
from parlando.data.sampler import CropConfig, Crops, CropSampler
from parlando.data.shards import PHONES, UNKNOWN_PHONE, PackedCorpus
from parlando.models.cosyvoice.speech_tokenizer import SpeechTokenizer, SpeechTokenizerConfig, TokenizerBlock
from parlando.nn.checkpoint import save_tensors
from parlando.nn.rope import RopeTable
from parlando.train import parallel
from parlando.train.checkpoint import load_weights
from parlando.train.optim import OptimConfig, apply_gradients, make_optimizer
from parlando.train.speaker_head import SpeakerHead

WEIGHTS_FILE, CONFIG_FILE = "speech_tokenizer.safetensors", "speech_tokenizer.json"


@dataclass(frozen=True)
class SpeechTokenizerTrainConfig:
    """A training of the tokenizer, in crops, with ``recogniser_layers`` transformer layers behind the quantiser.

    CosyVoice 2 (Du et al., 2024) trains its tokenizer by a recogniser's text; here the targets are the corpus's phones,
    several a token from left to right. ``speaker_weight`` is how strongly the digits are kept from telling speakers
    apart, judged over ``speaker_reach`` tokens on each side.
    """

    tokenizer: SpeechTokenizerConfig = field(default_factory=SpeechTokenizerConfig)
    crops: CropConfig = field(default_factory=CropConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    recogniser_layers: int = 2
    speaker_weight: float = 0.0
    speaker_reach: int = 0
    start_from: str | None = None


class PhoneRecogniser(nn.Module):
    """Quantised digits back to the hidden size, through layers as the tokenizer's own, to phones."""

    def __init__(self, config: SpeechTokenizerConfig, num_layers: int, labels_per_token: int) -> None:
        super().__init__()
        self.config = config
        self.up = nn.Linear(len(config.levels), config.hidden_size)
        self.blocks = nn.ModuleList(TokenizerBlock(config) for _ in range(num_layers))
        self.phones = nn.Linear(config.hidden_size, labels_per_token * len(PHONES))

    def forward(self, digits: Float[Tensor, "batch token digit"]) -> Float[Tensor, "batch token label phone"]:
        """Logits; every token of the batch is there."""
        x = self.up(digits)
        table = RopeTable.build(self.config.rope, self.config.hidden_size // self.config.num_heads, x.shape[1], x)
        present = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
        for block in self.blocks:
            x = block(x, table.at(slice(None)), present)
        return self.phones(x).float().unflatten(2, (-1, len(PHONES)))


class SpeechTokenizerTask:
    """Implements `train.loop.Task` for `SpeechTokenizer`.

    Raises:
        ConfigError: a frame of the corpus is not as long as a token.
    """

    def __init__(
        self, corpus: PackedCorpus, config: SpeechTokenizerTrainConfig, device: str = "cpu", rank: int = 0
    ) -> None:
        packed, wanted = corpus.config, config.tokenizer
        if packed.sample_rate / packed.frame_samples != wanted.token_rate:
            raise ConfigError(
                f"the corpus has {packed.sample_rate / packed.frame_samples:g} frames a second and the tokenizer "
                f"{wanted.token_rate:g} tokens; pack the corpus again"
            )
        self.config, self.device, self.rank = config, torch.device(device), rank
        self.sampler, self.sample_rate = CropSampler(corpus, config.crops), packed.sample_rate
        self.tokenizer = SpeechTokenizer(wanted)
        if config.start_from:
            load_weights(self.tokenizer, Path(config.start_from) / WEIGHTS_FILE)
        self.recogniser = PhoneRecogniser(wanted, config.recogniser_layers, packed.labels_per_frame)
        self.speaker_head = SpeakerHead(len(wanted.levels), len(self.sampler.speakers), config.speaker_reach)
        self.trained = nn.ModuleList((self.tokenizer, self.recogniser, self.speaker_head)).to(self.device)
        self.optimizer = make_optimizer(self.trained, config.optim)

    def train_step(self, step: int, progress: float) -> Mapping[str, float]:
        """One step on random crops."""
        crops = self.sampler.batch(step, self.rank)
        self.trained.train()
        losses, _, codes = self._hear(crops)
        loss = losses["phone"] + self.config.speaker_weight * losses["speaker"]
        loss.backward()
        norm = apply_gradients(self.optimizer, self.trained.parameters(), self.config.optim, progress)
        numbers = {name: float(value.detach()) for name, value in losses.items()}
        seconds = crops.waves.size / self.sample_rate * parallel.size()
        return {
            "loss": float(loss.detach()),
            **numbers,
            "codes_used": float(len(codes.unique())),
            "norm": norm,
            "audio_seconds": seconds,
        }

    def _hear(self, crops: Crops) -> tuple[dict[str, Tensor], Float[Tensor, "batch token label phone"], Tensor]:
        """Losses, phone logits and codes of some crops."""
        wave, phones, speakers = (torch.from_numpy(array).to(self.device) for array in crops)
        mel = self._mel(wave)
        lengths = torch.full((len(mel),), mel.shape[2], device=self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            digits, codes, _ = self.tokenizer(mel, lengths)
            logits = self.recogniser(digits)
        losses = {
            "phone": functional.cross_entropy(
                logits.flatten(0, 2), phones.long().flatten(), ignore_index=UNKNOWN_PHONE
            ),
            "speaker": self.speaker_head(digits, speakers),
        }
        return losses, logits, codes

    @torch.no_grad()
    def _mel(self, wave: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch band frame"]:
        return self.tokenizer.log_mel(sinc_resample(wave, self.sample_rate, self.config.tokenizer.mel.sample_rate))

    @torch.no_grad()
    def evaluate(self) -> Mapping[str, float]:
        """Held-out phone accuracy, the losses, and how many codes are in use, as the perplexity of their share."""
        self.trained.eval()
        crops = self.sampler.held_out()
        losses, logits, codes = self._hear(crops)
        phones = torch.from_numpy(crops.labels).to(self.device)
        known = phones != UNKNOWN_PHONE
        right = (logits.argmax(-1) == phones)[known].float()
        return {
            "phone_accuracy": float(right.mean()) if len(right) else 0.0,
            "code_perplexity": perplexity(codes),
            **{name: float(value) for name, value in losses.items()},
        }

    def state(self) -> dict[str, Any]:
        """Weights and optimiser."""
        return {"trained": self.trained.state_dict(), "optimizer": self.optimizer.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `state`."""
        self.trained.load_state_dict(state["trained"])
        self.optimizer.load_state_dict(state["optimizer"])

    def export(self, folder: Path) -> None:
        """``speech_tokenizer.safetensors`` (float32) and ``speech_tokenizer.json``; the recogniser is left behind."""
        save_tensors(
            {name: tensor.float() for name, tensor in self.tokenizer.state_dict().items()}, folder / WEIGHTS_FILE
        )
        (folder / CONFIG_FILE).write_text(json.dumps(asdict(self.config.tokenizer), indent=2), encoding="utf-8")


def perplexity(codes: Int[Tensor, "*rest"]) -> float:
    """How many equally frequent codes would be as hard to guess as these."""
    shares = codes.flatten().unique(return_counts=True)[1] / codes.numel()
    return float(torch.exp(-(shares * shares.log()).sum()))
