"""Text models by what users write: ``http://host:port#model``, a folder, or ``echo``."""

from __future__ import annotations

from pathlib import Path

from parlando.converse.chat_service import ANY_MODEL, ChatService
from parlando.converse.echo import Echo
from parlando.converse.local_model import LocalModel
from parlando.converse.patience import USUAL_PATIENCE, Patience, PatientModel
from parlando.converse.stages import TextModel
from parlando.core.errors import ConfigError, FileMissingError

ECHO = "echo"


def text_model(spec: str, key: str | None = None, patience: Patience = USUAL_PATIENCE) -> TextModel:
    """The text model that a name means, watched so that nobody waits for it in vain.

    Raises:
        ConfigError: it is neither a URL, nor a folder, nor ``echo``.
        FileMissingError: there is no such folder.
    """
    return PatientModel(_opened(spec, key), patience)


def _opened(spec: str, key: str | None) -> TextModel:
    if spec == ECHO:
        return Echo()
    if "://" in spec:
        url, _, model = spec.partition("#")
        return ChatService(url, model or ANY_MODEL, key)
    if not spec.strip():
        raise ConfigError(f"a text model is a URL (http://host:port#model), a folder, or {ECHO}; give one of them")
    if not Path(spec).is_dir():
        raise FileMissingError(spec, "folder with a text model")
    return LocalModel(Path(spec))
