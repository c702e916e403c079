"""Strict configuration: frozen dataclasses from plain data; an unknown key is an error that names the nearest one."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Hashable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from parlando.core.errors import ConfigError, FileMissingError, nearest

T = TypeVar("T")


def from_mapping(kind: type[T], data: Mapping[str, Any], where: str = "config") -> T:
    """Build a dataclass from plain data, nested dataclasses included.

    Raises:
        ConfigError: a key is unknown or missing, or a value has the wrong type; the message says which and where.
    """
    hints = _hints(typing.cast("Hashable", kind))
    fields = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for key in data:
        if key not in fields:
            hint = nearest(key, fields) or f" There are: {', '.join(fields)}."
            raise ConfigError(f"{where}: unknown key '{key}'.{hint}")
    for name, spec in fields.items():
        required = spec.default is dataclasses.MISSING and spec.default_factory is dataclasses.MISSING
        if required and name not in data:
            raise ConfigError(f"{where}: '{name}' is missing; add it")
    values = {key: _convert(hints[key], value, f"{where}.{key}") for key, value in data.items()}
    return kind(**values)


@cache
def _hints(kind: Hashable) -> dict[str, Any]:
    """The types of a dataclass' fields; kept, for evaluating them takes longer than all the rest."""
    return typing.get_type_hints(kind)


def _convert(hint: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where}: expected a table of settings, got {value!r}")
        return from_mapping(typing.cast("type[Any]", hint), value, where)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return _convert_union(arguments, value, where)
    if origin is tuple:
        return _convert_tuple(arguments, value, where)
    if origin is Mapping:
        return _convert_mapping(arguments[1], value, where)
    if origin is typing.Literal:
        if value not in arguments:
            raise ConfigError(f"{where}: {value!r} is not one of {', '.join(map(repr, arguments))}")
        return value
    return _convert_plain(hint, value, where)


def _convert_union(options: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in options:
        return None
    failures = []
    for option in options:
        if option is type(None):
            continue
        try:
            return _convert(option, value, where)
        except ConfigError as error:
            failures.append(error)
    raise failures[-1] if failures else ConfigError(f"{where}: {value!r} is not allowed here")


def _convert_tuple(arguments: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if isinstance(value, str) or not isinstance(value, list | tuple):
        raise ConfigError(f"{where}: expected a list, got {value!r}")
    item = arguments[0] if arguments else Any
    return tuple(_convert(item, entry, f"{where}[{index}]") for index, entry in enumerate(value))


def _convert_mapping(item: Any, value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where}: expected a table, got {value!r}")
    return {key: _convert(item, entry, f"{where}.{key}") for key, entry in value.items()}


def _convert_plain(hint: Any, value: Any, where: str) -> Any:
    if hint is Any or not isinstance(hint, type):
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if (isinstance(value, bool) and hint is not bool) or not isinstance(value, hint):
        raise ConfigError(f"{where}: expected {hint.__name__}, got {value!r} ({type(value).__name__})")
    return value


def to_mapping(config: Any) -> dict[str, Any]:
    """The plain data that `from_mapping` turns back into an equal config."""
    return dataclasses.asdict(config)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        FileMissingError: there is no such file.
        ConfigError: it is not a JSON object.
    """
    if not path.is_file():
        raise FileMissingError(path, "config")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{path}: not JSON: {error}") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected an object of settings")
    return data
