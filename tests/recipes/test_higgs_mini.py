"""The default's recipe as a person runs it: its table, and a script whose commands exist."""

import importlib.util
import re
import shutil
import subprocess
import tomllib

import pytest
import soundfile

from parlando.core.errors import ConfigError
from parlando.data.imports import import_table
from parlando.data.manifest import read_manifest


@pytest.fixture
def recipe(root):
    return root / "recipes" / "higgs-mini"


@pytest.fixture
def table(recipe):
    spec = importlib.util.spec_from_file_location("table", recipe / "table.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_recordings_named_after_prompts_become_a_table(table, tmp_path):
    (tmp_path / "prompts.data").write_text('( arctic_a0001 "Author of it, etc." )\n( arctic_b0002 "Say "no" now." )\n')
    for name in ("x/arctic_a0001_15.wav", "arctic_b0002.flac", "arctic_a0009.wav", "other.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        soundfile.write(tmp_path / name, [0.0] * 800, 16_000)
    assert table.write_table(tmp_path, tmp_path / "prompts.data") == 2
    import_table(tmp_path / "metadata.tsv", tmp_path / "m.jsonl")
    found = {u.id: (u.audio, u.speaker, u.text, u.seconds) for u in read_manifest(tmp_path / "m.jsonl")}
    assert found == {
        "arctic_a0001_15": ("x/arctic_a0001_15.wav", "kathleen", "Author of it, etc.", 0.05),
        "arctic_b0002": ("arctic_b0002.flac", "kathleen", 'Say "no" now.', 0.05),
    }


def test_without_recordings_the_table_is_empty_and_not_imported(table, tmp_path):
    (tmp_path / "prompts.data").write_text("")
    assert table.write_table(tmp_path, tmp_path / "prompts.data") == 0
    with pytest.raises(ConfigError):
        import_table(tmp_path / "metadata.tsv", tmp_path / "m.jsonl")


def test_the_script_names_files_and_commands_that_exist(recipe, root):
    from typer.main import get_command

    from parlando.cli.app import build_app

    text = (recipe / "run.sh").read_text()
    for name in re.findall(r'\$recipe/([\w.]+)"', text):
        assert (recipe / name).is_file(), name
    assert (root / re.search(r"heldout=(\S+)", text).group(1)).is_file()
    function = re.search(r"\ntrain\(\) \{.*?\n\}\n", text, re.S)[0]
    assert '-m parlando train "$@" --device' in function
    text = text.replace(function, "").replace("\ntrain ", "\nparlando train ")
    commands = re.findall(r"parlando (\w+)(?: ([\w-]+))? (.*?)(?=\n\S|\n\n|\Z)", text.replace("\\\n", " "), re.S)
    assert len(commands) == 14
    groups = get_command(build_app()).commands
    for group, name, arguments in commands:
        command = groups[group] if group == "say" else groups[group].commands[name]
        known = {flag for parameter in command.params for flag in parameter.opts}
        used = set(re.findall(r"(?<!\S)(--?[a-z]+)", arguments))
        assert used <= known, (group, name)


def test_the_table_of_steps_has_the_budgets_of_the_recipes(recipe):
    text = (recipe / "README.md").read_text()
    for name in ("codec", "voice_transfer", "lm", "decoder"):
        minutes = tomllib.loads((recipe / f"{name}.toml").read_text())["budget"]["minutes"]
        (row,) = re.findall(rf"^\|.*parlando train [\w-]+ {name}\.toml.*\|(.*)\|$", text, re.M)
        assert int(re.findall(r"\d+", row)[-1]) == minutes, name


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_the_script_is_whole_and_says_what_it_lacks(recipe):
    assert subprocess.run(["bash", "-n", recipe / "run.sh"], check=False).returncode == 0
    run = subprocess.run(
        ["bash", recipe / "run.sh"], capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin"}
    )
    assert run.returncode != 0
    assert "folder of dataset-voice-kathleen" in run.stderr
