"""What a step is: a function from a row to rows that depends on the row, its version and its settings alone."""

from __future__ import annotations

import errno
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Generic, TypeVar

from parlando.annotate.rows import Fields, Row, canonical, digest
from parlando.annotate.workspace import Workspace
from parlando.core.errors import ConfigError, MissingDependencyError

T_co = TypeVar("T_co", covariant=True)
CRASHED = "crashed"


class Rejected(Exception):  # noqa: N818  it is an outcome, not a fault
    """Raised by a step: the row goes no further. ``seconds`` is its length, where that was found out on the way."""

    def __init__(self, reason: str, detail: str = "", seconds: float | None = None) -> None:
        super().__init__(reason, detail, seconds)
        self.reason, self.detail, self.seconds = reason, detail, seconds


class Lazy(Generic[T_co]):
    """A model that is opened where it is first used, and never carried from one process to another.

    ``card`` says who it is: name, version and settings.
    """

    def __init__(self, open_model: Callable[[], T_co], card: str) -> None:
        self.open_model, self.card = open_model, card
        self._model: T_co | None = None

    def __call__(self) -> T_co:
        """The model."""
        if self._model is None:
            self._model = self.open_model()
        return self._model

    def __getstate__(self) -> dict[str, Any]:
        return {"open_model": self.open_model, "card": self.card, "_model": None}


class Step(ABC):
    """One question about a row. ``version`` is raised when the same settings give other answers."""

    name: ClassVar[str]
    version: ClassVar[str] = "1"

    @property
    @abstractmethod
    def settings(self) -> Mapping[str, Any]:
        """Everything that the answer depends on besides the row, as plain data; models by their cards."""

    @abstractmethod
    def run(self, row: Row, work: Workspace) -> Iterable[Row]:
        """The rows that a row becomes.

        Raises:
            Rejected: it goes no further.
        """

    @property
    def signature(self) -> str:
        """Name, version and a digest of the settings: what a fact's provenance says."""
        return f"{self.name} {self.version} {digest(canonical(self.settings))[:12]}"

    def tell(self, row: Row, facts: Fields) -> Row:
        """The row with what this step found out."""
        return row.told(self.signature, facts)


def key_of(step: Step, row: Row) -> str:
    """What makes work the same work: the row, and the step's name, version and settings."""
    return digest(row.to_json(), step.signature)


def apply(step: Step, row: Row, work: Workspace) -> list[Row]:
    """Take a step; whatever fails loses this row and no other.

    Raises:
        ConfigError: a setting is wrong, which no other row would survive either.
        MissingDependencyError: a model is not installed.
        OSError: the disk is full.
    """
    try:
        rows = list(step.run(row, work))
    except Rejected as outcome:
        known = row if outcome.seconds is None else replace(row, seconds=outcome.seconds)
        rows = [known.reject(step.name, outcome.reason, outcome.detail)]
    except (ConfigError, MissingDependencyError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        rows = [row.reject(step.name, CRASHED, f"{type(error).__name__}: {error}")]
    return [Row.from_json(each.to_json()) for each in rows]


def is_lasting(rows: Iterable[Row]) -> bool:
    """Whether an outcome would be the same again; what crashed may have been short of memory or of a network."""
    return all(row.rejected is None or row.rejected.reason != CRASHED for row in rows)
