"""Judges are optional packages: imported when used, and named when they are missing."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from parlando.core.errors import MissingDependencyError

INSTALL = "pip install -e '.[eval]' (in a clone of this project)"


def require(name: str, how: str = INSTALL) -> ModuleType:
    """Import an optional package; ``how`` is the command that brings it.

    Raises:
        MissingDependencyError: it is not installed; the message says how to get it.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(name, how) from error
