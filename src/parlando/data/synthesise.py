"""Make a corpus from sentences with a teacher: resumable after any end, one worker process per core."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import random
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from pathlib import Path

import soundfile
from tqdm import tqdm

from parlando.core.errors import ConfigError
from parlando.data.details import details_path
from parlando.data.manifest import Utterance, append_manifest, mend_manifest, read_manifest
from parlando.data.sentences import sentence_key
from parlando.data.teachers.protocol import Line, Spoken, Teacher, Unspoken

MANIFEST = "manifest.jsonl"
LEFT_OUT = "left_out.jsonl"
BATCHES_PER_PROCESS = 150  # then a new one takes over: what neural teachers keep for every length of text adds up


@dataclass(frozen=True)
class Job:
    """One line for one voice, with a name that depends on nothing else."""

    voice: str
    text: str
    tempo: float = 1.0
    language: str = "en"

    @property
    def id(self) -> str:
        """Voice and a digest of the rest: the same job has the same file on every machine."""
        manner = "" if self.tempo == 1 else f"|{self.tempo:g}"
        manner += "" if self.language == "en" else f"|{self.language}"
        return f"{self.voice}_{hashlib.sha1((self.text + manner).encode()).hexdigest()[:12]}"

    @property
    def line(self) -> Line:
        """What the teacher is given."""
        return Line(self.text, self.tempo, self.language)


@dataclass(frozen=True)
class LeftOut:
    """A line that is not in the corpus, and why."""

    id: str
    speaker: str
    text: str
    reason: str


@dataclass(frozen=True)
class Manner:
    """In which language sentences are said, and between which tempos; each sentence has its own."""

    language: str = "en"
    slowest: float = 1.0
    fastest: float = 1.0

    def tempo(self, text: str) -> float:
        """Drawn by the sentence alone."""
        return round(random.Random(text).uniform(self.slowest, self.fastest), 2)


def plan_jobs(
    sentences: Sequence[str], weights: Mapping[str, int], held_out: set[str], manner: Manner | None = None
) -> list[Job]:
    """Deal every sentence to one voice, voices in proportion to their weights, held-out sentences to none.

    Raises:
        ConfigError: no voice has a share.
    """
    manner = manner or Manner()
    deck = [voice for voice, weight in sorted(weights.items()) for _ in range(weight)]
    if not deck:
        raise ConfigError("no voice has a share of the sentences; give at least one a weight above 0")
    unique = {sentence_key(s): s for s in sentences}
    kept = sorted((s for key, s in unique.items() if key not in held_out), key=lambda s: Job("", s).id)
    return [Job(deck[index % len(deck)], text, manner.tempo(text), manner.language) for index, text in enumerate(kept)]


def _batches(jobs: Sequence[Job], size: int) -> list[list[Job]]:
    """Jobs of one voice together, so that a teacher that is a program starts once for many.

    Voices take turns: a corpus that is stopped half-way has something of all of them.
    """
    by_voice: dict[str, list[Job]] = defaultdict(list)
    for job in jobs:
        by_voice[job.voice].append(job)
    each_voices = [[same[i : i + size] for i in range(0, len(same), size)] for same in by_voice.values()]
    return [batch for turn in zip_longest(*each_voices) for batch in turn if batch is not None]


def _write(job: Job, spoken: Spoken, folder: Path) -> Utterance:
    relative = Path("flac") / job.id[-2:] / f"{job.id}.flac"
    target = folder / relative
    target.parent.mkdir(parents=True, exist_ok=True)
    if spoken.details is not None:
        spoken.details.save(details_path(target))
    partial = target.with_suffix(".partial")
    soundfile.write(partial, spoken.samples, spoken.sample_rate, format="FLAC")
    partial.replace(target)
    seconds = round(len(spoken.samples) / spoken.sample_rate, 3)
    return Utterance(job.id, str(relative), job.voice, job.language, job.text, seconds, tuple(spoken.phones))


def _work(arguments: tuple[Teacher, list[Job], Path]) -> list[Utterance | LeftOut]:
    teacher, jobs, folder = arguments
    said = teacher.speak([job.line for job in jobs], jobs[0].voice)
    return [
        LeftOut(job.id, job.voice, job.text, each.reason) if isinstance(each, Unspoken) else _write(job, each, folder)
        for job, each in zip(jobs, said, strict=True)
    ]


def synthesise(teacher: Teacher, jobs: Sequence[Job], folder: Path, workers: int | None = None) -> Path:
    """Speak every job that the folder does not have yet; returns the manifest's path.

    What the teacher cannot say is listed in `LEFT_OUT`, with the reason.

    Raises:
        VoiceNotFoundError: the teacher does not have a job's voice.
        ConfigError: the teacher does not speak a job's language.
        MissingDependencyError: the teacher is not installed.
    """
    for voice, language in sorted({(job.voice, job.language) for job in jobs}):
        teacher.check(voice, language)
    teacher.prepare()
    folder.mkdir(parents=True, exist_ok=True)
    manifest = folder / MANIFEST
    done = finished_ids(folder)
    missing = [job for job in jobs if job.id not in done]
    work = [(teacher, batch, folder) for batch in _batches(missing, teacher.batch)]
    processes = multiprocessing.get_context("spawn")
    with (
        processes.Pool(workers or os.cpu_count(), maxtasksperchild=BATCHES_PER_PROCESS) as pool,
        _Progress(jobs, missing) as bar,
    ):
        for results in pool.imap_unordered(_work, work):
            append_manifest(manifest, [each for each in results if isinstance(each, Utterance)])
            leave_out(folder, [each for each in results if isinstance(each, LeftOut)])
            bar.add(results)
    return manifest


def finished_ids(folder: Path) -> set[str]:
    """Ids of everything that a corpus has or has left out; a line that was half written at an abrupt end is cut off."""
    manifest = folder / MANIFEST
    for path in (manifest, folder / LEFT_OUT):
        mend_manifest(path)
    spoken = {u.id for u in read_manifest(manifest)} if manifest.exists() else set()
    return spoken | {each.id for each in read_left_out(folder)}


def leave_out(folder: Path, lines: Sequence[LeftOut]) -> None:
    """Note what is not in a corpus."""
    if lines:
        with (folder / LEFT_OUT).open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(asdict(line), ensure_ascii=False) + "\n" for line in lines)


def read_left_out(folder: Path) -> Iterator[LeftOut]:
    """What is not in a corpus, though it was asked for."""
    path = folder / LEFT_OUT
    if path.is_file():
        with path.open(encoding="utf-8") as lines:
            yield from (LeftOut(**json.loads(line)) for line in lines)


class _Progress:
    """A bar of sentences with the time left, the hours spoken, and how many times faster than they last that was."""

    def __init__(self, jobs: Sequence[Job], missing: Sequence[Job]) -> None:
        self._bar = tqdm(total=len(jobs), initial=len(jobs) - len(missing), unit="sentence")
        self._seconds, self._began = 0.0, time.monotonic()

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()

    def add(self, results: Sequence[Utterance | LeftOut]) -> None:
        """Count a batch."""
        self._seconds += sum(each.seconds for each in results if isinstance(each, Utterance))
        rate = self._seconds / max(1e-6, time.monotonic() - self._began)
        self._bar.set_postfix_str(f"{self._seconds / 3600:.2f} h, {rate:.1f} s of audio per s", refresh=False)
        self._bar.update(len(results))
