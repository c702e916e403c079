"""One run over a folder: items are said and measured, failures are counted, and what was done is not done again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from parlando.audio.clip import Clip
from parlando.audio.files import read_audio, write_audio
from parlando.core.errors import CheckpointError, ConfigError, MissingDependencyError, ParlandoError
from parlando.evaluate.judges.base import Card
from parlando.evaluate.suite.items import Item, Problem
from parlando.evaluate.suite.store import Store, clip_digest, digest_of, file_digest
from parlando.evaluate.suite.systems import System

# What would fail for every other item as well ends the run; anything else is counted.
HOPELESS = (MissingDependencyError, CheckpointError, ConfigError)
FAILURES = (
    ParlandoError, OSError, EOFError, ArithmeticError, AssertionError, LookupError, RuntimeError, TypeError, ValueError,
)  # fmt: skip


@dataclass(frozen=True)
class Output:
    """What a system made of an item; ``path`` is None where it failed."""

    item: Item
    path: Path | None
    digest: str = ""
    audio_seconds: float = 0.0
    work_seconds: float | None = None
    first_audio_seconds: float | None = None

    @property
    def clip(self) -> Clip:
        """The audio, read again."""
        assert self.path is not None
        return read_audio(self.path)


@dataclass(frozen=True)
class Measure:
    """Something that is found out about an output and can be written as JSON; ``by`` names the judge or the formula.

    ``needs`` is what of the item it depends on besides the audio.
    """

    name: str
    by: Card
    of: Callable[[Output], Any]
    needs: Callable[[Item], Any] = lambda item: None


class Run:
    """Everything in one folder: ``audio/``, ``said.jsonl``, ``measured.jsonl``; ``problems`` grow as it goes on."""

    def __init__(self, folder: Path, seed: int = 0) -> None:
        self.folder, self.seed = folder, seed
        self.problems: list[Problem] = []
        self._prepared: set[str] = set()
        self._said, self._measured = Store(folder / "said.jsonl"), Store(folder / "measured.jsonl")

    def speak(self, system: System, items: Sequence[Item]) -> list[Output]:
        """Have every item said that is not there yet, item ``i`` with the seed ``seed + i``.

        Raises:
            MissingDependencyError, CheckpointError, ConfigError: the system cannot say anything.
        """
        outputs = []
        for number, item in enumerate(tqdm(items, desc=f"say: {system.name}", unit="item")):
            try:
                outputs.append(self._output(system, item, self.seed + number))
            except HOPELESS:
                raise
            except FAILURES as error:
                self._count(f"{system.name}, {_place(item)}", error)
                outputs.append(Output(item, None))
        return outputs

    def _output(self, system: System, item: Item, seed: int) -> Output:
        samples = [file_digest(sample.audio) for sample in (item.sample, *item.samples) if sample]
        turns = [(turn.speaker, turn.text) for turn in item.turns]
        key = digest_of(dict(system.identity), item.text, item.language, turns, samples, seed, system.content(item))
        path = self.folder / "audio" / f"{item.id}-{key[:12]}.wav"
        if key not in self._said or not path.is_file():
            if system.name not in self._prepared:
                system.prepare()
                self._prepared.add(system.name)
            said = system.say(item, seed)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_audio(path, said.clip.samples, said.clip.sample_rate, "wav-float")
            self._said.put(
                key,
                {
                    "item": item.id,
                    "system": system.name,
                    "digest": clip_digest(said.clip),
                    "audio_seconds": said.clip.duration_seconds,
                    "work_seconds": said.work_seconds,
                    "first_audio_seconds": said.first_audio_seconds,
                },
            )
        kept = {name: value for name, value in self._said[key].items() if name not in ("item", "system")}
        return Output(item, path, **kept)

    def measure(self, measure: Measure, outputs: Sequence[Output]) -> list[Any]:
        """What there is to find out about each output, or None where there is none or the judge failed.

        Raises:
            MissingDependencyError, CheckpointError, ConfigError: the judge cannot judge anything.
        """
        found = []
        for output in tqdm(outputs, desc=f"{measure.name}: {measure.by.name}", unit="item"):
            found.append(None if output.path is None else self._value(measure, output))
        return found

    def _value(self, measure: Measure, output: Output) -> Any:
        key = digest_of(measure.name, str(measure.by), output.digest, measure.needs(output.item))
        if key not in self._measured:
            try:
                self._measured.put(key, measure.of(output))
            except HOPELESS:
                raise
            except FAILURES as error:
                self._count(f"{measure.name} of {_place(output.item)}", error)
                return None
        return self._measured[key]

    def _count(self, where: str, error: Exception) -> None:
        self.problems.append(Problem(where, f"{type(error).__name__}: {' '.join(str(error).split())}"))


def _place(item: Item) -> str:
    return f"line {item.line} ({item.id})" if item.line else item.id
