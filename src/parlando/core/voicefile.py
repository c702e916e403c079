"""Voices as JSON: one voice in a file of its own, or all of a model's by name."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from parlando.core.config import from_mapping, read_json
from parlando.core.errors import ConfigError, FileMissingError
from parlando.core.types import Reference, Voice


@dataclass(frozen=True)
class _ArrayRecord:
    """A small array: its values row by row, little-endian, as base64."""

    dtype: Literal["float16", "float32"]
    shape: tuple[int, ...]
    base64: str


@dataclass(frozen=True)
class _ReferenceRecord:
    text: str
    codes: tuple[tuple[int, ...], ...]
    features: dict = field(default_factory=dict)


@dataclass(frozen=True)
class _VoiceRecord:
    description: str | None = None
    references: tuple[_ReferenceRecord, ...] = ()
    language: str = "en"
    scene: str | None = None
    instruction: str | None = None
    display_name: str | None = None


def voice_from_mapping(name: str, data: Mapping[str, Any], where: str = "voice") -> Voice:
    """Build a voice from plain data.

    Raises:
        ConfigError: an unknown key, or codes that are not a table of one row per codebook.
    """
    record = from_mapping(_VoiceRecord, data, where)
    references = tuple(_reference(item, where) for item in record.references)
    told = {key: value for key, value in vars(record).items() if key != "references"}
    return Voice(name, references=references, **told)


def _reference(record: _ReferenceRecord, where: str) -> Reference:
    features = {name: _array(data, f"{where}: features.{name}") for name, data in record.features.items()}
    if features and record.codes and not any(record.codes):
        return Reference(record.text, np.zeros((len(record.codes), 0), dtype=np.int64), features)
    return Reference(record.text, _table(record.codes, where), features)


def _array(data: Any, where: str) -> np.ndarray:
    if not isinstance(data, Mapping):
        raise ConfigError(f"{where}: expected dtype, shape and base64, got {data!r}")
    record = from_mapping(_ArrayRecord, data, where)
    try:
        values = np.frombuffer(b64decode(record.base64, validate=True), np.dtype(record.dtype).newbyteorder("<"))
        values = values.astype(np.float32).reshape(record.shape)
        if min(record.shape, default=0) < 0:
            raise ValueError("a size below zero")
    except (ValueError, OverflowError) as error:
        raise ConfigError(f"{where}: not an array of shape {record.shape} ({error}); write the voice again") from error
    if not np.isfinite(values).all():
        raise ConfigError(f"{where}: the array holds NaN or infinity, all values must be finite; write the voice again")
    return values


def _table(rows: tuple[tuple[int, ...], ...], where: str) -> np.ndarray:
    if not rows or len({len(row) for row in rows}) != 1 or not rows[0]:
        raise ConfigError(f"{where}: 'codes' must have one equally long row of numbers per codebook")
    try:
        return np.asarray(rows, dtype=np.int64)
    except OverflowError as error:
        raise ConfigError(f"{where}: 'codes' holds a number beyond 64 bits, which no codebook has") from error


def voice_to_mapping(voice: Voice) -> dict[str, Any]:
    """The plain data of a voice, without its name."""
    data: dict[str, Any] = {
        "description": voice.description,
        "references": [_reference_mapping(item) for item in voice.references],
        "language": voice.language,
        "scene": voice.scene,
    }
    rare = {"instruction": voice.instruction, "display_name": voice.display_name}
    return data | {key: value for key, value in rare.items() if value is not None}


def _reference_mapping(reference: Reference) -> dict[str, Any]:
    data = {"text": reference.text, "codes": reference.codes.tolist()}
    features = {name: _array_mapping(values) for name, values in reference.features.items()}
    return data | {"features": features} if features else data


def _array_mapping(values: np.ndarray) -> dict[str, Any]:
    """In half precision where nothing is lost by that, so that a voice sounds the same when it is read again."""
    kind = "float16" if np.array_equal(_halved(values), values) else "float32"
    data = np.ascontiguousarray(values, dtype=np.dtype(kind).newbyteorder("<"))
    return {"dtype": kind, "shape": list(values.shape), "base64": b64encode(data.tobytes()).decode("ascii")}


def _halved(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return values.astype(np.float16).astype(np.float32)


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
