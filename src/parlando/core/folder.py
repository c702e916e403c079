"""Writing a model's folder, or a file: all of it or nothing."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from parlando.core.errors import FileMissingError


@contextmanager
def whole_folder(folder: Path, optional: Sequence[str] = ()) -> Iterator[Path]:
    """A folder to write into, whose files appear in ``folder`` together, once the block ends without an error.

    After an error, ``folder`` is as it was, or not there if it was not. Files named ``optional`` that were not written
    are removed from ``folder``, where an earlier model left them.

    Raises:
        FileMissingError: the folder to put it in is not there.
    """
    if not folder.parent.is_dir():
        raise FileMissingError(folder.parent, "folder")
    is_new = not folder.exists()
    folder.mkdir(exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix=".parlando-", dir=folder) as name:
            partial = Path(name)
            yield partial
            for left_out in (name for name in optional if not (partial / name).exists()):
                (folder / left_out).unlink(missing_ok=True)
            for path in sorted(partial.iterdir()):
                # safetensors makes files that only their owner can read.
                path.chmod(0o644)
                path.replace(folder / path.name)
    except BaseException:
        if is_new:
            with suppress(OSError):
                folder.rmdir()
        raise


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path to write to, which becomes ``path`` once the block ends without an error.

    Raises:
        FileMissingError: the folder to put it in is not there.
    """
    if not path.parent.is_dir():
        raise FileMissingError(path.parent, "folder")
    with tempfile.TemporaryDirectory(prefix=".parlando-", dir=path.parent) as name:
        partial = Path(name) / path.name
        yield partial
        partial.replace(path)


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Plain data, to be read by people too."""
    path.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
