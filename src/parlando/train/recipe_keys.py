"""Every key of every recipe, as a document: what the dataclasses say, so that it cannot say anything else."""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field
from typing import Any

from parlando.train.registry import ASSEMBLIES, TRAININGS, Maker, load

_HEAD = """# Recipe keys

Every key that a recipe file may have, by the command that reads it: written by `parlando train keys`, from the code.
A key without a default must be given. `recipes/` holds recipes that work; what they are for: [Training](training.md).
"""


def recipe_keys() -> str:
    """The document, in Markdown."""
    return "\n".join([_HEAD, *(line for title, kind in recipes().items() for line in _recipe(title, kind))])


def recipes() -> Mapping[str, type[Any]]:
    """Every kind of recipe, by the title of its chapter."""
    commands = {name: training.makers for name, training in TRAININGS.items()} | {"assemble": ASSEMBLIES}
    return {
        _title(name, family, makers): load(maker.recipe)
        for name, makers in commands.items()
        for family, maker in makers.items()
    }


def _title(command: str, family: str, makers: Mapping[str, Maker]) -> str:
    return f"`parlando train {command}`" + (f", family {family}" if len(makers) > 1 else "")


def _recipe(title: str, kind: type[Any]) -> Iterator[str]:
    yield f"## {title}\n"
    for path, table, defaults in _tables(kind, "", MISSING):
        yield from _described(path, table)
        yield "| key | value | default |\n|---|---|---|"
        hints = typing.get_type_hints(table)
        for field in dataclasses.fields(table):
            if _nested(hints[field.name]) is None:
                yield f"| `{field.name}` | {_kind(hints[field.name])} | {_shown(_default(field, defaults))} |"
        yield ""


def _described(path: str, table: type[Any]) -> Iterator[str]:
    if path:
        yield f"### `{path}`\n"
    yield f"{inspect.cleandoc(table.__doc__ or '').replace('``', '`')}\n"


def _tables(kind: type[Any], path: str, given: Any) -> Iterator[tuple[str, type[Any], Any]]:
    """A table of settings with its place in the file and its defaults, then those within it."""
    hints = typing.get_type_hints(kind)
    if any(_nested(hints[field.name]) is None for field in dataclasses.fields(kind)):
        yield path, kind, given
    for field in dataclasses.fields(kind):
        if (inner := _nested(hints[field.name])) is not None:
            name = f"{path.strip('[]')}.{field.name}" if path else field.name
            default = _default(field, given)
            yield from _tables(
                inner, _header(name, hints[field.name]), default if dataclasses.is_dataclass(default) else MISSING
            )


def _header(name: str, hint: Any) -> str:
    """How the table begins in a recipe: one, one of a list, or one of a table with names of the recipe's own."""
    kinds = {typing.get_origin(one) for one in (hint, *typing.get_args(hint))}
    if tuple in kinds:
        return f"[[{name}]]"
    return f"[{name}.NAME]" if Mapping in kinds else f"[{name}]"


def _nested(hint: Any) -> type[Any] | None:
    """The dataclass that a table, an optional table, or a list or table of tables holds."""
    found = (one for one in (hint, *typing.get_args(hint)) if dataclasses.is_dataclass(one))
    return typing.cast("type[Any] | None", next(found, None))


def _default(field: Field[Any], given: Any) -> Any:
    if given is not MISSING:
        return getattr(given, field.name)
    return field.default_factory() if callable(field.default_factory) else field.default


def _kind(hint: Any) -> str:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return " or ".join(f"`{_toml(value)}`" for value in arguments)
    if origin in (types.UnionType, typing.Union):
        return " or ".join(_kind(one) for one in arguments if one is not types.NoneType)
    if origin is tuple:
        return f"list of {_kind(arguments[0])}"
    if origin is Mapping:
        return f"table of {_kind(arguments[1])}"
    names = {int: "whole number", float: "number", str: "text", bool: "true or false"}
    return names.get(hint, getattr(hint, "__name__", str(hint)))


def _shown(value: Any) -> str:
    if value is MISSING:
        return ""
    return "none" if value is None else f"`{_toml(value)}`"


def _toml(value: Any) -> str:
    """A value as it is written in a recipe."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return str(value)
