"""Training of understanding: simulated scenes of a packed corpus, whose truth is the answer to be written.

Three losses: the answer by the language model; what is said, frame by frame, by CTC (Graves et al., 2006), which aligns
early where speech is little (Watanabe et al., 2017); and the phones, where the corpus knows them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from parlando.core.config import NotNegative, Positive, Share, Size
from parlando.core.errors import ConfigError
from parlando.data.scenes.scene import Director, Plan, Scene, SceneConfig
from parlando.data.scenes.sources import Speech
from parlando.data.shards import UNKNOWN_PHONE, PackedCorpus
from parlando.models.locate import locate
from parlando.models.understanding.config import UnderstandingConfig
from parlando.models.understanding.network import BLANK, Impression, UnderstandingNetwork
from parlando.models.understanding.tokens import BYTES, END, decode, encode, is_tag
from parlando.models.understanding.weights import (
    is_understanding,
    load_network,
    load_published,
    published_config,
    read_config,
    save_network,
)
from parlando.nn.placement import full_precision
from parlando.text.answer import write_header, write_turns
from parlando.text.edits import edits
from parlando.train.loop.optim import OptimConfig
from parlando.train.loop.task import Arrays, Extent, Learner, Objective, Task
from parlando.train.shared.batching import similar
from parlando.train.shared.losses import known_cross_entropy

HELD_OUT = 1
"""Numbers of scenes that no training draws begin so."""
_NOTHING = -1


@dataclass(frozen=True)
class MaskConfig:
    """SpecAugment (Park et al., 2019): stretches of bands and of time that are not heard."""

    band_masks: int = 2
    widest_bands: Size = 14
    time_masks: int = 2
    longest_frames: Size = 20


@dataclass(frozen=True)
class UnderstandingTrainConfig:
    """A training of a network of the sizes ``model``, or of what it starts from.

    A batch is some of ``candidates`` scenes, alike in length, of about ``seconds_per_batch``. ``held_out_speakers`` are
    in no scene that is learned from, nor is anything that they say; ``held_out_scenes`` of theirs are measured. A tag
    counts ``tag_weight`` times as much as a letter, for there are few.
    """

    model: UnderstandingConfig = field(default_factory=UnderstandingConfig)
    scenes: SceneConfig = field(default_factory=SceneConfig)
    masks: MaskConfig = field(default_factory=MaskConfig)
    optim: OptimConfig = field(default_factory=lambda: OptimConfig(rate=1e-3, warmup=0.05, final=0.02))
    held_out_speakers: tuple[str, ...] = ()
    held_out_scenes: Size = 32
    seconds_per_batch: Positive = 48.0
    candidates: Size = 48
    ctc_weight: NotNegative = 1.0
    answer_weight: NotNegative = 1.0
    phone_weight: NotNegative = 0.5
    tag_weight: NotNegative = 4.0
    smoothing: Share = 0.05
    seed: int = 0
    start_from: str | None = None


@dataclass(frozen=True)
class SceneBatch(Arrays):
    """Samples and how many are real, tokens of the answers, those of them that are heard one by one, and phones.

    `_NOTHING` follows shorter rows of tokens.
    """

    wave: Float[Tensor, "batch sample"]
    samples: Int[Tensor, " batch"]
    answer: Int[Tensor, "batch token"]
    spoken: Int[Tensor, "batch heard"]
    phones: Int[Tensor, "batch label"]


class UnderstandingTask(Task[SceneBatch]):
    """Trains an `UnderstandingNetwork`.

    Raises:
        ConfigError: the corpus has nothing to learn from, or scenes are longer than the network hears.
        FileMissingError, CheckpointError: what it starts from is not there, or damaged.
    """

    autocast_on = ("cpu", "cuda")
    batch_setting = "train.seconds_per_batch"

    def __init__(self, corpus: PackedCorpus, config: UnderstandingTrainConfig) -> None:
        self.config = config
        self.network = _started(config)
        # A slow voice takes longer than its recording.
        fits = self.network.config.longest_seconds * min(1.0, config.scenes.slowest)
        if config.scenes.longest_seconds > fits:
            raise ConfigError(
                f"train.scenes.longest_seconds: {config.scenes.longest_seconds:g} s are more than the network hears at "
                f"once; use at most {fits:.1f}"
            )
        longest = 0.8 * config.scenes.longest_seconds
        self.speech = Speech(corpus, config.held_out_speakers, longest)
        self.rate = self.network.config.ear.sample_rate
        self.director = Director(self.speech, config.scenes, self.rate, config.seed)

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """The network."""
        return {"network": self.network}

    @property
    def learners(self) -> Mapping[str, Learner]:
        """The network."""
        return {"model": Learner(self.network, self.config.optim)}

    def batch(self, number: int) -> SceneBatch:
        """Scenes of similar length."""
        plans = [self.director.plan(self.speech.train, 0, number, each) for each in range(self.config.candidates)]
        generator = np.random.default_rng((self.config.seed, 59, number))
        budget = round(10 * self.config.seconds_per_batch)
        chosen = similar(plans, lambda plan: max(1, round(10 * plan.seconds)), budget, generator)
        return self._stacked([self.director.scene(plan) for plan in chosen])

    def held_out(self) -> list[Plan]:
        """The scenes that are measured, always the same."""
        count = self.config.held_out_scenes
        return [self.director.plan(self.speech.held_out, HELD_OUT, each) for each in range(count)]

    def _stacked(self, scenes: Sequence[Scene]) -> SceneBatch:
        waves = [torch.from_numpy(scene.samples) for scene in scenes]
        turns = [encode(write_turns(scene.answer.turns)) for scene in scenes]
        answers = [[*encode(write_header(s.answer)), *said, END] for s, said in zip(scenes, turns, strict=True)]
        return SceneBatch(
            pad_sequence(waves, batch_first=True),
            torch.tensor([len(wave) for wave in waves]),
            _padded(answers, _NOTHING),
            _padded(turns, _NOTHING),
            _padded([scene.labels.tolist() for scene in scenes], UNKNOWN_PHONE),
        )

    def extent(self, batch: SceneBatch) -> Extent:
        """In scenes, seconds and samples, padding included."""
        return Extent(len(batch.wave), float(batch.samples.sum()) / self.rate, batch.wave.numel())

    def objectives(self, batch: SceneBatch, progress: float) -> Iterator[Objective]:
        """All losses together."""
        del progress
        losses, _ = self._losses(batch, masked=True)
        config = self.config
        weights = {"ctc": config.ctc_weight, "answer": config.answer_weight, "phone": config.phone_weight}
        yield Objective("model", sum_of(losses, weights), losses)

    def _losses(self, batch: SceneBatch, masked: bool) -> tuple[dict[str, Tensor], Impression]:
        network = self.network
        with full_precision(batch.wave.device):
            features = network.ear(batch.wave, batch.samples)
        mels = network.ear.frames(batch.samples)
        if masked:
            features = mask(features, mels, self.config.masks)
        heard = network.hear(features, mels)
        present = batch.answer[:, :-1] != _NOTHING
        logits = network.answer(heard, batch.answer[:, :-1].clamp_min(0), present)
        with full_precision(batch.wave.device):
            losses = {
                "ctc": _ctc(heard, batch.spoken),
                "answer": self._answer_loss(logits.float(), batch.answer),
                "phone": self._phone_loss(heard, batch),
            }
        return losses, heard

    def _answer_loss(self, logits: Float[Tensor, "batch place symbol"], answer: Tensor) -> Float[Tensor, ""]:
        """Mean cross entropy of the tokens, a tag's weighed more."""
        losses = functional.cross_entropy(
            logits.flatten(0, 1), answer.flatten(), reduction="none", ignore_index=_NOTHING,
            label_smoothing=self.config.smoothing,
        )  # fmt: skip
        tags = torch.tensor([is_tag(token) for token in range(logits.shape[-1])], device=answer.device)
        known = (answer != _NOTHING).flatten()
        weights = torch.where(tags[answer.clamp_min(0)].flatten(), self.config.tag_weight, 1.0) * known
        return (losses * weights).sum() / weights.sum()

    def _phone_loss(self, heard: Impression, batch: SceneBatch) -> Float[Tensor, ""]:
        """Mean cross entropy of the phone in the middle of each slot, where it is known."""
        slots = heard.phones.shape[1]
        seconds = self.network.config.ear.hop_samples * 2 / self.rate / self.network.config.ctc_symbols
        middles = (torch.arange(slots, device=batch.phones.device) + 0.5) * (seconds / self.director.label_seconds)
        places = middles.long()
        inside = places < batch.phones.shape[1]
        labels = batch.phones[:, places.clamp_max(batch.phones.shape[1] - 1)]
        targets = labels.where(inside, UNKNOWN_PHONE)
        return known_cross_entropy(heard.phones.flatten(0, 1), targets.flatten(), UNKNOWN_PHONE)

    def evaluate(self, device: torch.device) -> Mapping[str, float]:
        """Held-out losses, and edits a letter and a word of what CTC hears best at every moment."""
        totals: dict[str, float] = {}
        counts = {"letter": [0, 0], "word": [0, 0]}
        plans = sorted(self.held_out(), key=lambda plan: plan.seconds)
        groups = [plans[start : start + _EVALUATED] for start in range(0, len(plans), _EVALUATED)]
        for group in groups:
            batch = self._stacked([self.director.scene(plan) for plan in group]).to(device)
            losses, heard = self._losses(batch, masked=False)
            for name, value in losses.items():
                totals[name] = totals.get(name, 0.0) + float(value) * len(group) / len(plans)
            for said, truth in zip(greedy(heard), batch.spoken.tolist(), strict=True):
                _count(counts, decode(_letters(said)), decode(_letters(truth)))
        return {**totals, **{f"{name}_errors": wrong / max(1, of) for name, (wrong, of) in counts.items()}}

    def export(self, folder: Path) -> None:
        """``config.json`` and ``model.safetensors``."""
        save_network(self.network, folder)


_EVALUATED = 8


def sum_of(losses: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """The weighed sum of those losses that have a weight."""
    return torch.stack([weights[name] * loss for name, loss in losses.items()]).sum()


def mask(
    features: Float[Tensor, "batch band mel"], mels: Int[Tensor, " batch"], config: MaskConfig
) -> Float[Tensor, "batch band mel"]:
    """Features with stretches put to 0, which is about their mean; drawn from torch's generator on the host."""
    rows, bands, frames = features.shape
    hidden = torch.zeros(rows, bands, frames, dtype=torch.bool)
    for _ in range(config.band_masks):
        hidden |= _stretches(torch.full((rows,), bands), bands, config.widest_bands)[:, :, None]
    for _ in range(config.time_masks):
        hidden |= _stretches(mels.cpu(), frames, config.longest_frames)[:, None]
    return features.masked_fill(hidden.to(features.device), 0.0)


def _stretches(lengths: Int[Tensor, " batch"], size: int, longest: int) -> Bool[Tensor, "batch place"]:
    """One stretch of each row, at most ``longest`` and a fifth of its length."""
    most = lengths.div(5, rounding_mode="floor").clamp(max=longest)
    taken = (torch.rand(len(lengths)) * (most + 1)).long()
    first = (torch.rand(len(lengths)) * (lengths - taken + 1)).long()
    places = torch.arange(size)
    return (places >= first[:, None]) & (places < (first + taken)[:, None])


def greedy(heard: Impression) -> list[list[int]]:
    """The likeliest symbol of every slot, repeats and blanks taken out."""
    best = heard.symbols.argmax(-1).cpu()
    rows = (row[:count].unique_consecutive() for row, count in zip(best, heard.num_slots.tolist(), strict=True))
    return [row[row != BLANK].tolist() for row in rows]


def _ctc(heard: Impression, spoken: Int[Tensor, "batch heard"]) -> Float[Tensor, ""]:
    """The mean over all symbols; recordings too short for what is said in them count nothing."""
    log_probs = heard.symbols.float().log_softmax(-1).transpose(0, 1)
    counts = (spoken != _NOTHING).sum(1)
    losses = functional.ctc_loss(
        log_probs, spoken.clamp_min(0), heard.num_slots, counts, BLANK, reduction="none", zero_infinity=True
    )
    return losses.sum() / counts.sum().clamp_min(1)


def _started(config: UnderstandingTrainConfig) -> UnderstandingNetwork:
    """A new network, one that goes on learning, or one around a published tower."""
    own = replace(config.model, held_out_speakers=config.held_out_speakers)
    if config.start_from is None:
        return UnderstandingNetwork(own)
    folder = locate(config.start_from)
    if is_understanding(folder):
        known = read_config(folder)
        if heard := sorted(set(config.held_out_speakers) - set(known.held_out_speakers)):
            raise ConfigError(
                f"train.held_out_speakers: '{folder}' has learned from {', '.join(heard)}, or may have; hold out only "
                f"those that it held out ({', '.join(known.held_out_speakers) or 'nobody'}), or begin anew"
            )
        sizes = replace(known, held_out_speakers=config.held_out_speakers)
        network = UnderstandingNetwork(sizes)
        network.load_state_dict(load_network(folder).state_dict())
        return network
    network = UnderstandingNetwork(published_config(folder, own))
    load_published(folder, network)
    return network


def _letters(symbols: Sequence[int]) -> list[int]:
    return [symbol if symbol < BYTES else ord(" ") for symbol in symbols if symbol != _NOTHING]


def _count(counts: Mapping[str, list[int]], said: str, truth: str) -> None:
    for name, one, other in (("letter", said.strip(), truth.strip()), ("word", said.split(), truth.split())):
        counts[name][0] += edits(one, other)
        counts[name][1] += len(other)


def _padded(rows: Sequence[Sequence[int]], value: int) -> Int[Tensor, "batch item"]:
    return pad_sequence([torch.tensor(row, dtype=torch.long) for row in rows], True, value)
