"""Five trained parts, as their trainings leave them, become a model that speaks."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
from tiny_corpus import SENTENCES
from tiny_tasks import write_codes

from cosyvoice_tiny import tiny_config, tiny_cosyvoice
from parlando.core.errors import ConfigError, FileMissingError
from parlando.core.voicefile import read_voices
from parlando.models.cosyvoice.lm_weights import save_lm
from parlando.models.cosyvoice.parts.hift_weights import save_hift
from parlando.models.cosyvoice.parts.part_weights import FLOW_FILE, SPEAKER_FILE, SPEECH_TOKENIZER_FILE, save_trained
from parlando.models.locate import PACKAGED
from parlando.models.registry import load_model
from parlando.speech import Synthesizer
from parlando.train.cosyvoice.assemble import CosyVoiceModelRecipe
from parlando.train.loop.recipe import Sources, read_recipe
from parlando.train.registry import assemble

RECIPE = """
family = "cosyvoice"
name = "tiny-mini"
default_voice = "ada"
[sampling]
temperature = 0.9
[flow]
solver_steps = 3
[voices.ada]
display_name = "Ada"
description = "a calm woman"
utterance = "{utterance}"
"""


@pytest.fixture
def runs(packed, tmp_path):
    from parlando.models.cosyvoice.parts.hift import HiFT

    parts = tiny_cosyvoice().parts
    for name in ("lm", "flow", "vocoder", "tokenizer", "speaker", "codes"):
        (tmp_path / name).mkdir()
    save_lm(parts.lm, tmp_path / "lm")
    (tmp_path / "lm" / "lm.json").write_text(json.dumps(asdict(tiny_config().lm)))
    save_trained(parts.flow, parts.flow.config, tmp_path / "flow" / FLOW_FILE)
    save_hift(HiFT(parts.hift.config), tmp_path / "vocoder")
    save_trained(parts.speech_tokenizer, parts.speech_tokenizer.config, tmp_path / "tokenizer" / SPEECH_TOKENIZER_FILE)
    save_trained(parts.speaker, parts.speaker.config, tmp_path / "speaker" / SPEAKER_FILE)
    rows = [(f"ada_{i}", "ada", 1.0, text) for i, text in enumerate(SENTENCES)]
    write_codes(tmp_path / "codes", rows, np.random.default_rng(0))
    names = {name: tmp_path / name for name in ("lm", "codes", "speaker", "flow", "vocoder")}
    return Sources(**names, corpus=packed.folder, speech_tokenizer=tmp_path / "tokenizer")


def write_recipe(folder, utterance):
    path = folder / "model.toml"
    path.write_text(RECIPE.replace("{utterance}", utterance))
    return path


def test_the_parts_become_a_model_that_speaks(runs, packed, tmp_path):
    folder = assemble(write_recipe(tmp_path, packed.entries[0].id), runs, tmp_path / "model")
    model = load_model(folder, "cpu")
    assert (model.name, model.default_voice, model.sampling.temperature) == ("tiny-mini", "ada", 0.9)
    assert model.config.flow.solver_steps == 3
    assert (model.voices["ada"].description, model.voices["ada"].display_name) == ("a calm woman", "Ada")
    (reference,) = model.voices["ada"].references
    assert reference.text == packed.entries[0].text
    assert reference.features["mel"].shape == (2 * reference.codes.shape[1], 80)
    with Synthesizer(model) as synthesizer:
        assert synthesizer.say("Hello.", seed=1).duration_seconds > 0


def test_what_is_missing_is_named(runs, packed, tmp_path):
    recipe = write_recipe(tmp_path, packed.entries[0].id)
    with pytest.raises(ConfigError, match="--vocoder"):
        assemble(
            recipe, Sources((name, folder) for name, folder in runs.items() if name != "vocoder"), tmp_path / "model"
        )
    with pytest.raises(FileMissingError, match=r"lm\.json"):
        assemble(recipe, Sources(runs, lm=tmp_path), tmp_path / "model")
    with pytest.raises(ConfigError, match="no utterance 'nobody'"):
        assemble(write_recipe(tmp_path, "nobody"), runs, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_the_recipe_of_the_small_model_is_read(root):
    recipe = read_recipe(CosyVoiceModelRecipe, root / "recipes" / "cosyvoice-mini" / "model.toml")
    assert recipe.default_voice in recipe.voices
    packaged = read_voices(PACKAGED / "cosyvoice-mini" / "voices.json")
    shown = {name: (voice.description, voice.display_name) for name, voice in packaged.items()}
    assert shown == {name: (voice.description, voice.display_name) for name, voice in recipe.voices.items()}
