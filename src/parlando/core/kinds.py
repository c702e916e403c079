"""Whether an argument is of a type that is accepted, and what to say where it is not."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from functools import cache
from numbers import Integral, Real
from reprlib import repr as short_repr
from typing import Any

from parlando.core.errors import ConfigError

# Numbers of other libraries, such as numpy's, will do as well.
_WIDER: Mapping[Any, type] = {int: Integral, float: Real, types.NoneType: types.NoneType}


def check_type(name: str, value: object, kind: Any, accepted: str = "") -> None:
    """Refuse a value that is not of a type, or of none of a union; True and False are no numbers.

    ``accepted`` says in words what is, where the names of the types do not.

    Raises:
        ConfigError: the message has the argument's name, the value with its type, and what is accepted.
    """
    kinds = typing.get_args(kind) or (kind,)
    if isinstance(value, bool) and bool not in kinds:
        fits = False
    else:
        fits = isinstance(value, tuple(_WIDER.get(one, one) for one in kinds))
    if not fits:
        names = accepted or " or ".join("None" if one is types.NoneType else one.__name__ for one in kinds)
        raise ConfigError(f"{name}: expected {names}, got {short_repr(value)} ({type(value).__name__})")


@cache
def _declared(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def check_fields(kind: type, values: Mapping[str, object], where: str) -> None:
    """`check_type` of each value what the field of that name in a dataclass is declared to be."""
    declared = _declared(kind)
    for name, value in values.items():
        check_type(f"{where}.{name}", value, declared[name])
