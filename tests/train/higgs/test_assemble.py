import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from tiny_corpus import SENTENCES
from tiny_tasks import write_codes

from parlando.core.errors import ConfigError, FileMissingError
from parlando.data.tokens import TokenCorpus
from parlando.text.length import LengthPrior
from parlando.train.higgs.assemble import ModelRecipe, assemble_model
from parlando.train.loop.recipe import Sources
from parlando.train.shared.length_prior import fit_length_prior


class Letters:
    """Measures a text by its letters and commas."""

    def measure(self, text):
        return sum(map(str.isalpha, text)), text.count(",")


def test_the_length_prior_is_the_least_squares_of_one_voice(tmp_path):
    texts = [*SENTENCES[:5], "Yes, of course.", "No, not at all, no.", SENTENCES[5]]
    rows = [(f"a_{i}", "ada", 1.0, text) for i, text in enumerate(texts)] + [
        ("b", "bob", 1.0, "Hm."),
        ("c", "ada", 0.9, "Hm."),
    ]
    folder = write_codes(tmp_path, rows, np.random.default_rng(0))
    corpus, letters = TokenCorpus(folder), Letters()
    measured = {s.id: letters.measure(s.text) for s in corpus.utterances}
    exact = [replace(s, frames=4 + 2 * measured[s.id][0] + 7 * measured[s.id][1]) for s in corpus.utterances]
    odd = [s if s.voice == "ada@1" else replace(s, frames=999) for s in exact]
    (folder / "index.jsonl").write_text("".join(json.dumps(asdict(s)) + "\n" for s in odd))
    prior = fit_length_prior(TokenCorpus(folder), letters, "ada")
    assert asdict(prior) == pytest.approx(asdict(LengthPrior(4.0, 2.0, 7.0)), abs=0.01)
    with pytest.raises(ConfigError, match=r"[01] utterances of 'bob'; a length prior needs three"):
        fit_length_prior(corpus, letters, "bob")


def test_a_run_that_exported_nothing_is_named(tmp_path):
    recipe = ModelRecipe("tiny", "ada", {"ada": "a"})
    with pytest.raises(FileMissingError, match=r"codec\.json"):
        assemble_model(recipe, Sources(codec=tmp_path, lm=tmp_path, codes=tmp_path), tmp_path / "out")
    assert not (tmp_path / "out").exists()
