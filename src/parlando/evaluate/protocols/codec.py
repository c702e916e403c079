"""What a codec alone loses: recordings through codes and back, by distances, judges, the codes themselves and speed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from parlando.audio.clip import Clip
from parlando.core.errors import FileMissingError, MissingDependencyError
from parlando.core.stages import Model
from parlando.evaluate.judges.base import Card
from parlando.evaluate.metrics import signal
from parlando.evaluate.protocols.shared import (
    Frame,
    Judges,
    mark_figures,
    similarity_figure,
    speed_figures,
    strict_figure,
    system_report,
    transcripts,
)
from parlando.evaluate.references import listed_utterances
from parlando.evaluate.suite.figures import Figure, average
from parlando.evaluate.suite.items import Item, ItemList, Sample, list_folder, read_items
from parlando.evaluate.suite.report import EvalReport
from parlando.evaluate.suite.run import Measure, Output, Run
from parlando.evaluate.suite.store import digest_of
from parlando.evaluate.suite.systems import Maker, Recordings, Said, System, folder_digest
from parlando.models.locate import locate
from parlando.models.registry import load_model

COLUMNS = ("id", "audio", "text")
CHUNK_FRAMES = 10
DISTANCES: Mapping[str, Callable[[Clip, Clip], float]] = {
    "STFT distance": signal.stft_distance,
    "mel distance": signal.mel_distance,
    "PESQ": signal.pesq,
    "STOI": signal.stoi,
}


class CodecSystem(Maker):
    """The codec of a model of ours: a recording as frames, and those as sound, by the decoder that synthesis uses."""

    def __init__(self, name: str, device: str | None = None, dtype: str | None = None) -> None:
        self._folder, self._where = locate(name), (device, dtype)
        self.name = f"codec of {Path(name).name}"
        self.identity: Mapping[str, Any] = {"codec": folder_digest(self._folder)}

    @cached_property
    def model(self) -> Model:
        """The model that it is part of."""
        return load_model(self._folder, *self._where)

    def prepare(self) -> None:
        """Load it."""
        self.model  # noqa: B018 (a cached property: asking for it is loading it)

    def content(self, item: Item) -> str:
        """The recording's."""
        return Recordings().content(item)

    def say(self, item: Item, seed: int) -> Said:
        """Its copy of the item's recording."""
        clip = Recordings().say(item, seed).clip
        started = time.perf_counter()
        frames, stream = self.model.recode(clip.samples, clip.sample_rate)
        samples = stream.push(frames, final=True)
        return Said(Clip(samples, self.model.sample_rate), time.perf_counter() - started)

    def code_figures(self, run: Run, outputs: Sequence[Output]) -> list[Figure]:
        """Bit rate, how much of the codebooks is used, and whether chunks give what the whole gives."""
        card = Card(self.name, digest_of(dict(self.identity))[:12], {"chunk frames": CHUNK_FRAMES})
        coded: list[list[list[int]] | None] = run.measure(Measure("codes", card, self._codes), outputs)
        errors = run.measure(Measure("chunked error", card, self._chunked_error), outputs)
        whole = [codes for codes in coded if codes]
        sizes, rate = self.model.codebook_sizes, self.model.frame_rate
        figures = [
            Figure("bit rate", rate * sum(map(np.log2, sizes)) / 1000, " kbit/s"),
            Figure("chunked error", max((e for e in errors if e is not None), default=None)),
        ]
        if not whole:
            return figures
        joined = np.concatenate([np.array(codes) for codes in whole], axis=1)
        entropies = [entropy_bits(row) for row in joined]
        used = 100 * sum(len(np.unique(row)) for row in joined) / sum(sizes)
        return [
            *figures,
            Figure("entropy", rate * sum(entropies) / 1000, " kbit/s", count=joined.shape[1]),
            Figure("codebook used", used, " %", count=joined.shape[1]),
        ]

    def _codes(self, output: Output) -> list[list[int]]:
        clip = Recordings().say(output.item, 0).clip
        coded: list[list[int]] = self.model.encode(clip.samples, clip.sample_rate).tolist()
        return coded

    def _chunked_error(self, output: Output) -> float:
        """The largest difference between a decoding at once and one in chunks."""
        clip = Recordings().say(output.item, 0).clip
        frames, stream = self.model.recode(clip.samples, clip.sample_rate)
        ends = range(CHUNK_FRAMES, len(frames) + CHUNK_FRAMES, CHUNK_FRAMES)
        pieces = [stream.push(frames[end - CHUNK_FRAMES : end], end >= len(frames)) for end in ends]
        whole = output.clip.samples
        chunked = np.concatenate(pieces)
        if len(chunked) != len(whole):
            return float("inf")
        return float(np.abs(chunked - whole).max())


def entropy_bits(codes: np.ndarray) -> float:
    """Bits that a code of this row (int [n]) carries, if codes were independent."""
    shares = np.unique(codes, return_counts=True)[1] / len(codes)
    return float(-(shares * np.log2(shares)).sum())


def read_recordings(source: str) -> ItemList:
    """Recordings with their words: our own list, or a manifest, a table, or a folder that holds one.

    Of the latter, the held-out sentences, where it has some.

    Raises:
        FileMissingError: there is nothing there.
        InputError: it lacks a column.
    """
    if Path(source).is_dir() or source.endswith(".jsonl") or (Path(source).is_file() and _has_column(source, "path")):
        utterances = listed_utterances(Path(source))
        items = tuple(_item(u.id, u.text, Path(u.audio), number) for number, u in enumerate(utterances, 1))
        return ItemList(Path(source).name, items, (), digest_of([u.id for u in utterances]))
    home = list_folder(source)
    return read_items(source, COLUMNS, lambda row, line: _listed(row, line, home))


def _has_column(source: str, column: str) -> bool:
    with Path(source).open("rb") as file:
        return column.encode() in file.readline().split(b"\t")


def _listed(row: Mapping[str, str], line: int, home: Path) -> Item:
    audio = home / row["audio"]
    if not audio.is_file():
        raise FileMissingError(audio, "recording")
    return _item(row["id"], row["text"], audio, line)


def _item(name: str, text: str, audio: Path, line: int) -> Item:
    return Item(name, text, "en", line, sample=Sample(audio, text), recording=audio)


def run_codec(run: Run, systems: Sequence[System], items: ItemList, judges: Judges, machine: str) -> EvalReport:
    """Send the recordings through every codec, with the recordings themselves for comparison."""
    reports, notes = [], ["SIM: of a copy and its recording", "PESQ and STOI need samples in place"]
    for system in (Recordings(), *systems):
        outputs = run.speak(system, items.items)
        found = _judged(run, outputs, judges)
        if system.name != Recordings.name:
            figures, missing = _distances(run, outputs)
            found += figures
            notes += [note for note in missing if note not in notes]
        if isinstance(system, CodecSystem):
            found += system.code_figures(run, outputs)
        reports.append(system_report(system, outputs, [*found, *speed_figures(outputs)]))
    return Frame("codec", items, judges.cards, machine, tuple(notes)).report(run, reports)


def _judged(run: Run, outputs: Sequence[Output], judges: Judges) -> list[Figure]:
    found: list[Figure] = []
    if judges.asr:
        found.append(strict_figure(outputs, transcripts(run, judges.asr, outputs), judges.asr.card))
    if judges.mos:
        found += mark_figures(run, judges.mos, outputs)
    if judges.speaker:
        found.append(similarity_figure(run, judges.speaker, outputs))
    return found


def _distances(run: Run, outputs: Sequence[Output]) -> tuple[list[Figure], list[str]]:
    """All distances for which there is what computes them, and why there is not."""
    found, missing = [], []
    for name, distance in DISTANCES.items():
        measure = Measure(name, Card(name, "1"), partial(_distance, distance))
        try:
            found.append(average(name, run.measure(measure, outputs)))
        except MissingDependencyError as error:
            missing.append(f"{name} is left out: {error}")
    return found, missing


def _distance(distance: Callable[[Clip, Clip], float], output: Output) -> float:
    return distance(Recordings().say(output.item, 0).clip, output.clip)
