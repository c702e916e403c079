"""Systems by how they are named on the command line: a model, ``recordings``, ``teacher:…``, a URL, a folder …"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parlando.core.errors import ConfigError, FileMissingError
from parlando.evaluate.judges.http import Service
from parlando.evaluate.suite.service import ServiceSystem
from parlando.evaluate.suite.systems import (
    CallSystem,
    CommandSystem,
    FolderSystem,
    ModelSystem,
    Recordings,
    System,
    TeacherSystem,
)
from parlando.models.locate import locate


@dataclass(frozen=True)
class Place:
    """Where models compute, and the key of services."""

    device: str | None = None
    dtype: str | None = None
    key: str | None = None


def make_system(spec: str, place: Place) -> System:
    """The system of a name.

    Raises:
        ParlandoError: there is none; the message says what there could be.
    """
    if spec == Recordings.name:
        return Recordings()
    kind, _, rest = spec.partition(":")
    plain: dict[str, Callable[[str], System]] = {"teacher": TeacherSystem, "command": CommandSystem, "folder": _folder}
    if kind in plain:
        return plain[kind](rest)
    name, voice = _with_voice(spec)
    if kind == "call":
        return _call(name.removeprefix("call:"), voice)
    if kind in ("http", "https"):
        url, _, model = name.partition("#")
        return ServiceSystem(Service(url, place.key), model or ServiceSystem.model, voice)
    return _model(name, voice, place)


def _with_voice(spec: str) -> tuple[str, str | None]:
    name, mark, voice = spec.rpartition("@")
    return (name, voice) if mark and voice and "/" not in voice else (spec, None)


def _folder(folder: str) -> FolderSystem:
    if not Path(folder).is_dir():
        raise FileMissingError(folder, "folder of recordings")
    return FolderSystem(Path(folder))


def _model(name: str, voice: str | None, place: Place) -> ModelSystem:
    folder = locate(name)

    def load() -> Any:
        from parlando.speech import load as load_model

        return load_model(folder, place.device, place.dtype, rows=1)

    return ModelSystem(Path(name).name, load, folder, voice)


def _call(name: str, voice: str | None) -> CallSystem:
    path, _, function = name.rpartition(":")
    if not Path(path).is_file():
        raise FileMissingError(path, "Python file")
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"'{path}' is not a Python file; write call:FILE.py:FUNCTION")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not callable(made := getattr(module, function, None)):
        raise ConfigError(f"'{path}' has no function '{function}'; write call:FILE.py:FUNCTION")
    return CallSystem(made, name, voice)
