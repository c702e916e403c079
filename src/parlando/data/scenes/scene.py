"""A scene: first planned, which costs nothing, then heard; both are pure functions of a seed and a number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from parlando.audio.resample import resample
from parlando.audio.sounds import SHORT_EVENTS, by_telephone, reverberated
from parlando.core.config import NotNegative, Positive, Share
from parlando.core.errors import ConfigError
from parlando.data.sampler import at_speed
from parlando.data.scenes.sources import Speech, sounds_at
from parlando.data.shards import PHONES, Entry
from parlando.text.answer import EVENTS, PLACES, Answer, Turn

MUSIC = EVENTS[0]
PAUSE_SECONDS, EDGE_SECONDS = (0.25, 0.7), (0.05, 0.4)
SPEECHLESS_SECONDS = (1.5, 4.0)
DECAY_SECONDS = {"room": (0.45, 0.75), "hall": (0.9, 1.5)}
ROOM_TONE, LOUDEST = 2e-4, 0.97
SILENCE = PHONES.index("pau")


@dataclass(frozen=True)
class SceneConfig:
    """How scenes are drawn: the ``places`` by weights, the rest by shares.

    Two speakers take ``two_speakers`` of the scenes, one after the other, nobody ``speechless``. Noise lies
    ``noise_db`` below the speech (in a noisy place; elsewhere there is none), music and events ``behind_db``. Of the
    utterances a share ``warped`` is said faster or slower, between the two speeds.
    """

    places: Mapping[str, NotNegative] = field(
        default_factory=lambda: {"quiet": 2.0, "room": 1.0, "hall": 1.0, "telephone": 1.0, "noisy": 1.0}
    )
    two_speakers: Share = 0.25
    speechless: Share = 0.03
    music: Share = 0.15
    event: Share = 0.25
    loudest_noise_db: Positive = 3.0
    softest_noise_db: Positive = 15.0
    loudest_behind_db: Positive = 6.0
    softest_behind_db: Positive = 18.0
    warped: Share = 0.5
    slowest: Positive = 0.9
    fastest: Positive = 1.1
    longest_seconds: Positive = 14.0

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.places) - set(PLACES)):
            raise ConfigError(f"places: {', '.join(unknown)} is none of {', '.join(PLACES)}")
        if self.slowest > self.fastest:
            raise ConfigError(f"slowest: {self.slowest:g} is more than fastest, {self.fastest:g}")
        if not any(self.places.values()):
            raise ConfigError("places: at least one needs a weight above 0")


CLEAN = SceneConfig({"quiet": 1.0}, two_speakers=0.0, speechless=0.0, music=0.0, event=0.0, warped=0.0)
"""One utterance as it is."""


@dataclass(frozen=True)
class Plan:
    """What is to be heard; ``seed`` draws what the answer does not say, ``seconds`` is about how long it will be."""

    entries: tuple[Entry, ...]
    speeds: tuple[float, ...]
    place: str
    events: tuple[str, ...]
    seconds: float
    seed: tuple[int, ...]


@dataclass(frozen=True)
class Scene:
    """Samples (float32), the truth, and phone labels of equal parts of the time (uint8, indices into `PHONES`)."""

    samples: np.ndarray
    answer: Answer
    labels: np.ndarray


class Director:
    """Plans scenes of utterances and sounds them out at a rate."""

    def __init__(self, speech: Speech, config: SceneConfig, rate: int, seed: int = 0) -> None:
        self.speech, self.config, self.rate, self._seed = speech, config, rate, seed
        self.sounds = sounds_at(rate, seed)
        frame = speech.corpus.config
        self.label_seconds = frame.frame_samples / frame.labels_per_frame / frame.sample_rate
        self._places = sorted(config.places)
        weights = np.array([config.places[name] for name in self._places])
        self._cumulative = np.cumsum(weights / weights.sum())

    def plan(self, entries: Sequence[Entry], *number: int) -> Plan:
        """The scene of a number, with utterances out of some."""
        seed = (self._seed, 53, *number)
        generator, config = np.random.default_rng(seed), self.config
        chosen = self._cast(entries, generator)
        warped = generator.random(len(chosen)) < config.warped
        speeds = np.where(warped, generator.uniform(config.slowest, config.fastest, len(chosen)), 1.0)
        place = self._places[min(int(np.searchsorted(self._cumulative, generator.random())), len(self._places) - 1)]
        drawn = [SHORT_EVENTS[generator.integers(len(SHORT_EVENTS))]] if generator.random() < config.event else []
        drawn += [MUSIC] if generator.random() < config.music else []
        seconds = sum(self._seconds(entry) / speed for entry, speed in zip(chosen, speeds, strict=True)) or 3.0
        return Plan(chosen, tuple(map(float, speeds)), place, tuple(e for e in EVENTS if e in drawn), seconds, seed)

    def _cast(self, entries: Sequence[Entry], generator: np.random.Generator) -> tuple[Entry, ...]:
        """Nobody, one utterance, or those of two speakers, if they fit."""
        first = entries[int(generator.integers(len(entries)))]
        other = entries[int(generator.integers(len(entries)))]
        kind = generator.random()
        if kind < self.config.speechless:
            return ()
        fits = self._seconds(first) + self._seconds(other) <= 0.85 * self.config.longest_seconds
        together = fits and other.speaker != first.speaker
        return (first, other) if together and kind > 1 - self.config.two_speakers else (first,)

    def _seconds(self, entry: Entry) -> float:
        return entry.samples / self.speech.corpus.config.sample_rate

    def scene(self, plan: Plan) -> Scene:
        """What a plan becomes."""
        generator = np.random.default_rng((*plan.seed, 1))
        wave, labels = self._spoken(plan, generator)
        level = float(np.sqrt(np.square(wave).mean())) or 0.05
        wave = self._around(self._in_place(wave, plan, level, generator), plan, level, generator)
        if plan.place == "telephone":
            wave = by_telephone(wave, self.rate)
        peak = float(np.abs(wave).max())
        gain = min(generator.uniform(0.5, 1.5), LOUDEST / max(peak, 1e-6))
        return Scene((gain * wave).astype(np.float32), self.answer(plan), labels)

    def answer(self, plan: Plan) -> Answer:
        """The truth of a plan."""
        names = list(dict.fromkeys(entry.speaker for entry in plan.entries))
        feelings = {self.speech.emotions.get(entry.id) for entry in plan.entries}
        return Answer(
            plan.place,
            plan.events,
            feelings.pop() if len(feelings) == 1 else None,
            tuple(self.speech.speaker(name) for name in names),
            tuple(Turn(names.index(entry.speaker), self.speech.text(entry)) for entry in plan.entries),
        )

    def _spoken(self, plan: Plan, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """The utterances one after the other, with pauses; and their phones."""
        parts = [self._pause(EDGE_SECONDS if plan.entries else SPEECHLESS_SECONDS, generator)]
        for place, (entry, speed) in enumerate(zip(plan.entries, plan.speeds, strict=True)):
            parts.append(self._utterance(entry, speed))
            last = place == len(plan.entries) - 1
            parts.append(self._pause(EDGE_SECONDS if last else PAUSE_SECONDS, generator))
        waves, labels = zip(*parts, strict=True)
        wave = np.concatenate(waves)
        return wave + ROOM_TONE * generator.standard_normal(len(wave)), np.concatenate(labels)

    def _pause(self, seconds: tuple[float, float], generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        count = max(1, round(generator.uniform(*seconds) / self.label_seconds))
        return np.zeros(round(count * self.label_seconds * self.rate)), np.full(count, SILENCE, np.uint8)

    def _utterance(self, entry: Entry, speed: float) -> tuple[np.ndarray, np.ndarray]:
        corpus = self.speech.corpus
        heard = resample(corpus.samples(entry), corpus.config.sample_rate, self.rate)
        labels = corpus.labels(entry)
        count = max(1, round(labels.size / speed))
        samples = round(count * self.label_seconds * self.rate)
        wave = np.interp(np.arange(samples) * speed, np.arange(len(heard)), heard)
        return wave, at_speed(labels.reshape(-1, 1), speed, count).reshape(-1)

    def _in_place(self, wave: np.ndarray, plan: Plan, level: float, generator: np.random.Generator) -> np.ndarray:
        if plan.place in DECAY_SECONDS:
            wave = reverberated(wave, self.rate, generator.uniform(*DECAY_SECONDS[plan.place]), generator)
        if plan.place == "noisy":
            below = generator.uniform(self.config.loudest_noise_db, self.config.softest_noise_db)
            wave = wave + _levelled(self.sounds.noise(len(wave), generator), level, below)
        return wave

    def _around(self, wave: np.ndarray, plan: Plan, level: float, generator: np.random.Generator) -> np.ndarray:
        """With music and events behind."""
        wave = wave.copy()
        for name in plan.events:
            below = generator.uniform(self.config.loudest_behind_db, self.config.softest_behind_db)
            if name == MUSIC:
                wave += _levelled(self.sounds.music(len(wave), generator), level, below)
            else:
                sound = _levelled(self.sounds.event(name, generator), level, below)[: len(wave)]
                start = int(generator.integers(len(wave) - len(sound) + 1))
                wave[start : start + len(sound)] += sound
        return wave


def _levelled(sound: np.ndarray, level: float, below_db: float) -> np.ndarray:
    return sound * (level * 10 ** (-below_db / 20) / max(float(np.sqrt(np.square(sound).mean())), 1e-9))
