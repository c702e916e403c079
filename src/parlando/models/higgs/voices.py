"""The voices of a checkpoint: `voices.json`, checked against the model that is to speak with them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from parlando.core.errors import CheckpointError
from parlando.core.types import Voice
from parlando.core.voicefile import read_voices
from parlando.models.higgs.config import LMConfig

VOICES_FILE = "voices.json"


def load_voices(folder: Path, lm: LMConfig, default: str) -> dict[str, Voice]:
    """A checkpoint's voices by name.

    Raises:
        FileMissingError: there is no voices.json.
        ConfigError: an entry is not a voice.
        CheckpointError: the default voice is not among them, or a reference has other codebooks than the model.
    """
    path = folder / VOICES_FILE
    voices = read_voices(path)
    check_voices(voices, lm, default, str(path))
    return voices


def check_voices(voices: Mapping[str, Voice], lm: LMConfig, default: str, where: str) -> None:
    """Refuse voices that do not fit; errors as for `load_voices`."""
    if default not in voices:
        raise CheckpointError(f"{where}: the default voice '{default}' is not there; there are: {', '.join(voices)}")
    for voice in voices.values():
        for codes in (reference.codes for reference in voice.references):
            if codes.shape[0] != lm.num_codebooks or codes.min() < 0 or codes.max() >= lm.codebook_size:
                raise CheckpointError(
                    f"{where}: a reference of '{voice.name}' has {codes.shape[0]} codebooks with codes "
                    f"{codes.min()} to {codes.max()}; the model has {lm.num_codebooks} of {lm.codebook_size}"
                )
