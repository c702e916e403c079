"""The machine that figures were made on."""

from __future__ import annotations

import os
import platform
import resource
import sys

import torch


def peak_memory_mib() -> float:
    """The most memory this process has held (resident)."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def describe_machine() -> str:
    """Processor count, architecture and the version of torch."""
    return f"{os.cpu_count()} processors, {platform.machine()}, {platform.system()}, torch {torch.__version__}"
