"""Make a corpus from sentences with a synthetic teacher: resumable, one worker process per core."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import soundfile
from tqdm import tqdm

from parlando.core.errors import ConfigError
from parlando.data.flite import Spoken
from parlando.data.manifest import Utterance, append_manifest, read_manifest
from parlando.data.shards import sentence_key
from parlando.data.teachers import teacher

PLAIN_SENTENCE = re.compile(r"[A-Za-z][A-Za-z' ,.?!;:-]*[a-z][.?!]?")
LONGEST_CHARACTERS, SHORTEST_CHARACTERS = 120, 8
BATCH = 24


@dataclass(frozen=True)
class Job:
    """One sentence for one voice, with a name that depends on nothing else."""

    voice: str
    text: str

    @property
    def id(self) -> str:
        """Voice and a digest of the text: the same job has the same file on every machine."""
        return f"{self.voice}_{hashlib.sha1(self.text.encode()).hexdigest()[:12]}"


def plain_sentences(lines: Iterable[str]) -> Iterator[str]:
    """Sentences of letters and simple punctuation only; long lines are cut at their clause marks."""
    for line in lines:
        straight = line.strip().translate(str.maketrans("’‘“”—–", "''\"\"--")).replace('"', "").replace("--", ", ")
        pieces = [straight] if len(straight) <= LONGEST_CHARACTERS else re.split(r"(?<=[,;:.?!]) ", straight)
        for piece in pieces:
            if SHORTEST_CHARACTERS <= len(piece) <= LONGEST_CHARACTERS and PLAIN_SENTENCE.fullmatch(piece):
                yield piece


def plan_jobs(sentences: Sequence[str], weights: dict[str, int], held_out: set[str]) -> list[Job]:
    """Deal every sentence to one voice, voices in proportion to their weights, held-out sentences to none.

    Raises:
        ConfigError: no voice has a share.
    """
    deck = [voice for voice, weight in sorted(weights.items()) for _ in range(weight)]
    if not deck:
        raise ConfigError("no voice has a share of the sentences; give at least one a weight above 0")
    unique = {sentence_key(s): s for s in sentences}
    kept = sorted((s for key, s in unique.items() if key not in held_out), key=lambda s: Job("", s).id)
    return [Job(deck[index % len(deck)], text) for index, text in enumerate(kept)]


def _batches(jobs: Sequence[Job]) -> list[list[Job]]:
    """Jobs of one voice together, so that a teacher that is a program starts once for many."""
    by_voice: dict[str, list[Job]] = defaultdict(list)
    for job in jobs:
        by_voice[job.voice].append(job)
    return [same[i : i + BATCH] for same in by_voice.values() for i in range(0, len(same), BATCH)]


def _write(job: Job, spoken: Spoken, folder: Path) -> Utterance:
    relative = Path("flac") / job.id[-2:] / f"{job.id}.flac"
    target = folder / relative
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".partial")
    soundfile.write(partial, spoken.samples, spoken.sample_rate, format="FLAC")
    partial.replace(target)
    seconds = round(len(spoken.samples) / spoken.sample_rate, 3)
    return Utterance(job.id, str(relative), job.voice, "en", job.text, seconds, tuple(spoken.phones))


def _work(arguments: tuple[list[Job], Path]) -> list[Utterance]:
    jobs, folder = arguments
    spoken = teacher(jobs[0].voice)([job.text for job in jobs], jobs[0].voice)
    return [_write(job, said, folder) for job, said in zip(jobs, spoken, strict=True)]


def synthesise(jobs: Sequence[Job], folder: Path, workers: int | None = None) -> Path:
    """Speak every job that the folder's manifest does not have yet; returns the manifest's path.

    Raises:
        VoiceNotFoundError: no teacher has a job's voice.
        MissingDependencyError: a teacher is not installed.
    """
    for voice in {job.voice for job in jobs}:
        teacher(voice)
    folder.mkdir(parents=True, exist_ok=True)
    manifest = folder / "manifest.jsonl"
    done = {u.id for u in read_manifest(manifest)} if manifest.exists() else set()
    missing = [job for job in jobs if job.id not in done]
    with (
        multiprocessing.get_context("spawn").Pool(workers or os.cpu_count()) as pool,
        tqdm(total=len(jobs), initial=len(jobs) - len(missing), unit="sentence") as bar,
    ):
        for utterances in pool.imap_unordered(_work, [(batch, folder) for batch in _batches(missing)]):
            append_manifest(manifest, utterances)
            bar.update(len(utterances))
    return manifest
