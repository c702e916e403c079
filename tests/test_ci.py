"""The script that checks everything: it ends where a step fails, and says what it leaves out."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")

LOG = 'echo "$(basename "$0") $*" >> "$LOG"'
STEPS = ["apt-get update", "apt-get install", "python3", "pip install -qq torch", "pip install -qq -e", "make", "make"]


@pytest.fixture
def ci(root, tmp_path):
    """Run the script with stand-ins for what it starts; returns its status, its words, and the calls it made."""
    programs, project = tmp_path / "bin", tmp_path / "project"
    for name in ("bash", "dirname", "basename", "cat"):
        programs.mkdir(exist_ok=True)
        (programs / name).symlink_to(shutil.which(name))
    (project / ".ci").mkdir(parents=True)
    shutil.copy(root / ".ci" / "run", project / ".ci" / "run")

    def stand_in(path, body):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!{shutil.which('bash')}\n{LOG}\n{body}\n")
        path.chmod(0o755)

    def run(user=0, failing="nothing", apt=True):
        stand_in(programs / "id", f"echo {user}")
        fail = f'[ "$(cat)" = "" ] || exit 3\n[[ "$(basename "$0") $*" != "{failing}"* ]]'
        for path in [programs / name for name in ("python3", "make", *["apt-get"] * apt)] + [project / ".venv/bin/pip"]:
            stand_in(path, fail)
        log = tmp_path / "log"
        log.write_text("")
        done = subprocess.run(
            ["bash", str(project / ".ci" / "run")],
            env={"PATH": str(programs), "LOG": str(log)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        calls = [line for line in log.read_text().splitlines() if not line.startswith("id")]
        return done.returncode, done.stdout, calls

    return run


def begins(calls, steps):
    return len(calls) == len(steps) and all(call.startswith(step) for call, step in zip(calls, steps, strict=True))


def test_as_root_everything_is_installed_and_checked(ci):
    status, words, calls = ci()
    assert (status, words) == (0, "")
    assert begins(calls, STEPS), calls
    assert {"libflite1", "chromium", "strace"} <= set(calls[1].split())


@pytest.mark.parametrize("number", range(len(STEPS) - 1))
def test_a_step_that_fails_is_the_last_one(ci, number):
    status, _, calls = ci(failing=STEPS[number])
    assert status != 0
    assert begins(calls, STEPS[: number + 1]), calls


@pytest.mark.parametrize("given", [{"user": 1000}, {"apt": False}], ids=str)
def test_where_nothing_can_be_installed_it_says_what_is_skipped(ci, given):
    status, words, calls = ci(**given)
    assert status == 0
    assert "tests are skipped" in words
    assert begins(calls, STEPS[2:]), calls


def test_the_script_may_be_run(root):
    assert os.access(root / ".ci" / "run", os.X_OK)
