"""The second family's recipe as a person runs it: files, commands and budgets that exist."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib

import pytest


@pytest.fixture
def recipe(root):
    return root / "recipes" / "cosyvoice-mini"


def test_the_script_names_files_and_commands_that_exist(recipe):
    from typer.main import get_command

    from parlando.cli.app import build_app

    text = (recipe / "run.sh").read_text()
    for name in re.findall(r'\$recipe/([\w.]+)"', text):
        assert (recipe / name).is_file(), name
    function = re.search(r"\ntrain\(\) \{.*?\n\}\n", text, re.S)[0]
    text = text.replace(function, "").replace("\ntrain ", "\nparlando train ").replace("\\\n", " ")
    commands = re.findall(r"parlando (\w+)(?: ([\w-]+))? (.*?)(?=\n\S|\n\n|\Z)", text, re.S)
    assert len(commands) == 10
    groups = get_command(build_app()).commands
    for group, name, arguments in commands:
        command = groups[group] if group == "say" else groups[group].commands[name]
        known = {flag for parameter in command.params for flag in parameter.opts}
        assert set(re.findall(r"(?<!\S)(--?[a-z-]+)", arguments)) <= known, (group, name)


def test_the_table_of_steps_has_the_budgets_of_the_recipes(recipe):
    text = (recipe / "README.md").read_text()
    for name in ("speech_tokenizer", "speaker", "vocoder", "flow", "lm"):
        minutes = tomllib.loads((recipe / f"{name}.toml").read_text())["budget"]["minutes"]
        (row,) = re.findall(rf"^\|.*parlando train [\w-]+ {name}\.toml.*\|(.*)\|$", text, re.M)
        assert int(re.findall(r"\d+", row)[-1]) == minutes, name


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_the_script_says_what_it_lacks(recipe):
    run = subprocess.run(
        ["bash", recipe / "run.sh"], capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin"}
    )
    assert run.returncode != 0
    assert "packed corpus" in run.stderr
