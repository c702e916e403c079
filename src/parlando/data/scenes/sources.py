"""What scenes are made of: utterances by their speakers, who is learned from and who is held out, and sounds."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cache, cached_property
from pathlib import Path

import numpy as np

from parlando.audio.pitch import pitch_track
from parlando.audio.sounds import SHORT_EVENTS, event, music, noise
from parlando.audio.voicing import gender_of, pitch_of
from parlando.core.config import read_json
from parlando.core.errors import ConfigError
from parlando.data.sentences import sentence_key
from parlando.data.shards import Entry, PackedCorpus
from parlando.text.answer import EMOTIONS, HeardSpeaker
from parlando.text.normalize import LANGUAGES, normalize

EMOTIONS_FILE = "emotions.json"
PITCH_SECONDS, SURE_GENDER = 12.0, 0.7
MUSIC_SECONDS, NOISE_SECONDS, NOISES, VARIANTS = 20.0, 20.0, 4, 4
EVENT_SECONDS = (0.7, 1.6)
_WRITTEN = " abcdefghijklmnopqrstuvwxyz'.,?"


def transcript(text: str, language: str) -> str:
    """A text as it is to be heard: in words, lower-case, with the marks that are heard; of English, nothing else."""
    said = normalize(text, language) if language in LANGUAGES else text
    said = said.lower().replace("’", "'")
    if language == "en":
        said = said.translate(str.maketrans("!;:", ".,,"))
        said = "".join(sign if sign in _WRITTEN else " " for sign in said)
    return " ".join(said.split())


class Speech:
    """Utterances with texts: ``train``, and ``held_out``.

    With ``held_out_speakers``, nothing that they say is learned from, in no voice; otherwise the corpus's held-out
    sentences are not.

    Raises:
        ConfigError: there is nothing to learn from, or a speaker is unknown.
    """

    def __init__(self, corpus: PackedCorpus, held_out_speakers: Collection[str], longest_seconds: float) -> None:
        self.corpus = corpus
        longest = longest_seconds * corpus.config.sample_rate
        usable = [entry for entry in corpus.entries if entry.text.strip() and entry.samples <= longest]
        speakers = {entry.speaker for entry in usable}
        if unknown := sorted(set(held_out_speakers) - speakers):
            raise ConfigError(f"held_out_speakers: nobody in '{corpus.folder}' is named {', '.join(unknown)}")
        if held_out_speakers:
            self.held_out = [entry for entry in usable if entry.speaker in held_out_speakers]
            # Long ones too: somebody else may say them faster.
            theirs = (entry for entry in corpus.entries if entry.speaker in held_out_speakers)
            kept_back = {sentence_key(entry.text) for entry in theirs}
            others = (entry for entry in usable if entry.speaker not in held_out_speakers)
            self.train = [e for e in others if e.split == "train" and sentence_key(e.text) not in kept_back]
        else:
            self.train = [entry for entry in usable if entry.split == "train"]
            self.held_out = [entry for entry in usable if entry.split != "train"] or self.train[:1]
        if not self.train:
            raise ConfigError(
                f"no utterance of '{corpus.folder}' with a text and at most {longest_seconds:g} seconds is left to "
                "learn from; give more, or hold out fewer speakers"
            )
        self._texts: dict[str, str] = {}
        self._kinds: dict[str, HeardSpeaker] = {}

    def text(self, entry: Entry) -> str:
        """What is to be heard of an utterance."""
        key = f"{entry.language} {entry.text}"
        if key not in self._texts:
            self._texts[key] = transcript(entry.text, entry.language)
        return self._texts[key]

    def speaker(self, name: str) -> HeardSpeaker:
        """How a speaker sounds, by the median pitch of some of the utterances."""
        if name not in self._kinds:
            hertz = self._pitch([entry for entry in (*self.train, *self.held_out) if entry.speaker == name])
            gender, sure = gender_of(hertz)
            gender = gender if sure >= SURE_GENDER else "unknown"
            self._kinds[name] = HeardSpeaker(gender, pitch_of(gender, hertz))
        return self._kinds[name]

    @cached_property
    def emotions(self) -> dict[str, str]:
        """Emotions of utterances by their ids, where the corpus's folder has `EMOTIONS_FILE`."""
        path: Path = self.corpus.folder / EMOTIONS_FILE
        known = read_json(path) if path.is_file() else {}
        if wrong := sorted({str(each) for each in known.values()} - set(EMOTIONS)):
            raise ConfigError(f"{path}: {', '.join(wrong)} is none of {', '.join(EMOTIONS)}")
        return known

    def _pitch(self, entries: Sequence[Entry]) -> float:
        """Median hertz; as the teacher tells, else as it is measured."""
        voiced, seconds, rate = [np.zeros(0)], 0.0, self.corpus.config.sample_rate
        for entry in entries:
            if seconds < PITCH_SECONDS:
                told = self.corpus.tracks(entry)
                track = pitch_track(self.corpus.samples(entry), rate) if told is None else told[..., 0].reshape(-1)
                voiced.append(track[track > 0])
                seconds += entry.samples / rate
        found = np.concatenate(voiced)
        return float(np.median(found)) if len(found) else 0.0


class Sounds:
    """Music, noises and events at a rate, made once (`sounds_at`)."""

    def __init__(self, rate: int, seed: int) -> None:
        generator = np.random.default_rng((seed, 41))
        self.rate = rate
        self._music = music(MUSIC_SECONDS, rate, generator)
        self._noises = [noise(NOISE_SECONDS, rate, generator) for _ in range(NOISES)]
        self._events = {
            name: [event(name, generator.uniform(*EVENT_SECONDS), rate, generator) for _ in range(VARIANTS)]
            for name in SHORT_EVENTS
        }

    def music(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """So many samples of music, from anywhere."""
        return _cut(self._music, count, generator)

    def noise(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """So many samples of one noise."""
        return _cut(self._noises[generator.integers(NOISES)], count, generator)

    def event(self, name: str, generator: np.random.Generator) -> np.ndarray:
        """An event, as it happens once."""
        return self._events[name][generator.integers(VARIANTS)]


@cache
def sounds_at(rate: int, seed: int) -> Sounds:
    """The sounds of a seed."""
    return Sounds(rate, seed)


def _cut(wave: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    return np.resize(np.roll(wave, -int(generator.integers(len(wave)))), count)
