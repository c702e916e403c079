"""Rounds in turn: the commands they run, what a second run does not do again, and the whole of it at tiny sizes."""

from __future__ import annotations

import importlib.util
import json
import re

import pytest
import typer

from parlando.cli.app import build_app
from parlando.data.manifest import Utterance, append_manifest
from parlando.train.higgs.lm_recipe import LMRecipe
from parlando.train.loop.recipe import read_recipe
from parlando.train.understanding.recipes import UnderstandingRecipe


@pytest.fixture(scope="module")
def recipe(root):
    spec = importlib.util.spec_from_file_location("in_turn_rounds", root / "recipes" / "in_turn" / "rounds.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def figures(**values):
    return [{"name": name.replace("_", " "), "value": value} for name, value in values.items()]


class Pretender:
    """Leaves what commands would leave."""

    def __init__(self, folder):
        self.ran, self.folder = [], folder

    def __call__(self, arguments):
        self.ran.append(list(arguments))
        out = self.folder / arguments[arguments.index("-o") + 1]
        out.mkdir(parents=True, exist_ok=True)
        if arguments[0] == "annotate":
            speakers = ("b_S1", 2.0), ("a_S0", 3.0)
            append_manifest(out / "manifest.jsonl", [Utterance(n, "c", n, "en", "t", s) for n, s in speakers])
        if arguments[0] == "eval":
            number = int(out.parent.name)
            heard = {"WER": 90.0 - 10 * number, "speakers": 75.0, "event_F1": 0.5}
            found = figures(**heard) if out.name == "heard" else figures(WER_strict=40.0 - number)
            systems = [{"system": "ours", "figures": found}, {"system": "whisper base", "figures": figures(WER=9.5)}]
            (out / "report.json").write_text(json.dumps({"systems": systems}))


@pytest.fixture
def rounds(recipe, root, tmp_path, monkeypatch):
    texts = tmp_path / "texts.txt"
    texts.write_text("One.\nTwo.\nThree.\n")
    spoken = []
    monkeypatch.setattr(recipe, "speak", lambda model, texts, folder, speaker: spoken.append((speaker, list(texts))))
    settings = root / "recipes" / "in_turn" / "small.toml"
    places = {"teacher": tmp_path / "t.jsonl", "raw": tmp_path / "raw", "texts": texts, "codec": tmp_path / "codec"}
    options = [part for name, path in places.items() for part in (f"--{name}", str(path))]
    run = Pretender(tmp_path)
    return lambda: (recipe.main([str(settings), *options, "-o", str(tmp_path / "out")], run), run, spoken)


def test_commands_exist_and_figures_are_laid_out_by_round(rounds, tmp_path):
    found, run, spoken = rounds()
    for arguments in run.ran:
        command = typer.main.get_command(build_app())
        rest = list(arguments)
        while rest and rest[0] in getattr(command, "commands", ()):
            command = command.commands[rest.pop(0)]
        assert command.make_context(command.name, rest).params
    names = [arguments[0] if arguments[0] == "annotate" else " ".join(arguments[:2]) for arguments in run.ran]
    assert names[:4] == ["data pack", "train understanding", "eval understanding", "annotate"]
    assert names.count("train lm") == names.count("train assemble") == 2
    assert names.count("train understanding") == 3
    lines = [re.split(r" *\| *", line)[1:] for line in found.splitlines()]
    assert lines[0][:2] == ["round", "understanding: WER"]
    assert [line[0] for line in lines[2:]] == ["0", "1", "2", "whisper base"]
    assert [line[1] for line in lines[2:]] == ["90.0 %", "80.0 %", "70.0 %", "9.5 %"]
    assert [line[7] for line in lines[2:]] == ["–", "39.0 %", "38.0 %", "–"]
    assert json.loads((tmp_path / "out" / "table.json").read_text())["rounds"][2]["generation"] == {"WER strict": 38.0}
    assert spoken == [("generation1", ["One.", "Two.", "Three."]), ("generation2", ["One.", "Two.", "Three."])]


def test_what_is_finished_is_not_done_again(rounds, tmp_path):
    _, run, _ = rounds()
    count = len(run.ran)
    rounds()
    assert len(run.ran) == count
    (tmp_path / "out" / "2" / "heard.done").unlink()
    rounds()
    assert [arguments[:2] for arguments in run.ran[count:]] == [["eval", "understanding"]]


def test_speakers_become_the_recipes(rounds, tmp_path):
    rounds()
    lm = read_recipe(LMRecipe, tmp_path / "out" / "1" / "lm.toml")
    assert lm.mix.descriptions == {"a_S0": "a_S0", "b_S1": "b_S1"}
    assert 'default_voice = "a_S0"' in (tmp_path / "out" / "1" / "model.toml").read_text()


def test_its_recipes_are_read(recipe, root):
    folder = root / "recipes" / "in_turn"
    settings = read_recipe(recipe.Settings, folder / "small.toml")
    assert (folder / settings.understanding.recipe).is_file()
    trained = read_recipe(UnderstandingRecipe, root / "recipes" / "understanding" / "small.toml")
    assert trained.budget.minutes == 40
    assert trained.train.model.longest_seconds > 1.1 * trained.train.scenes.longest_seconds
    assert (folder / settings.annotate).is_file()


def test_a_corpus_of_nobody_is_told(recipe, tmp_path):
    (tmp_path / "manifest.jsonl").touch()
    with pytest.raises(SystemExit, match=r"nothing was kept .* rejected\.jsonl"):
        recipe.speakers_of(tmp_path / "manifest.jsonl")
