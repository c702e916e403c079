"""Voices as JSON: one voice in a file of its own, or all of a model's by name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from parlando.core.config import from_mapping, read_json
from parlando.core.errors import ConfigError, FileMissingError
from parlando.core.types import Reference, Voice


@dataclass(frozen=True)
class _ReferenceRecord:
    text: str
    codes: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class _VoiceRecord:
    description: str | None = None
    references: tuple[_ReferenceRecord, ...] = ()
    language: str = "en"
    scene: str | None = None


def voice_from_mapping(name: str, data: Mapping[str, Any], where: str = "voice") -> Voice:
    """Build a voice from plain data.

    Raises:
        ConfigError: an unknown key, or codes that are not a table of one row per codebook.
    """
    record = from_mapping(_VoiceRecord, data, where)
    references = tuple(Reference(item.text, _table(item.codes, where)) for item in record.references)
    return Voice(name, record.description, references, record.language, record.scene)


def _table(rows: tuple[tuple[int, ...], ...], where: str) -> np.ndarray:
    if not rows or len({len(row) for row in rows}) != 1 or not rows[0]:
        raise ConfigError(f"{where}: 'codes' must have one equally long row of numbers per codebook")
    try:
        return np.asarray(rows, dtype=np.int64)
    except OverflowError as error:
        raise ConfigError(f"{where}: 'codes' holds a number beyond 64 bits, which no codebook has") from error


def voice_to_mapping(voice: Voice) -> dict[str, Any]:
    """The plain data of a voice, without its name."""
    references = [{"text": item.text, "codes": item.codes.tolist()} for item in voice.references]
    return {
        "description": voice.description,
        "references": references,
        "language": voice.language,
        "scene": voice.scene,
    }


def read_voice(path: str | Path) -> Voice:
    """Read one voice that `write_voice` wrote.

    Raises:
        FileMissingError: there is no such file.
        ConfigError: it is not a voice.
    """
    if not Path(path).is_file():
        raise FileMissingError(path, "voice file")
    data = read_json(Path(path))
    name = data.pop("name", Path(path).stem)
    return voice_from_mapping(str(name), data, str(path))


def write_voice(path: str | Path, voice: Voice) -> Path:
    """Write one voice, cloned ones included, to be used again; whole or not at all."""
    return _write(Path(path), {"name": voice.name, **voice_to_mapping(voice)})


def read_voices(path: Path) -> dict[str, Voice]:
    """Read a model's named voices.

    Raises:
        FileMissingError: there is no such file.
        ConfigError: an entry is not a voice.
    """
    voices = {}
    for name, entry in read_json(path).items():
        if not isinstance(entry, dict):
            raise ConfigError(f"{path}: '{name}' must be a table of settings, got {entry!r}")
        voices[name] = voice_from_mapping(name, entry, f"{path}: {name}")
    return voices


def write_voices(path: Path, voices: Mapping[str, Voice]) -> Path:
    """Write a model's named voices; whole or not at all."""
    return _write(path, {name: voice_to_mapping(voice) for name, voice in voices.items()})


def _write(path: Path, data: Mapping[str, Any]) -> Path:
    partial = path.with_name(path.name + ".part")
    try:
        partial.write_text(json.dumps(data, ensure_ascii=False) + "\n", encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path
