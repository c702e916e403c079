"""Judges are optional packages: imported when used, and named when they are missing."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from parlando.core.errors import MissingDependencyError
from parlando.core.install import with_extra


def require(name: str, how: str | None = None) -> ModuleType:
    """Import an optional package; ``how`` is the command that brings it, the extra's by default.

    Raises:
        MissingDependencyError: it is not installed; the message says how to get it.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(name, how or with_extra("eval")) from error
