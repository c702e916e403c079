"""Compile the kernel beside its sources. Imports nothing of the package, so that the build of a wheel can run it."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import zlib
from pathlib import Path

FOLDER = Path(__file__).parent
SOURCES = tuple(FOLDER / name for name in ("decode.c", "neighbours.c", "tiles.c", "training.c"))
HEADER = FOLDER / "panels.h"
# By what torch calls a processor's abilities.
LEVELS = {"AVX512": "x86-64-v4", "AVX2": "x86-64-v3"}
# -Wno-psabi: vectors wider than the oldest processor's registers never cross a call.
FLAGS = ("-O3", "-std=gnu11", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror", "-Wno-psabi")


def library_name(level: str) -> str:
    """The file of the kernel for processors of a level; not .so, which Python takes for a module of its own."""
    return f"decode-{level.lower()}.kernel"


def source_mark() -> int:
    """A number that changes with the sources."""
    return zlib.crc32(b"".join(path.read_bytes() for path in (*SOURCES, HEADER)))


def compile_kernel(folder: Path = FOLDER) -> list[Path]:
    """The compiled libraries in ``folder``: one a level, none where no C compiler makes them."""
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or ""
    fits = os.name == "posix" and platform.machine().lower() in ("x86_64", "amd64")
    if not compiler or not fits:
        return []
    return [
        folder / library_name(level)
        for level, processor in LEVELS.items()
        if _compile(compiler, processor, folder / library_name(level))
    ]


def _compile(compiler: str, processor: str, target: Path) -> bool:
    partial = target.with_suffix(".partial")
    options = (f"-march={processor}", f"-DSOURCE={source_mark()}")
    command = [*compiler.split(), *FLAGS, *options, "-o", str(partial), *map(str, SOURCES), "-lm"]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=120)
    except (OSError, subprocess.TimeoutExpired):
        return False
    if done.returncode == 0:
        partial.replace(target)
    partial.unlink(missing_ok=True)
    return done.returncode == 0


if __name__ == "__main__":
    print(*map(str, compile_kernel()), sep="\n")
