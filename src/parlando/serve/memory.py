"""Memory that a burst of requests has freed, given back to the system: the C library would keep it for the next."""

from __future__ import annotations

import ctypes


def give_back() -> bool:
    """Let the system have what is free; whether there was any. Blocks, and does nothing without glibc."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return False
    return bool(trim(ctypes.c_size_t(0)))
