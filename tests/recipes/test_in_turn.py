"""Rounds in turn: the commands they run, what a second run does not do again, and the whole of it at tiny sizes."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import typer

import fake_listeners as fakes
from parlando.audio.files import write_audio
from parlando.cli.app import build_app, main
from parlando.data.manifest import Utterance, append_manifest
from parlando.evaluate.judges import registry, steady
from parlando.evaluate.judges.base import Card
from parlando.train.higgs.lm_recipe import LMRecipe
from parlando.train.loop.recipe import read_recipe
from parlando.train.understanding.recipes import UnderstandingRecipe

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "data"))
from tiny_corpus import no_processes, write_corpus


@pytest.fixture(scope="module")
def recipe(root):
    return loaded(root, "rounds")


@pytest.fixture(scope="module")
def voice(root):
    return loaded(root, "voice")


def loaded(root, name):
    folder = root / "recipes" / "in_turn"
    spec = importlib.util.spec_from_file_location(f"in_turn_{name}", folder / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look themselves up there
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
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
            speakers = ("b_S1", "a_S0", "a_S0", "a_S0")
            append_manifest(out / "manifest.jsonl", [Utterance(n, "c", n, "en", "t", 2.0) for n in speakers])
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


def test_round_0_may_begin_with_a_model_that_has_learned(recipe, root, tmp_path):
    start = tmp_path / "trained"
    start.mkdir()
    (start / "config.json").write_text("{}")
    run = Pretender(tmp_path)
    sources = recipe.Sources(tmp_path, tmp_path, tmp_path, tmp_path, start)
    rounds = recipe.Rounds(root / "recipes" / "in_turn" / "small.toml", sources, tmp_path / "out", run)
    dict(rounds.steps())["0/understanding"]()
    assert (tmp_path / "out" / "0" / "understanding" / "config.json").is_file()
    assert run.ran == []


def test_speakers_become_the_recipes(rounds, tmp_path):
    rounds()
    lm = read_recipe(LMRecipe, tmp_path / "out" / "1" / "lm.toml")
    assert lm.mix.descriptions == {"a_S0": "a_S0", "b_S1": "b_S1"}
    assert 'default_voice = "a_S0"' in (tmp_path / "out" / "1" / "model.toml").read_text()


@pytest.mark.parametrize(("name", "minutes"), [("small", 40), ("whisper", 30)])
def test_its_recipes_are_read(recipe, root, name, minutes):
    folder = root / "recipes" / "in_turn"
    settings = read_recipe(recipe.Settings, folder / f"{name}.toml")
    assert (folder / settings.annotate).is_file()
    trained = read_recipe(UnderstandingRecipe, folder / settings.understanding.recipe)
    assert trained.budget.minutes == minutes
    if name == "small":  # a published tower hears 30 s
        assert trained.train.model.longest_seconds > 1.1 * trained.train.scenes.longest_seconds


def test_a_corpus_of_nobody_is_told(voice, tmp_path):
    (tmp_path / "manifest.jsonl").touch()
    with pytest.raises(SystemExit, match=r"nobody's 3 sentences were kept of the recordings; see .*rejected\.jsonl"):
        voice.speakers_of(tmp_path / "manifest.jsonl")


def test_an_annotated_corpus_alone_becomes_a_model_that_says_something(voice, tmp_path):
    corpus, run = tmp_path / "manifest.jsonl", Pretender(tmp_path)
    append_manifest(corpus, [Utterance(n, "c", n, "en", "t", 2.0) for n in ("b", "a", "a", "a")])
    voice.main([str(corpus), "--codec", "codec", "--steps", "7", "-o", str(tmp_path / "out")], run)
    assert [" ".join(each[:2]) for each in run.ran[:4]] == ["data pack", "data encode", "train lm", "train assemble"]
    assert run.ran[2][-4:-2] == ["--steps", "7"]
    assert run.ran[4][:1] == ["say"]
    assert str(tmp_path / "out" / "model") in run.ran[4]


CODEC = """
[budget]
steps = 1
[train.crops]
batch = 2
frames = 5
held_out_batch = 2
[train.codec]
num_bands = 12
num_codebooks = 2
codebook_size = 8
latent_dim = 6
fine_dim = 8
coarse_dim = 8
hidden_dim = 12
decoder_fine_blocks = 3
"""
SETTINGS = """
rounds = 1
new_texts = 2
asr = "deaf"
scenes = 2
sentences = 1
[understanding]
recipe = "understanding.toml"
first_steps = 1
steps = 1
[generation]
recipe = "lm.toml"
first_steps = 1
steps = 1
"""
UNDERSTANDING = """
[budget]
steps = 1
[train]
seconds_per_batch = 2.0
candidates = 4
held_out_scenes = 1
[train.scenes]
longest_seconds = 4.0
[train.model.tower]
d_model = 16
encoder_layers = 1
encoder_attention_heads = 2
encoder_ffn_dim = 16
max_source_positions = 200
[train.model.answerer]
hidden_size = 16
num_layers = 1
num_heads = 2
intermediate_size = 16
"""
LM = """
[budget]
steps = 1
[sizes]
hidden_size = 8
num_layers = 1
num_heads = 2
intermediate_size = 16
context_length = 512
[mix]
candidates = 2
tokens_per_batch = 100
"""
ANNOTATE = """
[models]
events = ""
language = ""
mos = ""
speakers = "any"
"""


class Deaf:
    card = Card("deaf", "1")

    def hear(self, clip, language):
        return ""


@pytest.mark.slow
def test_a_whole_round_at_tiny_sizes(recipe, tmp_path, monkeypatch):
    """All commands are real; who hears words and voices in the recordings needs no weights."""
    settings = {"rounds": SETTINGS, "understanding": UNDERSTANDING, "lm": LM, "annotate": ANNOTATE, "codec": CODEC}
    for name, text in settings.items():
        (tmp_path / f"{name}.toml").write_text(text)
    (tmp_path / "texts.txt").write_text("Good morning.\nIt rains.\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("parlando.train.loop.trainer.draw_log", lambda path: None)
    monkeypatch.setattr(steady, "steady_asr", lambda spec: fakes.PitchWords())
    monkeypatch.setattr(registry, "speaker_encoder", lambda spec: fakes.PitchVoices())
    monkeypatch.setattr(registry, "asr", lambda spec, key=None: Deaf())
    no_processes(monkeypatch)
    fakes.make_raw(tmp_path / "raw")
    said = [part for _ in range(4) for part in (fakes.voice(fakes.LOW, 2.0), fakes.pause(1.0))]
    write_audio(tmp_path / "raw" / "long.wav", np.concatenate([fakes.pause(0.5), *said]), fakes.RATE)
    teacher = write_corpus(tmp_path / "teacher")

    def run(arguments):
        alone = ["--workers", "0"] if arguments[0] == "annotate" else []
        with pytest.raises(SystemExit) as stop:
            main([*arguments, *alone])
        assert not stop.value.code, arguments

    run(["data", "pack", str(teacher), "-o", "packed"])
    run(["train", "codec", "codec.toml", "--corpus", "packed", "-o", "codec"])
    options = ["rounds.toml", "--teacher", str(teacher), "--raw", "raw", "--texts", "texts.txt", "--codec", "codec"]
    found = recipe.main([*options, "-o", "out"], run)
    rounds = json.loads((tmp_path / "out" / "table.json").read_text())["rounds"]
    assert [sorted(row["generation"]) != [] for row in rounds] == [False, True]
    assert all("speakers" in row["understanding"] for row in rounds)
    assert rounds[1]["generation"]["WER strict"] == 100.0
    assert len(found.splitlines()) == 6
    again = []
    recipe.main([*options, "-o", "out"], again.append)
    assert again == []
