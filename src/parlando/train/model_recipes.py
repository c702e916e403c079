"""Model recipes of all families: which one a file is of is its ``family``."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from parlando.core.errors import ConfigError
from parlando.train.cosyvoice.assemble import CosyVoiceModelRecipe, CosyVoiceRuns, assemble_cosyvoice
from parlando.train.higgs.assemble import ModelRecipe, assemble
from parlando.train.higgs.recipes import by_family, family_of, read_recipe

_KINDS = by_family(ModelRecipe, CosyVoiceModelRecipe)


@dataclass(frozen=True)
class Runs:
    """Folders of trainings and corpora, as far as they are given."""

    lm: Path
    codes: Path
    codec: Path | None = None
    corpus: Path | None = None
    speech_tokenizer: Path | None = None
    speaker: Path | None = None
    flow: Path | None = None
    vocoder: Path | None = None


def assemble_any(recipe: Path, runs: Runs, out: Path) -> Path:
    """Write the model's folder that a recipe describes; returns it.

    Raises:
        FileMissingError, CheckpointError: as the family's own assembly.
        ConfigError: the recipe is none, or needs a folder that is not given.
    """
    kind = _KINDS[family_of(recipe, _KINDS)]
    if kind is ModelRecipe:
        return assemble(read_recipe(kind, recipe), _given(runs, "codec"), runs.lm, runs.codes, out)
    needed = {field.name: _given(runs, field.name) for field in fields(CosyVoiceRuns)}
    return assemble_cosyvoice(read_recipe(kind, recipe), CosyVoiceRuns(**needed), out)


def _given(runs: Runs, name: str) -> Path:
    folder: Path | None = getattr(runs, name)
    if folder is None:
        raise ConfigError(f"this recipe needs a folder that was not given: --{name.replace('_', '-')}")
    return folder
