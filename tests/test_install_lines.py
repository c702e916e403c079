"""Every `pip install` of documents, scripts and images works from a clone, and none brings somebody else's program."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from parlando.core.install import DISTRIBUTION

ROOT = Path(__file__).resolve().parent.parent
SHOWN = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "recipes/**/*.md", "recipes/**/*.sh", "recipes/*.py", "examples/*", "deploy/*")
    for path in ROOT.glob(pattern)
    if path.is_file()
)
SHOWN += [ROOT / "Makefile", ROOT / ".ci" / "run"]
LINE = re.compile(r"\bpip install\b([^`&\\\n]*)")
TAKE_A_VALUE = {"-r", "--index-url"}
LOCAL = re.compile(r"\.(\[[\w,]+\])?")
OFFLINE = ["--isolated", "--dry-run", "--no-index", "--no-build-isolation", "--no-cache-dir"]


def requirements(line):
    """What a line installs, without options, their values and what a shell puts in."""
    words = [word for word in shlex.split(line) if not word.startswith("${")]
    values = {index + 1 for index, word in enumerate(words) if word in TAKE_A_VALUE}
    return [word for index, word in enumerate(words) if index not in values and not word.startswith("-")]


def found_in(path):
    return [r for line in LINE.findall(path.read_text(encoding="utf-8")) for r in requirements(line)]


def foreign(requirement):
    """Whether it is called as the module is: on the public index that is another program."""
    return re.fullmatch(r"parlando([\[=<>~! @].*)?", requirement, re.I) is not None


def test_no_line_names_the_other_program_of_that_name():
    assert [f"{path.relative_to(ROOT)}: {r}" for path in SHOWN for r in found_in(path) if foreign(r)] == []


def test_no_message_names_it_either():
    texts = {path: path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py")}
    named = re.compile(r"pip install [^\n]*?['\" ]parlando(?!-)")
    assert named.search("run: pip install 'parlando[serve]'")
    assert [path for path, text in texts.items() if named.search(text)] == []


@pytest.mark.parametrize("name", ["parlando", "parlando[serve]", "parlando>=0.1", "parlando @ file:///x"])
def test_the_other_program_would_be_seen(name):
    assert requirements(f" -qq '{name}' --upgrade -r list.txt") == [name]
    assert foreign(name)
    assert not foreign(f"{DISTRIBUTION}[serve]")


@pytest.mark.slow
def test_pip_resolves_every_line_that_installs_the_clone():
    """All at once, without a network: what the extras need is here, and pip warns of an extra that is not there."""
    pytest.importorskip("hatchling")
    shown = {requirement for path in SHOWN for requirement in found_in(path) if LOCAL.fullmatch(requirement)}
    assert {".", ".[dev]", ".[serve]", ".[eval]", ".[train]", ".[languages]", ".[grpc]"} <= shown
    command = [sys.executable, "-m", "pip", "install", *OFFLINE, *sorted(shown)]
    environment = {**os.environ, "HATCH_BUILD_NO_HOOKS": "true"}  # the kernel need not be compiled for that
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert f"Would install {DISTRIBUTION}" in done.stdout
    assert "does not provide the extra" not in done.stderr + done.stdout
