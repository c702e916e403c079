"""The families there are: which one a folder holds, and the function that loads it. The only file that names them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from parlando.core.config import read_json
from parlando.core.errors import CheckpointError, FileMissingError, nearest
from parlando.core.stages import Model


@dataclass(frozen=True)
class Family:
    """``loader`` is ``module:function``; a published folder has one of the ``files``, or a config that names itself one
    of the ``model_types``.
    """

    loader: str
    model_types: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


FAMILIES = {
    "higgs": Family("parlando.models.higgs.build:load_model", ("higgs_audio", "higgs_audio_v2")),
    "cosyvoice": Family("parlando.models.cosyvoice.build:load_model", files=("cosyvoice2.yaml",)),
}


def family_of(folder: Path) -> str:
    """The name of the family whose checkpoint a folder holds.

    Raises:
        FileMissingError: there is no such folder.
        CheckpointError: it has no config, or one of a family that is not known here.
        ConfigError: the config is not JSON.
    """
    if not folder.is_dir():
        raise FileMissingError(folder, "model folder")
    for name, family in FAMILIES.items():
        if any((folder / file).is_file() for file in family.files):
            return name
    path = folder / "config.json"
    if not path.is_file():
        raise CheckpointError(f"'{folder}' holds no config.json, so it is not a model; name the folder that has one")
    config = read_json(path)
    own, published = config.get("family"), config.get("model_type")
    for name, family in FAMILIES.items():
        if own == name or (own is None and published in family.model_types):
            return name
    asked = str(own or published)
    raise CheckpointError(
        f"'{path}' is of the family '{asked}'; known are: {', '.join(FAMILIES)}.{nearest(asked, FAMILIES)}"
    )


def load_model(folder: Path, device: str | None = None, dtype: str | None = None) -> Model:
    """Load whatever model a folder holds; ``device`` and ``dtype`` default to the family's choice.

    Raises:
        FileMissingError: there is no such folder.
        CheckpointError: it holds no model, or one that does not fit its config.
    """
    module, function = FAMILIES[family_of(folder)].loader.split(":")
    loader: Any = getattr(import_module(module), function)
    return cast("Model", loader(folder, device, dtype))
