"""A language model that starts from a folder has that folder's tokenizer, sizes and weights."""

import json

import pytest
import torch
from tiny_tasks import CODEBOOKS, CODEC, CODES, MIX, lm_config, lm_task

from higgs_published import write_published_lm
from parlando.core.errors import ConfigError
from parlando.models.higgs.build import save_model
from parlando.models.higgs.tokenizer import HubTokenizer, default_phoneme_config
from parlando.train.higgs.lm_recipe import LMRecipe, make_lm_task
from parlando.train.higgs.start import find_start
from parlando.train.loop.recipe import Sources
from parlando.train.loop.trainer import Budget

RECIPE = LMRecipe(Budget(steps=1), MIX)


@pytest.fixture
def codec(tmp_path):
    """The folder of a codec, as far as a language model asks."""
    folder = tmp_path / "codec"
    folder.mkdir()

    def write(codebooks, codes):
        sizes = {**CODEC.__dict__, "num_codebooks": codebooks, "codebook_size": codes}
        (folder / "codec.json").write_text(json.dumps(sizes))
        return folder

    return write


def test_a_run_starts_another_with_its_own_sizes(codes, codec, tmp_path):
    made = lm_task(codes)
    made.export(tmp_path)
    assert json.loads((tmp_path / "text.json").read_text())["kind"] == "phonemes"
    other = make_lm_task(RECIPE, Sources(codes=codes, codec=codec(CODEBOOKS, CODES), start_from=tmp_path))
    assert other.lm.config == lm_config(made.start.tokenizer)
    assert other.lm.config.hidden_size != RECIPE.sizes.hidden_size
    assert all(torch.equal(a, b) for a, b in zip(made.lm.parameters(), other.lm.parameters(), strict=True))


def test_a_model_brings_its_own(tiny_model, tmp_path):
    start = find_start(str(save_model(tiny_model, tmp_path / "model")))
    assert (start.sizes, start.text) == (tiny_model.config.lm, tiny_model.config.text)


@pytest.mark.parametrize("layout", ["original", "transformers"])
def test_a_published_folder_brings_its_byte_pairs(codes, codec, tmp_path, layout):
    published = tmp_path / "published"
    published.mkdir()
    write_published_lm(published, layout)
    tokenizer = HubTokenizer(published)
    start = find_start(str(published))
    assert (start.text.kind, start.sizes.audio_in_id) == ("hub", tokenizer.audio_in)
    with pytest.raises(ConfigError, match=r"speaks 8 codebooks of 64 codes, the codec has 3 of 16"):
        make_lm_task(RECIPE, Sources(codes=codes, codec=codec(CODEBOOKS, CODES), start_from=published))
    start.save_text(tmp_path)
    assert HubTokenizer(tmp_path).encode("Hello.") == tokenizer.encode("Hello.")


def test_nothing_is_the_default_phonemes():
    assert find_start(None).text == default_phoneme_config()
