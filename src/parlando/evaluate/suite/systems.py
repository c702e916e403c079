"""What is evaluated, all by one promise: our models, a folder of recordings, teachers, functions and programs."""

from __future__ import annotations

import hashlib
import shlex
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from parlando.audio.clip import Clip, as_mono
from parlando.audio.files import read_audio
from parlando.core.errors import ConfigError, GenerationError, InputError
from parlando.core.types import Voice
from parlando.data.teachers import find_teacher, teacher_of
from parlando.data.teachers.protocol import Line, Unspoken
from parlando.evaluate.load.listener import PLAYABLE_SECONDS
from parlando.evaluate.suite.items import Item, Sample
from parlando.evaluate.suite.store import digest_of, file_digest

if TYPE_CHECKING:
    from parlando.speech import Synthesizer

ENDS_BYTES = 1 << 20
TURN_PAUSE_SECONDS = 0.3
WARM_UP = "Warm up."


@dataclass(frozen=True)
class Said:
    """What a system said; seconds are None where nobody could measure them, as of a folder of recordings."""

    clip: Clip
    work_seconds: float | None = None
    first_audio_seconds: float | None = None


class System(Protocol):
    """Whatever says items. ``name`` is for people, ``identity`` tells it from every other way of saying them."""

    name: str
    identity: Mapping[str, Any]

    def prepare(self) -> None:
        """Do once what no item's time should hold: load, warm up."""
        ...

    def content(self, item: Item) -> str:
        """What besides the identity decides what is said: for recordings, what their files hold."""
        ...

    def say(self, item: Item, seed: int) -> Said:
        """Say one item.

        Raises:
            ParlandoError: it cannot; the run goes on with the next item.
        """
        ...


class Maker:
    """What systems have in common that make their audio when asked."""

    def prepare(self) -> None:
        """There is nothing to prepare."""

    def content(self, item: Item) -> str:
        """Their identity says it all."""
        return ""


class ModelSystem(Maker):
    """A model of ours: in the voice of the item's sample, or in ``voice`` where that is given."""

    def __init__(self, name: str, load: Callable[[], Synthesizer], folder: Path, voice: str | None = None) -> None:
        self.name = f"{name}@{voice}" if voice else name
        self.identity: Mapping[str, Any] = {"model": folder_digest(folder), "voice": voice}
        self._load, self._voice = load, voice
        self._clones: dict[tuple[str, str], Voice] = {}

    def prepare(self) -> None:
        """Load it, and have it say something."""
        voices = self._synthesizer
        if voices.model.default_voice or self._voice:
            list(voices.stream(WARM_UP, self._voice, seed=0))

    def say(self, item: Item, seed: int) -> Said:
        """Say it as a stream, so that the first audio is measured too."""
        if item.turns:
            return self._say_turns(item, seed)
        voice = self._speaker(item.sample)
        return _collected(self._synthesizer.stream(item.text, voice, **self._options(item, seed)))

    def _say_turns(self, item: Item, seed: int) -> Said:
        """Each turn in the voice of its speaker's sample, or in a voice of the model for each speaker."""
        synthesizer = self._synthesizer
        names = [synthesizer.model.default_voice, *synthesizer.voices]
        own = list(dict.fromkeys(name for name in names if name))
        said: list[Said] = []
        for number, turn in enumerate(item.turns):
            voice: Voice | str | None = own[turn.speaker % len(own)] if own else None
            if item.samples:
                voice = self._speaker(item.samples[turn.speaker])
            said.append(_collected(synthesizer.stream(turn.text, voice, **self._options(item, seed + number))))
        return joined(said)

    def _options(self, item: Item, seed: int) -> dict[str, Any]:
        return {"seed": seed, "language": item.language}

    def _speaker(self, sample: Sample | None) -> Voice | str | None:
        if self._voice or sample is None:
            return self._voice
        key = (str(sample.audio), sample.text)
        if key not in self._clones:
            self._clones[key] = self._synthesizer.clone(sample.audio, sample.text)
        return self._clones[key]

    @cached_property
    def _synthesizer(self) -> Synthesizer:
        return self._load()


@dataclass
class FolderSystem(Maker):
    """Recordings that are there already: ``<id>.wav`` (or flac, mp3, ogg, opus) in a folder."""

    folder: Path
    endings: Sequence[str] = (".wav", ".flac", ".mp3", ".ogg", ".opus")
    name: str = field(init=False)
    identity: Mapping[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.name = self.folder.name
        self.identity = {"folder": str(self.folder.resolve())}

    def content(self, item: Item) -> str:
        """Of the file itself: another one in its place is another output."""
        return file_digest(self._path(item))

    def say(self, item: Item, seed: int) -> Said:
        """Read it."""
        return Said(read_audio(self._path(item)))

    def _path(self, item: Item) -> Path:
        found = next((p for p in (self.folder / (item.id + end) for end in self.endings) if p.is_file()), None)
        if found is None:
            raise InputError(f"there is no {item.id}{self.endings[0]} in '{self.folder}'")
        return found


class Recordings(Maker):
    """The people themselves: the recording that a list names for an item."""

    name = "recordings"
    identity: Mapping[str, Any] = {"recordings": True}

    def content(self, item: Item) -> str:
        """Of the file itself."""
        return file_digest(self._path(item))

    def say(self, item: Item, seed: int) -> Said:
        """Read it."""
        return Said(read_audio(self._path(item)))

    def _path(self, item: Item) -> Path:
        if item.recording is None:
            raise InputError("the list names no recording of it")
        return item.recording


class TeacherSystem(Maker):
    """A synthetic teacher by its voice (``slt``), or by its name and a voice (``kokoro@af_heart``)."""

    def __init__(self, spec: str) -> None:
        name, _, self._voice = spec.rpartition("@")
        self._teacher = find_teacher(name) if name else teacher_of(self._voice)
        self.name = spec
        self.identity: Mapping[str, Any] = {"teacher": spec}

    def prepare(self) -> None:
        """Have it say something."""
        self._teacher.prepare()
        self._clip(WARM_UP)

    def say(self, item: Item, seed: int) -> Said:
        """Say it; nothing is heard before all is there."""
        return _timed(lambda: self._clip(item.text))

    def _clip(self, text: str) -> Clip:
        (spoken,) = self._teacher.speak([Line(text)], self._voice)
        if isinstance(spoken, Unspoken):
            raise InputError(f"{self.name} does not say it: {spoken.reason}")
        return Clip(as_mono(spoken.samples), spoken.sample_rate)


class CallSystem(Maker):
    """Any Python function of a text (and a voice's name, where one is given) that gives samples and their rate."""

    def __init__(self, function: Callable[..., tuple[Any, int]], place: str, voice: str | None = None) -> None:
        self._function = function
        self.name = f"{function.__name__}@{voice}" if voice else function.__name__
        self.identity: Mapping[str, Any] = {"call": place, "voice": voice}
        self._more = (voice,) if voice else ()

    def prepare(self) -> None:
        """Have it say something."""
        self._clip(WARM_UP)

    def say(self, item: Item, seed: int) -> Said:
        """Call it; nothing is heard before all is there."""
        return _timed(lambda: self._clip(item.text))

    def _clip(self, text: str) -> Clip:
        samples, sample_rate = self._function(text, *self._more)
        return Clip(as_mono(np.asarray(samples)), int(sample_rate))


class CommandSystem(Maker):
    """Any program that writes ``{out}``; ``{text}``, ``{seed}``, ``{sample}`` and ``{sample_text}`` are filled in."""

    def __init__(self, command: str, timeout_seconds: float = 600.0) -> None:
        self._words = shlex.split(command)
        if not self._words or not any("{out}" in word for word in self._words):
            raise ConfigError(
                f"'command:{command}' does not say where to write; put {{out}} where the file's path goes"
            )
        self.name = Path(self._words[0]).name
        self.identity: Mapping[str, Any] = {"command": command}
        self._timeout_seconds = timeout_seconds

    def say(self, item: Item, seed: int) -> Said:
        """Run it; its start is part of the time."""
        with tempfile.TemporaryDirectory(prefix="parlando-") as folder:
            out = Path(folder) / "out.wav"
            sample = item.sample or Sample(Path())
            filled = {
                "text": item.text, "out": str(out), "seed": str(seed),
                "sample": str(sample.audio), "sample_text": sample.text,
            }  # fmt: skip
            words = [_filled(word, filled) for word in self._words]
            return _timed(lambda: self._run(words, out))

    def _run(self, words: Sequence[str], out: Path) -> Clip:
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=self._timeout_seconds, check=False)
        except subprocess.TimeoutExpired as error:
            raise GenerationError(f"'{words[0]}' took longer than {self._timeout_seconds:.0f} s") from error
        if done.returncode or not out.is_file():
            last = done.stderr.strip().splitlines()[-1:] or ["it wrote no file"]
            raise GenerationError(f"'{words[0]}' ended with {done.returncode}: {last[0]}")
        return read_audio(out)


def _filled(word: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        word = word.replace(f"{{{name}}}", value)
    return word


def _timed(make: Callable[[], Clip]) -> Said:
    started = time.perf_counter()
    clip = make()
    elapsed = time.perf_counter() - started
    return Said(clip, elapsed, elapsed)


def _collected(chunks: Iterable[Any]) -> Said:
    started, first_seconds, pieces, sample_rate, made = time.perf_counter(), None, [], 0, 0
    for chunk in chunks:
        pieces.append(chunk.samples)
        sample_rate, made = chunk.sample_rate, made + len(chunk.samples)
        if first_seconds is None and made >= PLAYABLE_SECONDS * sample_rate:
            first_seconds = time.perf_counter() - started
    work_seconds = time.perf_counter() - started
    samples = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
    if not len(samples):
        raise GenerationError("it made no audio")
    return Said(Clip(samples, sample_rate), work_seconds, first_seconds)


def joined(said: Sequence[Said]) -> Said:
    """Turns one after the other, with a pause between two; the first one's first audio is the whole's."""
    rate = said[0].clip.sample_rate
    pause = np.zeros(round(TURN_PAUSE_SECONDS * rate), np.float32)
    pieces: Iterator[np.ndarray] = (part for each in said for part in (pause, each.clip.samples))
    work = None if any(s.work_seconds is None for s in said) else sum(s.work_seconds or 0.0 for s in said)
    return Said(Clip(np.concatenate(list(pieces)[1:]), rate), work, said[0].first_audio_seconds)


def folder_digest(folder: Path) -> str:
    """A name for a model's files: of large ones, the size and both ends count."""
    parts = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        size = path.stat().st_size
        with path.open("rb") as file:
            digest = hashlib.sha256(file.read(ENDS_BYTES))
            file.seek(max(size - ENDS_BYTES, 0))
            digest.update(file.read())
        parts.append((str(path.relative_to(folder)), size, digest.hexdigest()))
    return digest_of(*parts)
