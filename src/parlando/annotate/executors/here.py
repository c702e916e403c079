"""Taking steps in this process; and what all executors have in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from parlando.annotate.journal import Journal
from parlando.annotate.rows import Row
from parlando.annotate.step import Step, apply, is_lasting, key_of
from parlando.annotate.workspace import Workspace


@dataclass(frozen=True)
class Job:
    """The steps of an annotation, in order, and its folders."""

    steps: tuple[Step, ...]
    work: Workspace


@dataclass
class Tally:
    """How many steps were taken, and how many were found finished."""

    done: int = 0
    reused: int = 0

    def add(self, is_new: bool) -> None:
        """Count a step."""
        self.done, self.reused = self.done + is_new, self.reused + (not is_new)


def take(step: Step, row: Row, work: Workspace, journal: Journal) -> tuple[list[Row], bool]:
    """The rows that a step makes of a row, and whether that was work; errors as for `apply`."""
    key = key_of(step, row)
    finished = journal.get(key)
    if finished is not None and all(_has_audio(each, work) for each in finished):
        return finished, False
    rows = apply(step, row, work)
    if is_lasting(rows):
        journal.put(key, rows)
    return rows, True


def _has_audio(row: Row, work: Workspace) -> bool:
    """Whether the files that a row speaks of are there; somebody may have tidied up."""
    if row.rejected is not None:
        return True
    audio, clip = row.facts.get("audio"), row.facts.get("clip")
    return (audio is None or work.audio(audio).is_file()) and (clip is None or work.clip(clip).is_file())


def through(steps: Sequence[Step], row: Row, work: Workspace, journal: Journal, tally: Tally) -> Iterator[Row]:
    """A row through many steps, one after the other; those it becomes, and those rejected on the way."""
    if row.rejected is not None or not steps:
        yield row
        return
    rows, is_new = take(steps[0], row, work, journal)
    tally.add(is_new)
    for each in rows:
        yield from through(steps[1:], each, work, journal, tally)


def run_here(job: Job, rows: Iterable[Row], tally: Tally) -> Iterator[Row]:
    """The rows that a job ends with."""
    with Journal(job.work.journal) as journal:
        for row in rows:
            yield from through(job.steps, row, job.work, journal, tally)
