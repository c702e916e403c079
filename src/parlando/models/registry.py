"""The families there are: which one a folder holds, and the function that loads it. The only file that names them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from parlando.core.config import read_json
from parlando.core.errors import CheckpointError, ConfigError, FileMissingError, nearest
from parlando.core.stages import Model
from parlando.core.types import Voice

if TYPE_CHECKING:
    from parlando.models.options import ModelOptions
    from parlando.nn.few_bits import Kind


@dataclass(frozen=True)
class Family:
    """``loader`` is ``module:function``; a published folder has one of the ``files``, or a config that names itself one
    of the ``model_types``. One with ``other_files`` is of a generation that is not supported. ``voices`` lists those of
    a published folder, and ``add_voice`` puts one into their file (``module:function``), where it has any.
    ``published`` are the names of its published models, without an organisation or folder in front.
    ``quantizer`` writes a folder anew with its weights in few bits.
    """

    loader: str
    quantizer: str
    model_types: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    other_files: tuple[str, ...] = ()
    voices: str = ""
    add_voice: str = ""
    published: tuple[str, ...] = ()


FAMILIES = {
    "higgs": Family(
        "parlando.models.higgs.build:load_model",
        "parlando.models.higgs.build:quantize_folder",
        ("higgs_audio", "higgs_audio_v2"),
        published=(
            *("higgs-audio-generation-3B-base", "higgs-audio-v2-generation-3B-base"),
            *("higgs-audio-v2", "higgs-audio"),
        ),
    ),
    "cosyvoice": Family(
        "parlando.models.cosyvoice.build:load_model",
        "parlando.models.cosyvoice.build:quantize_folder",
        files=("cosyvoice2.yaml",),
        other_files=("cosyvoice.yaml", "cosyvoice3.yaml"),
        voices="parlando.models.cosyvoice.voices:list_published",
        add_voice="parlando.models.cosyvoice.build:add_voice",
        published=(
            *("CosyVoice2-0.5B", "CosyVoice2", "CosyVoice-300M", "CosyVoice-300M-SFT", "CosyVoice-300M-Instruct"),
            *("CosyVoice", "Fun-CosyVoice3-0.5B-2512", "Fun-CosyVoice3-0.5B"),
        ),
    ),
}


def family_of(folder: Path) -> str:
    """The name of the family whose checkpoint a folder holds.

    Raises:
        FileMissingError: there is no such folder.
        CheckpointError: it has no config, or one of a family or generation that is not known here.
        ConfigError: the config is not JSON.
    """
    if not folder.is_dir():
        raise FileMissingError(folder, "model folder")
    if by_file := published_family(folder):
        return by_file
    for name, family in FAMILIES.items():
        other = [file for file in family.other_files if (folder / file).is_file()]
        if other:
            raise CheckpointError(
                f"'{folder}' has a {other[0]}, so it is of a generation of the family '{name}' that is not supported; "
                f"those with a {' or '.join(family.files)} are"
            )
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


def published_family(folder: Path) -> str:
    """The family of a published folder that is told by its files; empty if it is none."""
    found = (name for name, family in FAMILIES.items() if any((folder / file).is_file() for file in family.files))
    return next(found, "")


def published_voices(folder: Path) -> tuple[Mapping[str, Voice], str] | None:
    """Voices of such a folder by name, and the default one's; None for any other folder.

    Raises:
        CheckpointError, ConfigError: a file with voices is damaged.
    """
    family = published_family(folder)
    return _function(FAMILIES[family].voices)(folder) if family and FAMILIES[family].voices else None


def add_published_voice(model: Model, path: Path, voice: Voice) -> None:
    """Put a voice into a file of speakers as the model's family publishes it.

    Raises:
        ConfigError: the family has no such files.
        InputError, CheckpointError: the voice follows no clip, or the file is damaged.
    """
    place = FAMILIES[model.family].add_voice
    if not place:
        raise ConfigError(f"the family '{model.family}' keeps no speakers in a .pt file; save the voice as .json")
    _function(place)(model, path, voice)


def load_model(
    folder: Path, device: str | None = None, dtype: str | None = None, options: ModelOptions | None = None
) -> Model:
    """Load whatever model a folder holds; ``device`` and ``dtype`` default to the family's choice.

    Raises:
        FileMissingError: there is no such folder.
        CheckpointError: it holds no model, or one that does not fit its config.
    """
    return cast(
        "Model",
        _function(FAMILIES[family_of(folder)].loader)(folder, device, dtype, *([] if options is None else [options])),
    )


def quantize_folder(folder: Path, out: Path, kind: Kind) -> Path:
    """Write whatever model a folder holds anew, in our own layout and with its weights in few bits; returns the folder.

    Raises:
        FileMissingError, ConfigError, CheckpointError: as for `load_model`; or it is stored in few bits already.
    """
    return cast("Path", _function(FAMILIES[family_of(folder)].quantizer)(folder, out, kind))


def _function(place: str) -> Any:
    module, name = place.split(":")
    return getattr(import_module(module), name)
