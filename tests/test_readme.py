"""What the README and the documents show is run: Python blocks as they stand, commands as far as their options go."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import parlando

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    *(f"docs/{p.name}" for p in sorted((ROOT / "docs").glob("*.md"))),
]
LINK = re.compile(r"\]\((?!https?:)([^)#]+)\)")


def blocks(document: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / document).read_text(encoding="utf-8"), re.M | re.S)


def commands(document: str) -> list[str]:
    """Every `parlando …` of the document's shell blocks, without what feeds it."""
    lines = [line for block in blocks(document, "bash") for line in block.splitlines()]
    return [found for line in lines for found in re.findall(r"(?:^|[|/] ?)(parlando .*)", line)]


# Clients need a server: tests/serve runs those.
PYTHON_BLOCKS = [(d, i) for d in DOCUMENTS for i, block in enumerate(blocks(d, "python")) if "base_url" not in block]
COMMANDS = [(d, line) for d in DOCUMENTS for line in commands(d)]


@pytest.mark.slow
@pytest.mark.parametrize(("document", "index"), PYTHON_BLOCKS, ids=str)
def test_python_block_runs(document, index, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(blocks(document, "python")[index], f"{document} block {index}", "exec"), {"__name__": "__main__"})
    for made in tmp_path.glob("*.wav"):
        assert made.stat().st_size > 10_000


@pytest.mark.parametrize(("document", "line"), COMMANDS, ids=lambda value: str(value)[:40])
def test_command_has_the_options_it_is_shown_with(document, line):
    from parlando.cli.app import build_app

    arguments = shlex.split(line)[1:]
    command = typer.main.get_command(build_app())
    # Some do one thing by themselves, and others by their names.
    while arguments and arguments[0] in getattr(command, "commands", ()):
        command = command.commands[arguments.pop(0)]
    assert command.make_context(command.name, arguments).params


@pytest.mark.slow
def test_the_readmes_line_of_shell_writes_its_file(tmp_path):
    (line,) = [line for block in blocks("README.md", "bash") for line in block.splitlines() if line.startswith("echo")]
    text, command = line.split(" | ")
    spoken = shlex.split(text)[1] + "\n"
    result = subprocess.run(
        [sys.executable, "-m", *shlex.split(command)],
        input=spoken,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "long.flac").stat().st_size > 10_000


def test_six_lines_of_python():
    (first, *_) = blocks("README.md", "python")
    assert len([line for line in first.splitlines() if line.strip()]) <= 6


def test_ci_sets_up_as_the_readme_says():
    set_up = blocks("README.md", "bash")[1].strip().split(" && ")
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert [step for step in set_up[:-1] if step not in script] == []
    threads, check = set_up[-1].split(" .venv/bin/")
    assert f"\t{threads} $(BIN)/{check} " in (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "make check" in script


def test_the_readmes_voices_are_those_of_the_default():
    table = re.findall(r"^\| `(\w+)` \| (\w+) \|([^|]*)\|$", (ROOT / "README.md").read_text(encoding="utf-8"), re.M)
    with parlando.load() as synthesizer:
        shown = {name: voice.display_name for name, voice in synthesizer.voices.items()}
        assert {name: display_name for name, display_name, _ in table} == shown
        assert [name for name, _, who in table if "default" in who] == [synthesizer.model.default_voice]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document):
    targets = LINK.findall((ROOT / document).read_text(encoding="utf-8"))
    assert [t for t in targets if not ((ROOT / document).parent / t).exists()] == []


def test_every_room_is_on_the_map():
    rooms = {p.name for p in (ROOT / "src" / "parlando").iterdir() if (p / "__init__.py").is_file()}
    architecture = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert {room for room in rooms if not re.search(rf"^.*`?\b{room}\b", architecture, re.M)} == set()


def test_an_option_that_is_not_there_would_be_seen():
    from parlando.cli.app import build_app

    command = typer.main.get_command(build_app()).commands["say"]
    with pytest.raises(Exception, match="--no-such-option"):
        command.make_context("say", ["hello", "--no-such-option"])
