"""The document of recipe keys is what the code says, and knows every key that the recipes here use."""

from __future__ import annotations

import tomllib

import pytest

from parlando.train.recipe_keys import recipe_keys, recipes


def keys_of(table, place=""):
    for key, value in table.items():
        yield place, key
        if isinstance(value, dict):
            yield from keys_of(value, f"{place}.{key}".strip("."))


def documented():
    """Pairs of a table's place and a key of it, and the places of tables whose keys are names."""
    found, named, place = set(), set(), ""
    for line in recipe_keys().splitlines():
        if line.startswith("#"):
            place = line.split("`")[1].strip("[]") if line.startswith("### `[") else ""
            found.add((place.rpartition(".")[0], place.rpartition(".")[2]))
            if place.endswith(".NAME"):
                found.add(("", place.removesuffix(".NAME")))
                named.add(place.removesuffix(".NAME"))
        elif line.startswith("| `"):
            key = line.split("`")[1]
            found.add((place, key))
            if "| table of" in line:
                named.add(f"{place}.{key}".strip("."))
    return found, named


def test_the_document_is_up_to_date(root):
    assert (root / "docs" / "recipes.md").read_text(encoding="utf-8") == recipe_keys(), (
        "run: parlando train keys > docs/recipes.md"
    )


def test_every_recipe_that_is_read_has_its_chapter():
    assert [line[3:] for line in recipe_keys().splitlines() if line.startswith("## ")] == list(recipes())


@pytest.mark.parametrize("folder", ["higgs-mini", "cosyvoice-mini", "audio-tokenizer", "speech-tokenizer"])
def test_every_key_that_is_used_is_documented(root, folder):
    known, named = documented()
    for path in (root / "recipes" / folder).glob("*.toml"):
        used = set(keys_of(tomllib.loads(path.read_text(encoding="utf-8"))))
        # What a table of names holds is for the recipe to say.
        assert {pair for pair in used - known if pair[0].split(".")[0] not in named and pair[0] not in named} == set()


def test_defaults_are_those_of_the_recipe_and_not_of_the_table_alone():
    text = recipe_keys()
    lm = text[text.index("family higgs") : text.index("family cosyvoice")]
    assert "| `rate` | number | `0.0012` |" in lm
    assert "| `start_from` | text | none |" in lm
    assert "| `tokens_per_batch` |" in lm
