"""Taking steps in several processes: a process that dies or hangs costs its row, and another takes its place."""

from __future__ import annotations

import heapq
import math
import multiprocessing
import os
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from parlando.annotate.executors.here import Job, Tally, take
from parlando.annotate.journal import Journal
from parlando.annotate.rows import Row
from parlando.core.errors import ParlandoError

DIED, HUNG = "worker died", "timed out"
READY = "ready"
MOST_DEATHS = 2
LOOK_SECONDS = 1.0
THREADS = "OMP_NUM_THREADS"
Task = tuple[int, Row]
"""The number of a step, and the row to take it with."""


@dataclass(order=True)
class _Waiting:
    """Rows that are nearly through come first, so that few wait; else by name."""

    order: tuple[int, str]
    task: Task = field(compare=False)
    deaths: int = field(default=0, compare=False)


@dataclass
class _Worker:
    """A process, what it is at, and since when; it takes a while to begin at all."""

    process: SpawnProcess
    pipe: Connection
    waiting: _Waiting | None = None
    since: float = math.inf
    is_ready: bool = False

    def give(self, waiting: _Waiting) -> None:
        self.waiting = waiting
        self.pipe.send(waiting.task)
        if self.is_ready:
            self.since = time.monotonic()

    def begins(self) -> None:
        self.is_ready, self.since = True, time.monotonic()

    def stop(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


@dataclass(frozen=True)
class LocalOptions:
    """How many processes, and how long one step of one row may take."""

    workers: int
    patience_seconds: float = 3600.0


def run_local(job: Job, rows: Iterable[Row], options: LocalOptions, tally: Tally) -> Iterator[Row]:
    """The rows that a job ends with, in the order in which they get there.

    Raises:
        ParlandoError: a setting is wrong, or a model is not installed.
        OSError: the disk is full.
    """
    pool = _Pool(job, options, tally)
    try:
        yield from pool.run(rows)
    finally:
        pool.stop()


class _Pool:
    def __init__(self, job: Job, options: LocalOptions, tally: Tally) -> None:
        self._job, self._options, self._tally = job, options, tally
        self._workers: list[_Worker] = []
        self._waiting: list[_Waiting] = []
        self._finished: list[Row] = []

    def run(self, rows: Iterable[Row]) -> Iterator[Row]:
        for row in rows:
            self._accept(0, row)
        while self._waiting or any(worker.waiting for worker in self._workers) or self._finished:
            yield from self._finished
            self._finished = []
            self._give_out()
            self._collect()

    def stop(self) -> None:
        for worker in self._workers:
            worker.stop()
        self._workers = []

    def _accept(self, step: int, row: Row) -> None:
        if row.rejected is not None or step == len(self._job.steps):
            self._finished.append(row)
        else:
            heapq.heappush(self._waiting, _Waiting((-step, row.id), (step, row)))

    def _give_out(self) -> None:
        while self._waiting:
            idle = next((worker for worker in self._workers if worker.waiting is None), None)
            if idle is None:
                if len(self._workers) >= self._options.workers:
                    return
                idle = _start(self._job)
                self._workers.append(idle)
            waiting = heapq.heappop(self._waiting)
            try:
                idle.give(waiting)
            except OSError:  # it died while it had nothing to do
                self._bury(idle, DIED)

    def _collect(self) -> None:
        busy = {worker.pipe: worker for worker in self._workers if worker.waiting is not None}
        for pipe in wait(list(busy), timeout=LOOK_SECONDS):
            worker = busy[pipe]  # type: ignore[index]
            try:
                answer = worker.pipe.recv()
            except (EOFError, OSError):
                self._bury(worker, DIED)
                continue
            if answer == READY:
                worker.begins()
            else:
                self._answered(worker, answer)
        for worker in list(self._workers):
            if worker.waiting is not None and time.monotonic() - worker.since > self._options.patience_seconds:
                self._bury(worker, HUNG)

    def _answered(self, worker: _Worker, answer: tuple[list[Row], bool] | Exception) -> None:
        if isinstance(answer, Exception):
            raise answer
        assert worker.waiting is not None
        step = worker.waiting.task[0]
        worker.waiting = None
        rows, is_new = answer
        self._tally.add(is_new)
        for row in rows:
            self._accept(step + 1, row)

    def _bury(self, worker: _Worker, why: str) -> None:
        """The row of a dead process is tried once more: perhaps another program took its memory."""
        waiting = worker.waiting
        self._workers.remove(worker)
        worker.stop()
        if not worker.is_ready:
            raise ParlandoError(
                "a worker process died before it could begin; run with --workers 0 to see why (a program of your own "
                "that calls annotate() needs `if __name__ == '__main__':`)"
            )
        if waiting is None:
            return
        step, row = waiting.task
        if why == HUNG or waiting.deaths + 1 >= MOST_DEATHS:
            told = f"its process died {MOST_DEATHS} times" if why == DIED else "it took too long"
            self._finished.append(row.reject(self._job.steps[step].name, why, told))
        else:
            heapq.heappush(self._waiting, _Waiting(waiting.order, waiting.task, waiting.deaths + 1))


def _start(job: Job) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, job), daemon=True)
    with _one_thread():
        process.start()
    theirs.close()
    return _Worker(process, ours)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums come out the same only in the same order, so a model has one thread, whoever runs it."""
    before = os.environ.get(THREADS)
    os.environ[THREADS] = "1"
    try:
        yield
    finally:
        os.environ.pop(THREADS)
        if before is not None:
            os.environ[THREADS] = before


def _serve(pipe: Connection, job: Job) -> None:
    """What a worker process does: steps, until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it, too
    journal = Journal(job.work.journal)
    pipe.send(READY)
    while True:
        try:
            step, row = pipe.recv()
            answer: tuple[list[Row], bool] | Exception = take(job.steps[step], row, job.work, journal)
        except EOFError:
            return
        except (ParlandoError, OSError) as error:
            answer = error
        try:
            pipe.send(answer)
        except OSError:
            return
