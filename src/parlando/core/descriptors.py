"""Paths that name what a process has open already, such as /dev/stdout, by links as well."""

from __future__ import annotations

from pathlib import Path

STDOUT = 1
FOLDERS = ("/dev/fd", "/proc/self/fd")
MOST_LINKS = 40  # as the kernel follows


def descriptor_of(path: Path) -> int | None:
    """The descriptor that a path leads to, such as 1 for /dev/stdout and for a link to it; ``None`` for other paths."""
    try:
        folders = {Path(folder).resolve() for folder in FOLDERS}
        for _ in range(MOST_LINKS):
            if path.name.isdecimal() and path.parent.resolve() in folders:
                return int(path.name)
            if not path.is_symlink():
                return None
            path = path.parent / path.readlink()
    except (OSError, RuntimeError):  # too long, or links that lead to each other: whoever opens it says so
        return None
    return None
