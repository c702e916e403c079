"""Recipes: one strict TOML file per training, read into a dataclass, and the folders that go with it."""

from __future__ import annotations

import tomllib
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from parlando.core.config import from_mapping
from parlando.core.errors import ConfigError, FileMissingError, UnknownKeyError

Settings = TypeVar("Settings")
_FORMER_KEYS = {
    "made_crops": "predicted_crops",
    "melody_weight": "prosody_weight",
    "retold_share": "resampled_share",
    "rough": "augment",
}


class Sources(dict[str, Path]):
    """Folders that a training reads, by the names that its options have."""

    def need(self, name: str) -> Path:
        """A folder that the recipe cannot do without.

        Raises:
            ConfigError: it was not named.
        """
        if name not in self:
            raise ConfigError(f"this recipe needs a folder that was not given: --{name.replace('_', '-')}")
        return self[name]

    def start(self, settings: Settings) -> Settings:
        """A training's settings, begun from the folder ``start_from`` if that is named."""
        if "start_from" not in self:
            return settings
        return replace(settings, start_from=str(self["start_from"]))  # type: ignore[type-var]


def read_recipe(kind: type[Any], path: Path) -> Any:
    """Read a recipe file.

    Raises:
        FileMissingError: there is no such file.
        ConfigError: it is not TOML, or holds an unknown or missing key.
    """
    try:
        return from_mapping(kind, _read_toml(path), str(path))
    except UnknownKeyError as error:
        now = _FORMER_KEYS.get(error.key)
        if now not in error.known:
            raise
        raise ConfigError(f"{error.where}: '{error.key}' is named '{now}' now; rename it") from error


def family_of(path: Path, families: Collection[str]) -> str:
    """Whose recipe a file holds: its ``family``, the first of the families if it names none.

    Raises:
        FileMissingError: there is no such file.
        ConfigError: it is not TOML, or names another family.
    """
    family = _read_toml(path).get("family", next(iter(families)))
    if family not in families:
        raise ConfigError(f"{path}.family: {family!r} is not one of {', '.join(families)}")
    return str(family)


def _read_toml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileMissingError(path, "recipe")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error
