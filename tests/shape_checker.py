"""Checks shapes and dtypes of tensors in every annotated call while testing; `pyproject.toml` hands it to jaxtyping.

Other types are mypy's business: tests pass wrong ones on purpose, to see how they are refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from types import FunctionType
from typing import Any

from beartype import beartype

ARRAY = re.compile(r"\b(Float|Int|Bool|Num|Real|Complex|Shaped|Integer|UInt)\w*\[")


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with checks on those parameters and results that are annotated with a shape."""
    if not isinstance(function, FunctionType):
        return beartype(function)
    shaped = {name: hint for name, hint in function.__annotations__.items() if ARRAY.search(str(hint))}
    if not shaped:
        return function
    copy = FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    copy.__kwdefaults__, copy.__dict__ = function.__kwdefaults__, dict(function.__dict__)
    copy.__qualname__, copy.__module__, copy.__annotations__ = function.__qualname__, function.__module__, shaped
    return beartype(copy)
