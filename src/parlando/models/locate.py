"""Where a model is: packaged by name, in a folder, or on the hub."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from parlando.core.config import read_json
from parlando.core.errors import CheckpointError, InputError, MissingDependencyError, nearest
from parlando.core.types import Voice
from parlando.core.voicefile import read_voices
from parlando.models.registry import published_family, published_voices

PACKAGED = Path(__file__).resolve().parent.parent / "weights"
DEFAULT_MODEL = "higgs-mini"
MODELSCOPE_ONLY = ("iic/", "damo/")
"""How the names of organisations begin that are on ModelScope alone."""
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True)
class ModelEntry:
    """One model on this machine; ``bytes_on_disk`` counts its whole folder, ``summary`` is its card's first line."""

    name: str
    family: str
    folder: Path
    bytes_on_disk: int
    licence: str
    summary: str


def packaged_models(root: Path = PACKAGED) -> dict[str, Path]:
    """The models inside the package, by name."""
    return {path.parent.name: path.parent for path in sorted(root.glob("*/config.json"))}


def is_own_layout(folder: Path) -> bool:
    """Whether a folder's config is of Parlando's own layout, which has everything in one folder."""
    config = folder / "config.json"
    return config.is_file() and "family" in read_json(config)


def locate(model: str | Path | None = None, root: Path = PACKAGED) -> Path:
    """The folder of a model: ``None`` is the default, else a packaged name, a folder or a hub id ``org/name``.

    Raises:
        InputError: it is none of them.
        CheckpointError: a hub id that could not be fetched.
    """
    packaged = packaged_models(root)
    name = str(DEFAULT_MODEL if model is None or model == "default" else model)
    if name in packaged:
        return packaged[name]
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    if HUB_ID.fullmatch(name):
        return _fetch(name)
    known = ", ".join(packaged) or "none"
    raise InputError(
        f"no model '{name}': it is no folder and not packaged (there are: {known}).{nearest(name, packaged)} "
        "Give one of those, a model's folder, or a hub id such as organisation/model"
    )


def _fetch(name: str) -> Path:
    """From Hugging Face, or the mirror that ``HF_ENDPOINT`` names, which its library reads itself."""
    if name.startswith(MODELSCOPE_ONLY):
        raise InputError(
            f"'{name}' is a model of ModelScope, and only Hugging Face is asked here; fetch it with "
            f"modelscope.snapshot_download('{name}', local_dir='{name}') and give that folder"
        )
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    except ImportError as error:
        raise MissingDependencyError("huggingface_hub", "pip install huggingface-hub") from error
    advice = "check the name and the network, or fetch it elsewhere and give its folder"
    try:
        return Path(snapshot_download(name))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().split("\n")[0]
        raise CheckpointError(f"model '{name}' is no folder and could not be fetched ({reason}); {advice}") from error


def describe(folder: Path) -> ModelEntry:
    """What a model's folder says about itself, without loading a tensor."""
    published = published_family(folder)
    config = {"family": published} if published else read_json(folder / "config.json")
    card = folder / "card.md"
    lines = card.read_text(encoding="utf-8").splitlines() if card.is_file() else []
    return ModelEntry(
        name=str(config.get("name", folder.name)),
        family=str(config.get("family", config.get("model_type", "unknown"))),
        folder=folder,
        bytes_on_disk=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        licence=_licence(lines),
        summary=next((line for line in lines if line.strip() and not line.startswith(("#", "---"))), ""),
    )


def voices_of(folder: Path) -> tuple[dict[str, Voice], str]:
    """A model's voices by name and the default one's name, without loading its weights.

    Raises:
        FileMissingError: the folder holds no model.
        ConfigError, CheckpointError: its voices are damaged.
    """
    published = published_voices(folder)
    if published is not None:
        return dict(published[0]), published[1]
    path = folder / "voices.json"
    voices = read_voices(path) if path.is_file() else {}
    return voices, str(read_json(folder / "config.json").get("default_voice", ""))


def _licence(lines: list[str]) -> str:
    pattern = re.compile(r"[\W_]*licen[cs]e[\W_]*[:|]\s*(.+)", re.IGNORECASE)
    found = (pattern.match(line) for line in lines)
    return next((match.group(1).strip(" |*_") for match in found if match), "see card.md")
