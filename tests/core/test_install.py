"""The command that adds an extra, for every way of installing."""

from __future__ import annotations

import json
import re
import shlex
import sys
import tomllib
from importlib.metadata import Distribution, PackageNotFoundError

from parlando.core import install

NEW_VERSION = "7.8"


class Installed(Distribution):
    """A distribution with these files of metadata."""

    def __init__(self, **files):
        self.files_by_name = {"METADATA": f"Name: {install.DISTRIBUTION}\nVersion: {NEW_VERSION}\n", **files}

    def read_text(self, filename):
        return self.files_by_name.get(filename)

    def locate_file(self, path):
        raise AssertionError(f"nobody needs {path}")


def installed_from(monkeypatch, origin):
    files = {} if origin is None else {"direct_url.json": json.dumps(origin)}
    monkeypatch.setattr(install.Distribution, "from_name", lambda name: Installed(**files))


def words(extra="serve"):
    """What follows `PYTHON -m pip install`."""
    python, *module, verb = shlex.split(install.with_extra(extra))[:4]
    assert (python, module, verb) == (sys.executable, ["-m", "pip"], "install")
    return shlex.split(install.with_extra(extra))[4:]


def test_from_a_folder(monkeypatch, tmp_path):
    folder = tmp_path / "a clone's folder"
    folder.mkdir()
    installed_from(monkeypatch, {"url": folder.as_uri(), "dir_info": {}})
    assert words() == [f"{folder}[serve]"]


def test_a_folder_that_is_edited_stays_so(monkeypatch, tmp_path):
    installed_from(monkeypatch, {"url": tmp_path.as_uri(), "dir_info": {"editable": True}})
    assert words("train") == ["-e", f"{tmp_path}[train]"]


def test_from_a_wheel(monkeypatch, tmp_path):
    wheel = tmp_path / "parlando_speech-0.1.0-py3-none-any.whl"
    wheel.touch()
    installed_from(monkeypatch, {"url": wheel.as_uri(), "archive_info": {"hash": "sha256=00"}})
    assert words() == [f"{wheel}[serve]"]


def test_from_a_repository(monkeypatch):
    pinned = {"vcs": "git", "commit_id": "abc123", "requested_revision": "main"}
    installed_from(monkeypatch, {"url": "https://example.org/p.git", "vcs_info": pinned})
    assert words() == ["parlando-speech[serve] @ git+https://example.org/p.git@abc123"]


def test_from_an_archive_elsewhere(monkeypatch):
    installed_from(monkeypatch, {"url": "https://example.org/p.tar.gz", "archive_info": {}})
    assert words() == ["parlando-speech[serve] @ https://example.org/p.tar.gz"]


def test_from_an_index_or_a_folder_that_is_gone(monkeypatch, tmp_path):
    installed_from(monkeypatch, None)
    assert words() == ["parlando-speech[serve]"]
    installed_from(monkeypatch, {"url": (tmp_path / "gone").as_uri(), "dir_info": {"editable": True}})
    assert words() == ["parlando-speech[serve]"]


def test_sources_on_the_path_alone_have_no_version(monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(install.Distribution, "from_name", missing)
    assert install.version() == "not installed"
    assert words() == ["parlando-speech[serve]"]


def test_the_version_is_that_of_the_metadata(monkeypatch):
    installed_from(monkeypatch, None)
    assert install.version() == NEW_VERSION


def test_every_extra_that_a_message_names_is_declared(root, sources):
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == install.DISTRIBUTION
    named = {extra for s in sources for extra in re.findall(r"\bwith_extra\(\"([\w-]+)\"\)", s.text)}
    assert named >= {"eval", "grpc", "languages", "plots", "serve", "telemetry", "train"}
    assert named <= set(project["optional-dependencies"])
