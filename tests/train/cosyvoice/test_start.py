"""A language model that starts from a folder has that folder's tokenizer, sizes and weights."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from test_lm import CODES, CONFIG, one_book, task  # noqa: F401  a fixture
from tiny_tasks import lm_task

from cosyvoice_published import write_published
from cosyvoice_tiny import tiny_cosyvoice
from parlando.core.errors import ConfigError, InputError
from parlando.models.cosyvoice.build import save_model
from parlando.models.cosyvoice.tokenizer import HubTokenizer, default_phoneme_config
from parlando.train.cosyvoice.lm import HEAD, TABLE
from parlando.train.cosyvoice.lm_examples import CosyVoiceMix
from parlando.train.cosyvoice.lm_recipe import CosyVoiceLMRecipe, make_lm_task
from parlando.train.cosyvoice.start import find_start, read_text
from parlando.train.higgs.start import find_start as find_higgs_start
from parlando.train.loop.recipe import Sources
from parlando.train.loop.step import Stepper
from parlando.train.loop.trainer import Budget

RECIPE = CosyVoiceLMRecipe("cosyvoice", Budget(steps=1), CosyVoiceMix(clone_share=0.0, candidates=2), code_levels=1)


def test_nothing_is_the_default_phonemes():
    start = find_start(None)
    assert (start.sizes, start.tensors) == (None, None)
    assert start.text == default_phoneme_config()
    with pytest.raises(InputError, match="no model 'nowhere'"):
        find_start("nowhere")


def test_a_run_says_how_its_text_became_tokens(one_book, tmp_path):  # noqa: F811
    made = task(one_book)
    made.export(tmp_path)
    start = find_start(str(tmp_path))
    assert (start.sizes, start.text) == (CONFIG, default_phoneme_config())
    assert all(torch.equal(start.tensors[name], tensor) for name, tensor in made.tensors().items())
    (tmp_path / "text.json").unlink()
    assert read_text(tmp_path) == default_phoneme_config(), "a run from before said nothing"


@pytest.mark.parametrize("levels", [1, 4])
def test_a_training_begins_with_the_very_model_that_it_starts_from(one_book, tmp_path, levels):  # noqa: F811
    task(one_book).export(tmp_path)
    sources = Sources(codes=one_book, start_from=tmp_path)
    again = make_lm_task(replace(RECIPE, code_levels=levels), sources)
    assert again.tensors().keys() == again.start.tensors.keys()
    assert all(torch.equal(tensor, again.start.tensors[name]) for name, tensor in again.tensors().items())
    before = {name: tensor.clone() for name, tensor in again.tensors().items()}
    Stepper(again).step(0, 0.5)
    assert all(not torch.equal(again.tensors()[name], before[name]) for name in (TABLE, HEAD))


def test_a_model_brings_its_own(tmp_path):
    model = tiny_cosyvoice()
    start = find_start(str(save_model(model, tmp_path / "model", dtype=torch.float16)))
    assert (start.sizes, start.text) == (model.config.lm, model.config.text)
    assert {tensor.dtype for tensor in start.tensors.values()} == {torch.float32}


def test_a_published_folder_brings_its_byte_pairs_to_training_and_on_to_the_run(one_book, tmp_path):  # noqa: F811
    published, codes = write_published(tmp_path / "published"), tmp_path / "codes"
    codes.mkdir()
    for name in ("index.jsonl", "labels.u8", "codes.i16"):
        (codes / name).write_bytes((one_book / name).read_bytes())
    sizes = find_start(str(published)).sizes
    described = {"num_codebooks": 1, "codebook_size": sizes.codebook_size}
    (codes / "codes.json").write_text(json.dumps(described))
    sources = Sources(codes=codes, start_from=published)
    made = make_lm_task(RECIPE, sources)
    tokenizer = HubTokenizer(published / "CosyVoice-BlankEN")
    assert made.lm.config == sizes
    example, _ = made.sampler.held_out(1)[0]
    text = made.sampler.corpus.utterances[0].text
    assert made.start.tokenizer.encode(text) == tokenizer.encode(text)
    assert np.isfinite(example.prompt.codes).all()
    made.export(tmp_path)
    again = find_start(str(tmp_path))
    assert (again.text.kind, again.sizes) == ("hub", sizes)
    assert again.tokenizer.encode(text) == tokenizer.encode(text)


@pytest.mark.parametrize("has_text", [True, False])
def test_the_run_or_model_of_another_family_is_called_that(codes, one_book, tmp_path, has_text):  # noqa: F811
    """Also one from the days when a run did not say how its text became tokens."""
    runs = {"higgs": lm_task(codes), "cosyvoice": task(one_book)}
    for family, made in runs.items():
        (tmp_path / family).mkdir()
        made.export(tmp_path / family)
        if not has_text:
            (tmp_path / family / "text.json").unlink()
    for start, family, other in ((find_start, "cosyvoice", "higgs"), (find_higgs_start, "higgs", "cosyvoice")):
        for folder in (str(tmp_path / other), f"{other}-mini"):
            with pytest.raises(ConfigError, match=rf"{other}[^ ]*' is not a language model of the {family} family: "):
                start(folder)


def test_codes_of_another_tokenizer_are_refused(one_book, tmp_path):  # noqa: F811
    model = tiny_cosyvoice()
    assert model.config.lm.codebook_size != CODES
    folder = save_model(model, tmp_path / "model")
    with pytest.raises(ConfigError, match=rf"speaks {model.config.lm.codebook_size} codes, .* has {CODES}"):
        make_lm_task(RECIPE, Sources(codes=one_book, start_from=folder))
    assert asdict(RECIPE)["start_from"] is None
