"""Language model checkpoints: reading and writing ours, and the published ``llm.pt``, strict both ways."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from parlando.core.errors import CheckpointError
from parlando.models.cosyvoice.config import LMConfig
from parlando.models.cosyvoice.lm import CosyVoiceLM
from parlando.nn.checkpoint import built, load_strictly, read_weights, save_tensors
from parlando.nn.few_bits import Kind
from parlando.nn.peft import Names
from parlando.nn.quantized import kept_as, quantize

LM_FILE = "lm.safetensors"
_BACKBONE = "llm.model."
_TIED_HEAD = "llm.model.lm_head.weight"
_PREFIXES = {
    "embed_tokens.": "llm.model.model.embed_tokens.",
    "layers.": "llm.model.model.layers.",
    "norm.": "llm.model.model.norm.",
    "embed_marks.": "llm_embedding.",
    "embed_speech.": "speech_embedding.",
    "speech_head.": "llm_decoder.",
}


def empty_lm(config: LMConfig, where: str = "lm") -> CosyVoiceLM:
    """A model without memory, to be filled by loading.

    Raises:
        ConfigError: the sizes do not make a model.
    """
    with torch.device("meta"):
        return built(CosyVoiceLM, config, where)


def save_lm(lm: CosyVoiceLM, folder: Path) -> Path:
    """Write the tensors of our own layout into a checkpoint folder; returns the file."""
    return save_tensors(lm.state_dict(), folder / LM_FILE)


def load_lm(
    folder: Path, config: LMConfig, device: str | torch.device = "cpu", quantized: Kind | None = None
) -> CosyVoiceLM:
    """The model of a folder in our own layout, in the dtype or the kind of few bits that it is stored in.

    Raises:
        FileMissingError: the folder has no language model.
        CheckpointError: tensors are missing, unexpected, misshapen or not finite.
    """
    path = folder / LM_FILE
    return _fill(config, read_weights(path, device, kept_as(quantized)), str(path), quantized)


def load_published_lm(path: Path, config: LMConfig, device: str | torch.device = "cpu") -> CosyVoiceLM:
    """The model of a published ``llm.pt`` (or of the same tensors as safetensors), in the dtype it is stored in.

    Raises:
        FileMissingError: there is no such file.
        CheckpointError: it holds more than tensors, or they are missing, unexpected, misshapen or not finite.
    """
    return _fill(config, to_own_layout(read_weights(path, device)), str(path))


def to_own_layout(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Published tensors under our names; unknown keys pass through for the strict check to name.

    The text head, a copy of the text table that nothing reads, is left behind.

    Raises:
        CheckpointError: a name of ours stands among the published ones.
    """
    ours = {theirs: own for own, theirs in _PREFIXES.items()}
    mixed = [key for key in tensors if key.startswith(tuple(_PREFIXES))]
    if mixed:
        raise CheckpointError(f"'{mixed[0]}' is no published name; a file in our own layout is loaded by its folder")
    return {_renamed(key, ours): tensor for key, tensor in tensors.items() if key != _TIED_HEAD}


def to_published_layout(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of our own layout under their published names, the tied text head included."""
    published = {_renamed(key, _PREFIXES): tensor for key, tensor in tensors.items()}
    return published | {_TIED_HEAD: tensors["embed_tokens.weight"]}


def _to_qwen(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Under the names of the published backbone by itself, a Qwen2 model of `transformers`."""
    return {_renamed(key, _PREFIXES).removeprefix(_BACKBONE): tensor for key, tensor in tensors.items()}


def _from_qwen(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse; the names of the whole published model are understood as well."""
    whole = {_BACKBONE + key if key.startswith("model.") else key: tensor for key, tensor in tensors.items()}
    return to_own_layout(whole)


ADAPTER_NAMES = Names(_to_qwen, _from_qwen)


def _renamed(key: str, prefixes: Mapping[str, str]) -> str:
    for old, new in prefixes.items():
        if key.startswith(old):
            return new + key.removeprefix(old)
    return key


def _fill(config: LMConfig, tensors: Mapping[str, Tensor], where: str, quantized: Kind | None = None) -> CosyVoiceLM:
    lm = empty_lm(config, where)
    if quantized is not None:
        quantize(lm, quantized, filled=False)
    load_strictly(lm, tensors, where)
    return lm.eval()
