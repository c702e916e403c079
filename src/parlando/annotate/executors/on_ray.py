"""Taking steps by Ray Data on many machines: actors hold the models, the folders are shared, the rows are the same.

Steps up to the one that cuts recordings into segments are one kind of actor, those after it another.
"""

from __future__ import annotations

import uuid
import weakref
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from parlando.annotate.executors.here import Job, Tally, through
from parlando.annotate.executors.local import DIED, MOST_DEATHS, THREADS
from parlando.annotate.journal import Journal
from parlando.annotate.rows import Row, digest
from parlando.annotate.step import Step
from parlando.annotate.workspace import WORK, Workspace
from parlando.core.config import AtLeastOne, NotNegative, Positive
from parlando.core.errors import MissingDependencyError

INSTALL_RAY = "pip install 'ray[data]'"
ATTEMPTS = "attempts"
Item = dict[str, Any]
"""A row as Ray carries it: its JSON, and how many steps were taken for it and found finished."""


@dataclass(frozen=True)
class Actors:
    """How many of one kind there are, and what each takes of its machine; ``gpus`` may be a fraction."""

    workers: AtLeastOne = 1
    cpus: Positive = 1.0
    gpus: NotNegative = 0.0


@dataclass(frozen=True)
class RayOptions:
    """The cluster (none given: this machine), its actors, and the most memory that rows on their way may take."""

    address: str | None = None
    recordings: Actors = field(default_factory=Actors)
    segments: Actors = field(default_factory=Actors)
    object_store_mib: AtLeastOne = 256


class Stage:
    """An actor: rows through some of the steps."""

    def __init__(self, steps: Sequence[Step], work: Workspace, attempts: Path) -> None:
        self._steps, self._work, self._attempts = steps, work, Attempts(attempts)
        self._journal = Journal(work.journal)
        weakref.finalize(self, self._journal.close)

    def __call__(self, item: Item) -> list[Item]:
        """The rows of a row; the first carries the counts."""
        row = Row.from_json(item["row"])
        tally = Tally(item["done"], item["reused"])
        key = digest(row.to_json(), *(step.signature for step in self._steps))
        if row.rejected is None and self._attempts.begin(key) > MOST_DEATHS:
            rows = [row.reject(self._steps[0].name, DIED, f"its process died {MOST_DEATHS} times")]
        else:
            rows = list(through(self._steps, row, self._work, self._journal, tally))
        self._attempts.end(key)
        counts = [(tally.done, tally.reused), *[(0, 0)] * (len(rows) - 1)]
        return [_item(each, *count) for each, count in zip(rows, counts, strict=True)]


class Attempts:
    """How often rows were begun and never ended, as happens to those that kill their process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def begin(self, key: str) -> int:
        """Note a beginning; returns how many there were."""
        with (self._folder / key).open("a+") as file:
            file.write("x")
            file.seek(0)
            return len(file.read())

    def end(self, key: str) -> None:
        """It is over, whatever came of it."""
        (self._folder / key).unlink(missing_ok=True)


def _item(row: Row, done: int = 0, reused: int = 0) -> Item:
    return {"row": row.to_json(), "done": done, "reused": reused}


def stages(steps: Sequence[Step]) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    """The steps on recordings, up to the one that cuts, and those on segments."""
    cut = next((place for place, step in enumerate(steps, 1) if step.name == "cut"), len(steps))
    return tuple(steps[:cut]), tuple(steps[cut:])


def run_ray(job: Job, rows: Iterable[Row], options: RayOptions, tally: Tally) -> Iterator[Row]:
    """The rows that a job ends with, in any order.

    Raises:
        MissingDependencyError: Ray is not installed.
    """
    try:
        ray, data = import_module("ray"), import_module("ray.data")
    except ImportError as error:
        raise MissingDependencyError("ray", INSTALL_RAY) from error
    _connect(ray, options)
    attempts = job.work.out.resolve() / WORK / ATTEMPTS / uuid.uuid4().hex
    work = Workspace(job.work.raw.resolve(), job.work.out.resolve())
    context = data.DataContext.get_current()
    context.execution_options.resource_limits = data.ExecutionResources(
        object_store_memory=options.object_store_mib << 20
    )
    items = [_item(row) for row in rows]
    # A block is what one actor takes at a time: a recording each, so that a long one keeps nobody else waiting.
    dataset = data.from_items(items, override_num_blocks=max(1, len(items)))
    for steps, actors in zip(stages(job.steps), (options.recordings, options.segments), strict=True):
        if steps:
            dataset = dataset.flat_map(
                Stage,
                fn_constructor_args=(steps, work, attempts),
                concurrency=actors.workers,
                num_cpus=actors.cpus,
                num_gpus=actors.gpus,
                max_restarts=-1,
                max_task_retries=-1,
            )
    for item in dataset.iter_rows():
        tally.done, tally.reused = tally.done + item["done"], tally.reused + item["reused"]
        yield Row.from_json(item["row"])


def _connect(ray: Any, options: RayOptions) -> None:
    if not ray.is_initialized():
        local: dict[str, Any] = {}
        if options.address is None:
            local = {"include_dashboard": False, "object_store_memory": max(128, options.object_store_mib) << 20}
        ray.init(
            address=options.address,
            runtime_env={"env_vars": {THREADS: "1"}},
            log_to_driver=False,
            **local,
        )
