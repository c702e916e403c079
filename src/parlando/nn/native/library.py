"""The compiled library of this installation."""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

import torch

from parlando.nn.native.build import library_name, source_mark

FOLDER = Path(__file__).parent


@cache
def library() -> ctypes.CDLL | None:
    """The compiled kernel, if this installation has one that runs here and is of this source."""
    path = FOLDER / library_name(torch.backends.cpu.get_cpu_capability())
    if not path.is_file():
        return None
    try:
        code = ctypes.CDLL(str(path))
        return code if ctypes.c_int64.in_dll(code, "parlando_source").value == source_mark() else None
    except (OSError, ValueError):
        return None


def constant(name: str) -> int:
    """A number that the kernel was compiled with; 0 without one."""
    code = library()
    return 0 if code is None else ctypes.c_int64.in_dll(code, f"parlando_{name}").value
