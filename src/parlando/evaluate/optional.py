"""Judges are optional packages: imported when used, and named when they are missing."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from parlando.core.errors import MissingDependencyError
from parlando.core.install import with_extra


def require(name: str) -> ModuleType:
    """Import an optional package.

    Raises:
        MissingDependencyError: it is not installed; the message names the extra that brings it.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(name, with_extra("eval")) from error
