"""The voices of a checkpoint: `voices.json` in our own layout, ``spk2info.pt`` in the published one."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from parlando.core.errors import CheckpointError, InputError
from parlando.core.types import Reference, Voice
from parlando.core.voicefile import read_voices

VOICES_FILE, PUBLISHED_VOICES_FILE = "voices.json", "spk2info.pt"
MEL, SPEAKER = "mel", "speaker"
"""Features of a reference: the mel (natural log) [frame, bin] of the flow, and the speaker embedding [dim]."""


_MEL_DIMENSIONS = 3


@dataclass(frozen=True)
class VoiceSizes:
    """What a model expects of a voice's clips: codes below the first, and the sizes of its features."""

    codebook_size: int
    mel_bins: int
    speaker_dim: int


def load_voices(folder: Path, sizes: VoiceSizes, default: str) -> dict[str, Voice]:
    """A checkpoint's voices by name.

    Raises:
        FileMissingError: there is no voices.json.
        ConfigError: an entry is not a voice.
        CheckpointError: the default voice is not among them, or one has codes or features of another model.
    """
    path = folder / VOICES_FILE
    voices = read_voices(path)
    check_voices(voices, sizes, default, str(path))
    return voices


def check_voices(voices: Mapping[str, Voice], sizes: VoiceSizes, default: str, where: str) -> None:
    """Refuse voices that do not fit; errors as for `load_voices`. Without voices there is no default."""
    if default not in voices and (voices or default):
        raise CheckpointError(f"{where}: the default voice '{default}' is not there; there are: {', '.join(voices)}")
    for voice in voices.values():
        for reference in voice.references:
            fault = _misfit(reference, sizes)
            if fault:
                raise CheckpointError(
                    f"{where}: a reference of '{voice.name}' has {fault}; clone the voice again with this model"
                )


def _misfit(reference: Reference, sizes: VoiceSizes) -> str:
    codes, mel = reference.codes, reference.features.get(MEL)
    speaker = reference.features.get(SPEAKER)
    if codes.shape[0] != 1 or (codes.size and not 0 <= codes.min() <= codes.max() < sizes.codebook_size):
        return f"codes that are not one row of 0 to {sizes.codebook_size - 1}"
    if speaker is not None and speaker.shape != (sizes.speaker_dim,):
        return f"a speaker embedding of shape {list(speaker.shape)}, not [{sizes.speaker_dim}]"
    if mel is not None and (mel.ndim, mel.shape[-1]) != (2, sizes.mel_bins):
        return f"a mel of shape {list(mel.shape)}, not [frame, {sizes.mel_bins}]"
    return ""


def published_voices(
    folder: Path, decode: Callable[[list[int]], str], sizes: VoiceSizes | None = None
) -> dict[str, Voice]:
    """The speakers of a published folder and those that were saved into it since; it may have neither.

    Raises:
        CheckpointError: as for `read_speakers`, or one does not fit the ``sizes``.
        ConfigError: the saved ones are damaged.
    """
    published, saved = folder / PUBLISHED_VOICES_FILE, folder / VOICES_FILE
    found = {
        published: read_speakers(published, decode) if published.is_file() else {},
        saved: read_voices(saved) if saved.is_file() else {},
    }
    if sizes is not None:
        for path, voices in found.items():
            check_voices(voices, sizes, next(iter(voices), ""), str(path))
    return found[published] | found[saved]


def list_published(folder: Path) -> tuple[dict[str, Voice], str]:
    """`published_voices` without their words, and the default one's name: the first, if there is any."""
    voices = published_voices(folder, lambda _: "")
    return voices, next(iter(voices), "")


def add_speaker(path: Path, voice: Voice, encode: Callable[[str], list[int]]) -> None:
    """Put a voice into a published ``spk2info.pt``, as a saved zero-shot prompt; the file's other speakers stay.

    ``encode`` turns the transcript into ids.

    Raises:
        InputError: the voice follows no clip.
        CheckpointError: as for `read_speakers`.
    """
    if not voice.references or not {MEL, SPEAKER} <= voice.references[0].features.keys():
        raise InputError(f"the voice '{voice.name}' follows no clip of this model; clone one: --ref-audio FILE")
    reference = voice.references[0]
    tokens, mel = torch.from_numpy(reference.codes), torch.from_numpy(reference.features[MEL])[None]
    embedding, words = torch.from_numpy(reference.features[SPEAKER])[None], torch.tensor([encode(reference.text)])
    entry = {
        **_with_length("prompt_text", words),
        **_with_length("llm_prompt_speech_token", tokens),
        **_with_length("flow_prompt_speech_token", tokens),
        **_with_length("prompt_speech_feat", mel),
        "llm_embedding": embedding,
        "flow_embedding": embedding,
        "embedding": embedding,
    }
    entries = dict(_entries(path)) if path.is_file() else {}
    partial = path.with_suffix(".partial")
    torch.save({**entries, voice.name: entry}, partial)
    os.replace(partial, path)


def _with_length(name: str, tensor: Tensor) -> dict[str, Tensor]:
    return {name: tensor, f"{name}_len": torch.tensor([tensor.shape[1]], dtype=torch.int32)}


def read_speakers(path: Path, decode: Callable[[list[int]], str]) -> dict[str, Voice]:
    """The speakers of a published ``spk2info.pt``: embeddings alone, or whole saved zero-shot prompts.

    A saved prompt has its transcript as ids, which ``decode`` turns into text. Only tensors and plain values are read.

    Raises:
        CheckpointError: the file is damaged, an entry is no speaker, or one of its numbers is not finite.
    """
    clips = {str(name): _speaker(entry, decode, f"{path}: {name}") for name, entry in _entries(path).items()}
    return {name: Voice(name, references=(clip,)) for name, clip in clips.items()}


def _entries(path: Path) -> Mapping[str, Any]:
    try:
        entries = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle raises whatever its bytes happen to mean
        raise CheckpointError(f"{path}: not a plain table of tensors ({error}); save the speakers again") from error
    if not isinstance(entries, Mapping):
        raise CheckpointError(f"{path}: expected speakers by name, found {type(entries).__name__}")
    return entries


def _speaker(entry: Any, decode: Callable[[list[int]], str], where: str) -> Reference:
    if not isinstance(entry, Mapping):
        raise CheckpointError(f"{where}: expected a speaker's tensors, found {type(entry).__name__}")
    embedding = entry.get("flow_embedding", entry.get("embedding"))
    if not isinstance(embedding, Tensor):
        raise CheckpointError(f"{where}: no speaker embedding ('embedding' or 'flow_embedding')")
    features = {SPEAKER: _array(embedding, where).reshape(-1)}
    tokens, mel = entry.get("flow_prompt_speech_token"), entry.get("prompt_speech_feat")
    if not isinstance(tokens, Tensor) or not isinstance(mel, Tensor):
        return Reference("", np.zeros((1, 0), dtype=np.int64), features)
    text = entry.get("prompt_text")
    words = decode(_ids(text, where)) if isinstance(text, Tensor) else ""
    if mel.ndim != _MEL_DIMENSIONS or len(mel) != 1:
        raise CheckpointError(f"{where}: a mel of shape {list(mel.shape)}, not [1, frame, bin]; save the speaker again")
    codes = np.array([_ids(tokens, where)], dtype=np.int64)
    return Reference(words, codes, {**features, MEL: _array(mel[0], where)})


def _ids(tensor: Tensor, where: str) -> list[int]:
    if tensor.is_floating_point() or tensor.is_complex():
        raise CheckpointError(f"{where}: ids of the type {tensor.dtype}, not whole numbers; save the speaker again")
    ids: list[int] = tensor.flatten().long().tolist()
    if ids and min(ids) < 0:
        raise CheckpointError(f"{where}: the id {min(ids)} is below zero; save the speaker again")
    return ids


def _array(tensor: Tensor, where: str) -> np.ndarray:
    if not tensor.is_floating_point() or not tensor.isfinite().all():
        raise CheckpointError(f"{where}: a number is not finite or not of floating point; save the speaker again")
    return tensor.float().numpy()
