"""The recipe of a preference round: its list and settings, the commands it runs, and its table."""

import importlib.util
import json
import re

import pytest
import typer

import parlando.speech
from parlando.cli.app import build_app
from parlando.data.sentences import sentence_key
from parlando.evaluate.judges import registry
from parlando.evaluate.judges.base import Card
from parlando.evaluate.references import held_out_sentences
from parlando.models.locate import locate
from parlando.nn.lora import chosen
from parlando.train.higgs.dpo import HiggsDPORecipe
from parlando.train.higgs.start import find_start
from parlando.train.loop.recipe import read_recipe


@pytest.fixture(scope="module")
def recipe(root):
    spec = importlib.util.spec_from_file_location("preference_round", root / "recipes" / "preference" / "round.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_its_sentences_are_a_hundred_and_none_is_held_out(recipe):
    lines = (recipe.HERE / "train.txt").read_text(encoding="utf-8").splitlines()
    assert len({sentence_key(line) for line in lines}) == len(lines) == 100
    assert not {sentence_key(line) for line in lines} & {sentence_key(line) for line in held_out_sentences()}


def test_its_clip_is_there_and_says_what_is_written(recipe):
    assert recipe.CLIP.is_file()
    lists = (recipe.LISTS / "seed_tts_en.lst").read_text(encoding="utf-8")
    assert f"|{recipe.WORDS}|{recipe.CLIP.name}|" in lists


def test_its_settings_fit_the_packaged_model(recipe):
    settings = read_recipe(HiggsDPORecipe, recipe.HERE / "dpo.toml")
    sizes = find_start("higgs-mini").trained_sizes
    assert len(settings.codebook_weights) == sizes.num_codebooks
    assert chosen(["layers.0.self_attn.q_proj", "layers.0.audio_mlp.up_proj"], ("q_proj", "audio_mlp.*"), "")
    assert settings.adapter is not None
    assert settings.budget.minutes == 4.0
    assert (locate("higgs-mini") / "config.json").is_file()


def test_the_round_runs_commands_that_exist_and_writes_what_came_of_it(recipe, tmp_path):
    ran, asked = [], []

    def measured(options, adapter, cloned):
        asked.append((adapter, cloned))
        found = {"wer": 0.1 if adapter is None else 0.0525, "ended": 1.0}
        return found | ({"similarity": 0.8123} if cloned else {})

    options = recipe.parse(["-o", str(tmp_path / "out"), "--limit", "3", "--steps", "2"])
    text = recipe.whole_round(options, ran.append, measured)
    groups = typer.main.get_command(build_app()).commands
    assert [words[:2] for words in ran] == [["data", "preferences"], ["train", "dpo"]]
    for group, name, *arguments in ran:
        command = groups[group].commands[name]
        context = command.make_context(name, arguments)
        assert context.params["out"].parent == tmp_path / "out"
    adapter = tmp_path / "out" / "dpo" / "adapter"
    assert asked == [(None, True), (adapter, True), (None, False), (adapter, False)]
    assert text == (tmp_path / "out" / "table.md").read_text()
    assert text.splitlines()[2:4] == [
        "| cloned voice, before | 10.0% | 0.812 | 100.0% |",
        "| cloned voice, after | 5.2% | 0.812 | 100.0% |",
    ]
    assert text.splitlines()[4].endswith("| – | 100.0% |")


def test_held_out_sentences_are_measured_once(recipe, tmp_path, tiny_model, monkeypatch):
    calls = []

    class Asr:
        card = Card("deaf", "1")

        def hear(self, clip, language):
            calls.append(len(clip.samples))
            return "nothing"

    monkeypatch.setattr(registry, "asr", lambda spec: Asr())
    monkeypatch.setattr(
        parlando.speech, "load", lambda model, adapter, rows: parlando.speech.Synthesizer(tiny_model, rows=rows)
    )
    options = recipe.parse(["-o", str(tmp_path), "--held-out", "1"])
    found = [recipe.measure(options, None, False) for _ in range(2)]
    assert len(calls) == 1
    assert found[0] == found[1]
    assert found[0]["wer"] >= 1.0
    (kept,) = (tmp_path / "held-out" / "takes").iterdir()
    assert [take["seed"] for take in json.loads(kept.read_text())["takes"]] == [recipe.FIRST_SEED]


def test_the_page_names_what_is_there(recipe):
    page = (recipe.HERE / "README.md").read_text(encoding="utf-8")
    for name in re.findall(r"`((?:round|train|dpo)\.\w+)`", page):
        assert (recipe.HERE / name).is_file()
