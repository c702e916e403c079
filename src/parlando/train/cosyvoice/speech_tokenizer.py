"""Training of the speech tokenizer: a recogniser, of phones or of text, that hears only what passes the quantiser."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from parlando.audio.resample import sinc_resample
from parlando.core.config import NotNegative
from parlando.core.errors import ConfigError
from parlando.data.pitch import CorpusPitch, pitch_contour
from parlando.data.sampler import CropConfig, CropSampler, at_speed
from parlando.data.shards import PHONES, UNKNOWN_PHONE, Entry, PackedCorpus
from parlando.models.cosyvoice.parts.part_weights import SPEECH_TOKENIZER_FILE, save_trained
from parlando.models.cosyvoice.parts.speech_tokenizer import SpeechTokenizer, SpeechTokenizerConfig, TokenizerBlock
from parlando.nn.placement import full_precision
from parlando.nn.rope import RopeTable
from parlando.train.cosyvoice.start import find_speech_tokenizer
from parlando.train.cosyvoice.text_recogniser import TextConfig, TextDecoder, UtteranceSampler, text_loss
from parlando.train.loop.optim import OptimConfig
from parlando.train.loop.task import Arrays, Extent, Learner, Objective, Task
from parlando.train.shared.augment import AugmentConfig, augment
from parlando.train.shared.codes import perplexity
from parlando.train.shared.losses import known_cross_entropy
from parlando.train.shared.speaker_head import SpeakerHead

FIRST_SPREAD = 1.25  # of a digit before its tanh: a third of a normal distribution then rounds to zero


@dataclass(frozen=True)
class SpeechTokenizerTrainConfig:
    """A training of the tokenizer, with ``recogniser_layers`` transformer layers behind the quantiser.

    CosyVoice 2 (Du et al., 2024) trains its tokenizer by a recogniser's text, which a table ``text`` asks for, in whole
    utterances; without it there are crops. In both, phones are told where the corpus has their times, several a token
    from left to right. What starts from a tokenizer has that one's sizes. ``speaker_weight`` is how strongly the digits
    are kept from telling speakers apart, judged over ``speaker_reach`` tokens on each side. With a ``prosody_weight``
    the digits also learn how high the voice is within its speaker's range, which the corpus's pitch must be measured
    for. ``augment`` changes what the tokenizer hears.
    """

    tokenizer: SpeechTokenizerConfig = field(default_factory=SpeechTokenizerConfig)
    crops: CropConfig = field(default_factory=CropConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    recogniser_layers: int = 2
    text: TextConfig | None = None
    phone_weight: NotNegative = 1.0
    speaker_weight: float = 0.0
    speaker_reach: int = 0
    prosody_weight: float = 0.0
    augment: AugmentConfig | None = None
    start_from: str | None = None


class ProsodySampler(CropSampler):
    """Crops whose phone labels are followed by the prosody: height and whether it is voiced, a point each (float32)."""

    def __init__(self, corpus: PackedCorpus, config: CropConfig) -> None:
        super().__init__(corpus, config)
        self.pitch = CorpusPitch(corpus)
        self.ranges = self.pitch.training_ranges()

    def describe(self, entry: Entry, first_frame: int, speed: float) -> np.ndarray:
        """Phones, then the contour of the recording's own speed: it is the voice that is higher, not its prosody."""
        hertz = at_speed(self.pitch.hertz(entry)[first_frame:], speed, self.config.frames)
        contour = pitch_contour(hertz, self.ranges[entry.speaker])
        return np.concatenate((super().describe(entry, first_frame, speed), contour), axis=1)


class Recognised(NamedTuple):
    """Logits of the phones of every token, the height of the voice, and what both were told from."""

    phones: Float[Tensor, "batch token label phone"]
    height: Float[Tensor, "batch token"]
    hidden: Float[Tensor, "batch token dim"]


class PhoneRecogniser(nn.Module):
    """Quantised digits back to the hidden size, through layers as the tokenizer's own, to phones and prosody."""

    def __init__(self, config: SpeechTokenizerConfig, num_layers: int, labels_per_token: int) -> None:
        super().__init__()
        self.config = config
        self.up = nn.Linear(len(config.levels), config.hidden_size)
        self.blocks = nn.ModuleList(TokenizerBlock(config) for _ in range(num_layers))
        self.heads = nn.Linear(config.hidden_size, labels_per_token * len(PHONES) + 1)

    def forward(self, digits: Float[Tensor, "batch token digit"], present: Bool[Tensor, "batch token"]) -> Recognised:
        """What is heard at every token that is there."""
        x = self.up(digits)
        table = RopeTable.build(self.config.rope, self.config.hidden_size // self.config.num_heads, x.shape[1], x)
        for block in self.blocks:
            x = block(x, table.at(slice(None)), present)
        found = self.heads(x).float()
        return Recognised(found[..., :-1].unflatten(2, (-1, len(PHONES))), found[..., -1], x)


@dataclass(frozen=True)
class TokenizerBatch(Arrays):
    """Samples, the phones of every token (and its prosody, if that is learned), and who speaks.

    Of whole utterances, also how many tokens each has, and its text.
    """

    wave: Float[Tensor, "batch sample"]
    labels: Tensor
    speakers: Int[Tensor, " batch"]
    tokens: Int[Tensor, " batch"] | None = None
    text: Int[Tensor, "batch byte"] | None = None


@dataclass(frozen=True)
class Heard:
    """What a step hears of a batch."""

    losses: dict[str, Tensor]
    phones: Float[Tensor, "batch token label phone"]
    codes: Int[Tensor, " token"]


class SpeechTokenizerTask(Task[TokenizerBatch]):
    """Trains a `SpeechTokenizer`.

    Raises:
        ConfigError: a frame of the corpus is not as long as a token.
    """

    # In float32 on processors: digits are rounded here, and of three small runs in bfloat16 one got stuck.
    autocast_on = ("cuda",)

    batch_setting = "train.crops.batch"

    def __init__(self, corpus: PackedCorpus, config: SpeechTokenizerTrainConfig) -> None:
        started = find_speech_tokenizer(config.start_from, config.tokenizer) if config.start_from else None
        self.config = config = config if started is None else replace(config, tokenizer=started.config)
        packed, wanted = corpus.config, config.tokenizer
        if packed.sample_rate / packed.frame_samples != wanted.token_rate:
            raise ConfigError(
                f"the corpus has {packed.sample_rate / packed.frame_samples:g} frames a second and the tokenizer "
                f"{wanted.token_rate:g} tokens; pack the corpus again"
            )
        self.sampler, self.sample_rate = self._sampler(corpus), packed.sample_rate
        self.labels_per_frame = packed.labels_per_frame
        self.tokenizer = SpeechTokenizer(wanted)
        if started is None:
            self._spread_digits()
        else:
            self.tokenizer.load_state_dict(started.state_dict())
        self.recogniser = PhoneRecogniser(wanted, config.recogniser_layers, packed.labels_per_frame)
        self.speaker_head = SpeakerHead(len(wanted.levels), len(self.sampler.speakers), config.speaker_reach)
        self.trained = nn.ModuleList((self.tokenizer, self.recogniser, self.speaker_head))

    def _sampler(self, corpus: PackedCorpus) -> CropSampler | UtteranceSampler:
        return (ProsodySampler if self.config.prosody_weight else CropSampler)(corpus, self.config.crops)

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """The tokenizer and the heads that teach it."""
        return {"trained": self.trained}

    @property
    def learners(self) -> Mapping[str, Learner]:
        """All of them."""
        return {"model": Learner(self.trained, self.config.optim)}

    @torch.no_grad()
    def _spread_digits(self) -> None:
        """Let the digits start as principal components of the hidden vectors, every level about equally frequent."""
        batch = self.batch(0)
        mel = self._mel(batch.wave)
        hidden, present = self.tokenizer.encoder(mel, self._num_frames(batch, mel))
        hidden = hidden[present]
        mean, project = hidden.mean(0), self.tokenizer.quantizer.project_in
        variances, axes = torch.linalg.eigh((hidden - mean).t().cov(correction=0))
        count = project.out_features
        scale = FIRST_SPREAD / variances[-count:].clamp_min(1e-8).sqrt()
        project.weight.copy_(axes[:, -count:].t() * scale[:, None])
        project.bias.copy_(-project.weight @ mean)

    def batch(self, number: int) -> TokenizerBatch:
        """Random crops, or utterances."""
        return TokenizerBatch(*map(torch.from_numpy, self.sampler.batch(number)))

    def extent(self, batch: TokenizerBatch) -> Extent:
        """In clips, tokens and seconds; padding is no sound."""
        positions = batch.labels[..., 0].numel()
        tokens = positions if batch.tokens is None else int(batch.tokens.sum())
        return Extent(len(batch.wave), tokens / self.config.tokenizer.token_rate, positions)

    def objectives(self, batch: TokenizerBatch, progress: float) -> Iterator[Objective]:
        """The tokenizer's, with its heads."""
        del progress
        heard = self._hear(batch)
        loss = torch.stack([weight * heard.losses[name] for name, weight in self._weights().items()]).sum()
        yield Objective("model", loss, {**heard.losses, "codes_used": torch.tensor(len(heard.codes.unique()))})

    def _weights(self) -> dict[str, float]:
        weights = {"phone": self.config.phone_weight, "speaker": self.config.speaker_weight}
        return {**weights, "prosody": self.config.prosody_weight} if self.config.prosody_weight else weights

    def _num_frames(self, batch: TokenizerBatch, mel: Float[Tensor, "batch band frame"]) -> Int[Tensor, " batch"]:
        if batch.tokens is None:
            return torch.full((len(mel),), mel.shape[2], device=mel.device)
        return batch.tokens * self.config.tokenizer.frames_per_token

    def _hear(self, batch: TokenizerBatch) -> Heard:
        phones, contour = batch.labels[..., : self.labels_per_frame].long(), batch.labels[..., self.labels_per_frame :]
        with full_precision(batch.wave.device):
            mel = self._mel(batch.wave)
        digits, codes, present = self.tokenizer(mel, self._num_frames(batch, mel))
        found = self.recogniser(digits, present)
        with full_precision(mel.device):
            losses = {
                "phone": known_cross_entropy(found.phones.flatten(0, 2), phones.flatten(), UNKNOWN_PHONE),
                "speaker": self.speaker_head(digits.float(), batch.speakers, present),
            }
            if self.config.prosody_weight:
                losses["prosody"] = prosody_loss(found.height, contour)
        return Heard({**losses, **self._losses_of_text(batch, found, present)}, found.phones, codes[present])

    def _losses_of_text(
        self, batch: TokenizerBatch, found: Recognised, present: Bool[Tensor, "batch token"]
    ) -> dict[str, Tensor]:
        """None, of crops."""
        del batch, found, present
        return {}

    @torch.no_grad()
    def _mel(self, wave: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch band frame"]:
        rate, config = self.config.tokenizer.mel.sample_rate, self.config.augment
        wave = sinc_resample(wave, self.sample_rate, rate)
        return self.tokenizer.log_mel(augment(wave, rate, config) if config and self.tokenizer.training else wave)

    def evaluate(self, device: torch.device) -> Mapping[str, float]:
        """Held-out phone accuracy, the losses, and how many codes are in use, as the perplexity of their share."""
        batch = TokenizerBatch(*map(torch.from_numpy, self.sampler.held_out())).to(device)
        heard = self._hear(batch)
        phones = batch.labels[..., : self.labels_per_frame]
        known = phones != UNKNOWN_PHONE
        right = (heard.phones.argmax(-1) == phones)[known].float()
        return {
            "phone_accuracy": float(right.mean()) if len(right) else 0.0,
            "code_perplexity": perplexity(heard.codes),
            **{name: float(value) for name, value in heard.losses.items()},
        }

    def export(self, folder: Path) -> None:
        """``speech_tokenizer.safetensors`` (float32) and ``speech_tokenizer.json``; the recogniser is left behind."""
        save_trained(self.tokenizer, self.tokenizer.config, folder / SPEECH_TOKENIZER_FILE)


class UtteranceTokenizerTask(SpeechTokenizerTask):
    """Trains a `SpeechTokenizer` by the text of whole utterances, too.

    Raises:
        ConfigError: as for `SpeechTokenizerTask`; no utterance has a text, or prosody is asked for, which is of crops.
    """

    batch_setting = "train.text.tokens_per_batch"

    def __init__(self, corpus: PackedCorpus, config: SpeechTokenizerTrainConfig, text: TextConfig) -> None:
        if config.prosody_weight:
            raise ConfigError(
                "train.prosody_weight: prosody is learned from crops; set it to 0, or leave out train.text"
            )
        self.text = text
        super().__init__(corpus, config)
        self.decoder = TextDecoder(self.config.tokenizer.hidden_size, self.config.tokenizer.num_heads, text.num_layers)
        self.trained.append(self.decoder)

    def _sampler(self, corpus: PackedCorpus) -> UtteranceSampler:
        return UtteranceSampler(corpus, self.config.crops, self.text)

    def _weights(self) -> dict[str, float]:
        return {**super()._weights(), "text": self.text.weight}

    def _losses_of_text(
        self, batch: TokenizerBatch, found: Recognised, present: Bool[Tensor, "batch token"]
    ) -> dict[str, Tensor]:
        assert batch.text is not None, "utterances have a text"
        logits = self.decoder(batch.text, found.hidden, present)
        with full_precision(logits.device):
            return {"text": text_loss(logits.float(), batch.text, self.text.smoothing)}


def prosody_loss(
    height: Float[Tensor, "batch token"], contour: Float[Tensor, "batch token value"]
) -> Float[Tensor, ""]:
    """Huber loss of the height against the mean of each token's voiced points, where at least half of them are."""
    heights, voiced = contour.chunk(2, dim=2)
    count = voiced.sum(2)
    heard = 2 * count >= voiced.shape[2]
    mean = (heights * voiced).sum(2) / count.clamp_min(1)
    error = functional.smooth_l1_loss(height, mean, reduction="none")
    return (error * heard).sum() / heard.sum().clamp_min(1)
