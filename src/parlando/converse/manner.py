"""In which manner an answer is spoken, by how the question was felt: a table in TOML that is the user's to change."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from parlando.audio.tempo import FASTEST, SLOWEST
from parlando.core.config import from_mapping
from parlando.core.errors import ConfigError, FileMissingError

NEUTRAL = "neutral"


@dataclass(frozen=True)
class Manner:
    """How to speak: an instruction or a scene in words, a speed; ``note`` is told to the text model."""

    instruction: str | None = None
    scene: str | None = None
    speed: float = 1.0
    note: str | None = None

    def __post_init__(self) -> None:
        if not SLOWEST <= self.speed <= FASTEST:
            raise ConfigError(f"speed: {self.speed} is out of range; use {SLOWEST:g} (slow) to {FASTEST:g} (fast)")


@dataclass(frozen=True)
class Manners:
    """Manners by the name of an emotion."""

    by_emotion: Mapping[str, Manner]

    def answering(self, emotion: str | None) -> Manner:
        """The manner of an answer; the neutral one for what has no entry."""
        neutral = self.by_emotion.get(NEUTRAL, Manner())
        return neutral if emotion is None else self.by_emotion.get(emotion.casefold(), neutral)


def read_manners(path: Path | None = None) -> Manners:
    """The table in a file, or the packaged one.

    Raises:
        FileMissingError: there is no such file.
        ConfigError: it is not TOML, or has an unknown key or a wrong value.
    """
    if path is None:
        return _parsed(files("parlando.converse").joinpath("manners.toml").read_text("utf-8"), "manners.toml")
    if not path.is_file():
        raise FileMissingError(path, "table of manners")
    return _parsed(path.read_text("utf-8"), str(path))


def _parsed(text: str, where: str) -> Manners:
    try:
        tables = tomllib.loads(text)
    except ValueError as error:
        raise ConfigError(f"{where}: not TOML: {error}") from error
    return Manners({name.casefold(): from_mapping(Manner, table, f"{where}: {name}") for name, table in tables.items()})
