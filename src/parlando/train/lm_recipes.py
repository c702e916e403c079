"""Language-model recipes of all families: which one a file is of is its ``family``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from parlando.core.errors import ConfigError
from parlando.train.cosyvoice.lm_recipe import CosyVoiceLMRecipe, make_cosyvoice_lm_task
from parlando.train.higgs.recipes import LMRecipe, by_family, family_of, make_lm_task, read_recipe
from parlando.train.loop.trainer import Task

_KINDS = by_family(LMRecipe, CosyVoiceLMRecipe)


def read_lm_recipe(path: Path) -> LMRecipe | CosyVoiceLMRecipe:
    """Read a recipe file of any family.

    Raises:
        FileMissingError: there is no such file.
        ConfigError: it is not TOML, is of no family that is known, or holds an unknown or missing key.
    """
    recipe: LMRecipe | CosyVoiceLMRecipe = read_recipe(_KINDS[family_of(path, _KINDS)], path)
    return recipe


@dataclass(frozen=True)
class LMSources:
    """What a training reads: the encoded corpus, the run that encoded it, and the packed corpus that was encoded."""

    codes: Path
    codec: Path | None = None
    packed: Path | None = None


def make_task(recipe: LMRecipe | CosyVoiceLMRecipe, sources: LMSources) -> Task:
    """The task of a recipe.

    Raises:
        ConfigError: the recipe needs a source that is not named.
    """
    if isinstance(recipe, CosyVoiceLMRecipe):
        return make_cosyvoice_lm_task(recipe, sources.codes, sources.packed)
    if sources.codec is None:
        raise ConfigError("this recipe needs the codec that encoded its corpus; name its folder with --codec")
    return make_lm_task(recipe, sources.codes, sources.codec)
