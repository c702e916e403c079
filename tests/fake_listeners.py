"""Models for annotations that need no weights: they tell voices, words and music apart by pitch."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass

import numpy as np

from parlando.annotate.plan import Models
from parlando.annotate.step import Lazy
from parlando.annotate.steps.transcribe import Listener
from parlando.audio.clip import Clip
from parlando.audio.files import write_audio

RATE = 16_000
LOW, HIGH, FOREIGN, DEADLY, FAULTY, MUSIC = 110.0, 220.0, 160.0, 260.0, 290.0, 600.0
WORDS = {LOW: "Good morning, Anna.", HIGH: "It is half past nine.", FOREIGN: "Guten Morgen."}
SPOKEN = {LOW: "good morning anna", HIGH: "it is half past nine", FOREIGN: "guten morgen"}


def voice(hertz: float, seconds: float, level: float = 0.3) -> np.ndarray:
    """A tone and its octave, with a breath of noise, whose level swings as syllables do."""
    time = np.arange(round(seconds * RATE)) / RATE
    breath = 0.02 * np.random.default_rng(round(hertz)).standard_normal(len(time))
    tone = np.sin(2 * np.pi * hertz * time) + 0.5 * np.sin(4 * np.pi * hertz * time) + breath
    return (level * tone * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * time))).astype(np.float32)


def pause(seconds: float, seed: int = 0) -> np.ndarray:
    return (1e-4 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))).astype(np.float32)


def hertz_of(samples: np.ndarray, rate: int) -> float:
    """The strongest frequency, as the nearest of those that a test speaks at."""
    if len(samples) < 160 or float(np.abs(samples).max()) < 0.01:
        return 0.0
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 1 << 16))
    found = float(spectrum.argmax()) * rate / (1 << 16)
    return min((LOW, HIGH, FOREIGN, DEADLY, FAULTY, MUSIC), key=lambda each: abs(each - found))


@dataclass(frozen=True)
class Heard:
    label: str
    start_seconds: float
    end_seconds: float


class PitchEvents:
    def events(self, clip: Clip) -> list[Heard]:
        size = round(0.1 * clip.sample_rate)
        found = []
        for start in range(0, len(clip.samples), size):
            hertz = hertz_of(clip.samples[start : start + size], clip.sample_rate)
            if hertz:
                label = "music" if hertz == MUSIC else "speech"
                found.append(Heard(label, start / clip.sample_rate, (start + size) / clip.sample_rate))
        return found


class PitchVoices:
    def embed(self, clip: Clip) -> np.ndarray:
        places = {LOW: 0, HIGH: 1, FOREIGN: 2, DEADLY: 3, FAULTY: 4, MUSIC: 5, 0.0: 6}
        return np.eye(7, dtype=np.float32)[places[hertz_of(clip.samples, clip.sample_rate)]]


@dataclass(frozen=True)
class HeardWord:
    text: str
    start_seconds: float
    end_seconds: float
    confidence: float = 0.9


class PitchWords:
    """Hears the words of a pitch, kills its process at one, fails at another."""

    def hear(self, clip: Clip, language: str) -> str:
        hertz = hertz_of(clip.samples, clip.sample_rate)
        if hertz == DEADLY:
            os.kill(os.getpid(), signal.SIGKILL)
        if hertz == FAULTY:
            raise RuntimeError("no such pitch")
        return WORDS.get(hertz, "")

    def hear_words(self, clip: Clip, language: str) -> list[HeardWord]:
        words = self.hear(clip, language).split()
        step = clip.duration_seconds / max(1, len(words))
        return [HeardWord(word, place * step, (place + 1) * step) for place, word in enumerate(words)]


class HalfDeaf:
    """Misses every first word."""

    def hear(self, clip: Clip, language: str) -> str:
        return " ".join(PitchWords().hear(clip, language).split()[1:])


class PitchLanguages:
    def languages(self, clip: Clip) -> dict[str, float]:
        german = 0.95 if hertz_of(clip.samples, clip.sample_rate) == FOREIGN else 0.05
        return {"de": german, "en": 1 - german}


class LoudMarks:
    def rate(self, clip: Clip) -> dict[str, float]:
        return {"mos": 1 + 4 * min(1.0, float(np.abs(clip.samples).max()))}


def models(**changed) -> Models:
    given = {
        "recognisers": (
            Listener("first", Lazy(PitchWords, "pitch 1")),
            Listener("second", Lazy(PitchWords, "pitch 2"), 0.5),
            Listener("third", Lazy(HalfDeaf, "half deaf"), 0.3, ("en",)),
        ),
        "speakers": Lazy(PitchVoices, "voices"),
        "events": Lazy(PitchEvents, "events"),
        "language": Lazy(PitchLanguages, "languages"),
        "mos": Lazy(LoudMarks, "marks"),
    }
    return Models(**{**given, **changed})


def make_raw(folder) -> None:
    """A dialogue of two, a foreigner, music, silence, an empty file, a copy, a text and noise."""
    folder.mkdir()
    parts = [pause(0.5), voice(LOW, 2.0), pause(1.0), voice(HIGH, 2.4), pause(1.0), voice(LOW, 1.6), pause(0.5)]
    write_audio(folder / "dialogue.wav", np.concatenate(parts), RATE)
    write_audio(folder / "foreign.flac", np.concatenate([pause(0.4), voice(FOREIGN, 3.4), pause(0.4)]), RATE)
    write_audio(folder / "music.flac", voice(MUSIC, 3.0), RATE)
    write_audio(folder / "silent.wav", np.zeros(RATE, np.float32), RATE)
    (folder / "empty.mp3").write_bytes(b"")
    (folder / "text.wav").write_text("no audio at all\n" * 9)
    (folder / "copy.wav").write_bytes((folder / "dialogue.wav").read_bytes())
    (folder / "notes.txt").write_text("not looked at")
