"""Strict configuration: frozen dataclasses from plain data; an unknown key is an error that names the nearest one.

A field says with `Within` which numbers it takes; `Size` and its like are the usual ones.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar

from parlando.core.errors import ConfigError, FileMissingError, UnknownKeyError

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Within:
    """The numbers from ``least`` to ``most``, both included unless ``above`` leaves ``least`` out."""

    least: float
    most: float = math.inf
    above: bool = False

    def __contains__(self, value: float) -> bool:
        return (self.least < value if self.above else self.least <= value) and value <= self.most

    def __str__(self) -> str:
        least = f"{'above' if self.above else 'at least'} {self.least:g}"
        return least if self.most == math.inf else f"{least} and at most {self.most:,g}"


Size = Annotated[int, Within(1, 2**24)]
"""Of a layer, a table, a vocabulary; the bound, far beyond any model, keeps a typing error from filling memory."""
Whole = Annotated[int, Within(0, 2**24)]
"""An id, or a size that may be nothing."""
Count = Annotated[int, Within(0, 1024)]
"""Of layers, heads, codebooks and other things that are built one by one."""
AtLeastOne = Annotated[int, Within(1, 1024)]
"""The same where there must be some."""
Positive = Annotated[float, Within(0, above=True)]
NotNegative = Annotated[float, Within(0)]
Share = Annotated[float, Within(0, 1)]


def from_known(kind: type[T], data: Mapping[str, Any], where: str = "config") -> T:
    """`from_mapping` of a file that another program wrote: keys that are not asked for are passed over."""
    names = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    return from_mapping(kind, {key: value for key, value in data.items() if key in names}, where)


def from_mapping(kind: type[T], data: Mapping[str, Any], where: str = "config") -> T:
    """Build a dataclass from plain data, nested dataclasses included.

    Raises:
        ConfigError: a key is unknown or missing, or a value has the wrong type; the message says which and where.
    """
    if not isinstance(data, Mapping):
        raise ConfigError(f"{where}: expected a table of settings, got {data!r}")
    hints = _hints(typing.cast("Hashable", kind))
    fields = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for key in data:
        if key not in fields:
            raise UnknownKeyError(where, key, fields)
    for name, spec in fields.items():
        required = spec.default is dataclasses.MISSING and spec.default_factory is dataclasses.MISSING
        if required and name not in data:
            raise ConfigError(f"{where}: '{name}' is missing; add it")
    values = {key: _convert(hints[key], value, f"{where}.{key}") for key, value in data.items()}
    with located(where):
        return kind(**values)


@contextmanager
def located(where: str) -> Iterator[None]:
    """Put ``where`` before what a `ConfigError` of the block says, unless it says so itself."""
    try:
        yield
    except ConfigError as error:
        if str(error).startswith(where):
            raise
        raise ConfigError(f"{where}: {error}") from error


@cache
def _hints(kind: Hashable) -> dict[str, Any]:
    """The types of a dataclass' fields; kept, for evaluating them takes longer than all the rest."""
    return typing.get_type_hints(kind, include_extras=True)


def _convert(hint: Any, value: Any, where: str) -> Any:
    if typing.get_origin(hint) is Annotated:
        plain, *bounds = typing.get_args(hint)
        return _bounded(_convert(plain, value, where), bounds, where)
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where}: expected a table of settings, got {value!r}")
        return from_mapping(typing.cast("type[Any]", hint), value, where)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    convert = _CONVERTERS.get(origin)
    return _convert_plain(hint, value, where) if convert is None else convert(arguments, value, where)


def _bounded(value: Any, bounds: list[Any], where: str) -> Any:
    for bound in bounds:
        if isinstance(bound, Within) and value not in bound:
            raise ConfigError(f"{where}: {value} is out of range; use {bound}")
    return value


def _convert_union(options: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in options:
        return None
    by_kind = {kind: option for option in options for kind in _kinds(option)}
    if by_kind:
        kind = value.get("kind") if isinstance(value, Mapping) else None
        if not isinstance(kind, str) or kind not in by_kind:
            raise ConfigError(f"{where}.kind: {kind!r} is not one of {', '.join(map(repr, by_kind))}")
        return _convert(by_kind[kind], value, where)
    failures = []
    for option in options:
        if option is type(None):
            continue
        try:
            return _convert(option, value, where)
        except ConfigError as error:
            failures.append(error)
    raise failures[-1] if failures else ConfigError(f"{where}: {value!r} is not allowed here")


def _kinds(option: Any) -> tuple[str, ...]:
    """The values of a table's ``kind``, by which it is told from the others of a union."""
    return (
        typing.get_args(_hints(typing.cast("Hashable", option)).get("kind")) if dataclasses.is_dataclass(option) else ()
    )


def _convert_literal(arguments: tuple[Any, ...], value: Any, where: str) -> Any:
    if not any(type(value) is type(argument) and value == argument for argument in arguments):
        raise ConfigError(f"{where}: {value!r} is not one of {', '.join(map(repr, arguments))}")
    return value


def _convert_tuple(arguments: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if isinstance(value, str) or not isinstance(value, list | tuple):
        raise ConfigError(f"{where}: expected a list, got {value!r}")
    item = arguments[0] if arguments else Any
    return tuple(_convert(item, entry, f"{where}[{index}]") for index, entry in enumerate(value))


def _convert_mapping(arguments: tuple[Any, ...], value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where}: expected a table, got {value!r}")
    return {key: _convert(arguments[1], entry, f"{where}.{key}") for key, entry in value.items()}


_CONVERTERS: dict[Any, Callable[[tuple[Any, ...], Any, str], Any]] = {
    types.UnionType: _convert_union,
    typing.Union: _convert_union,
    tuple: _convert_tuple,
    Mapping: _convert_mapping,
    typing.Literal: _convert_literal,
}


def _convert_plain(hint: Any, value: Any, where: str) -> Any:
    if hint is Any or not isinstance(hint, type):
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = _as_float(value, where)
    if hint is Path and isinstance(value, str):
        value = Path(value)
    if (isinstance(value, bool) and hint is not bool) or not isinstance(value, hint):
        raise ConfigError(f"{where}: expected {hint.__name__}, got {value!r} ({type(value).__name__})")
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{where}: {value} is not a number that can be computed with; give a finite one")
    return value


def _as_float(value: int, where: str) -> float:
    try:
        return float(value)
    except OverflowError as error:
        raise ConfigError(f"{where}: a number too large to be computed with") from error


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
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not JSON: {error}") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected an object of settings")
    return data
