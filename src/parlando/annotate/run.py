"""An annotation from beginning to end: what there is, the steps by some executor, the corpus, the account, the page."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from tqdm import tqdm

from parlando.annotate.corpus import Corpus, write_corpus
from parlando.annotate.executors.here import Job, Tally, run_here
from parlando.annotate.executors.local import LocalOptions, run_local
from parlando.annotate.executors.on_ray import RayOptions, run_ray
from parlando.annotate.losses import Losses
from parlando.annotate.page import write_page
from parlando.annotate.rows import Row
from parlando.annotate.scan import scan
from parlando.annotate.step import Step
from parlando.annotate.workspace import Workspace
from parlando.core.errors import FileMissingError, InputError


@dataclass(frozen=True)
class Where:
    """Who takes the steps: so many processes (0: only this one; none given: one for each core), or Ray."""

    place: Literal["local", "ray"] = "local"
    workers: int | None = None
    patience_seconds: float = 3600.0
    ray: RayOptions = field(default_factory=RayOptions)


@dataclass(frozen=True)
class Outcome:
    """The account of a corpus, and how much work this run was."""

    losses: Losses
    tally: Tally


def annotate(work: Workspace, steps: tuple[Step, ...], where: Where, progress: bool = False) -> Outcome:
    """Make a corpus of all recordings of a folder; what an earlier run finished is not done again.

    Raises:
        FileMissingError: there is no such folder, or none to put the corpus into.
        InputError: there are no recordings in it, or the corpus would be among them.
        MissingDependencyError: a model or Ray is not installed.
        OSError: the disk is full; what is finished is kept.
    """
    check_folders(work)
    rows, tally = scan(work.raw), Tally()
    work.out.mkdir(exist_ok=True)
    found = _executed(Job(steps, work), rows, where, tally)
    corpus = Corpus.of(_watched(found, len(rows), progress))
    losses = write_corpus(corpus, steps, work)
    write_page(corpus, losses, steps, work)
    return Outcome(losses, tally)


def check_folders(work: Workspace) -> None:
    """What `annotate` would find wrong with the folders, before any model is looked for."""
    raw, out = work.raw, work.out
    if not raw.is_dir():
        raise FileMissingError(raw, "folder of recordings")
    parent = out.resolve().parent
    if not parent.is_dir():
        raise FileMissingError(parent, "folder")
    if out.resolve().is_relative_to(raw.resolve()):
        raise InputError(f"'{out}' is inside '{raw}', and would be annotated next time; choose a folder outside")


def _executed(job: Job, rows: Iterable[Row], where: Where, tally: Tally) -> Iterator[Row]:
    if where.place == "ray":
        return run_ray(job, rows, where.ray, tally)
    if where.workers == 0:
        return run_here(job, rows, tally)
    return run_local(job, rows, LocalOptions(where.workers or os.cpu_count() or 1, where.patience_seconds), tally)


def _watched(rows: Iterable[Row], recordings: int, progress: bool) -> Iterator[Row]:
    """The rows, counted as they come: recordings of which something has come, and rows that were kept."""
    seen: Counter[str] = Counter()
    with tqdm(total=recordings, unit="recording", desc="annotate", disable=not progress) as bar:
        for row in rows:
            seen[row.source] += 1
            bar.update(seen[row.source] == 1)
            bar.set_postfix(rows=seen.total(), refresh=False)
            yield row
