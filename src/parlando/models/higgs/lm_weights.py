"""Checkpoints of the Higgs language model: our own folder and the two published key layouts, strict both ways."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from parlando.core.config import read_json
from parlando.core.errors import CheckpointError
from parlando.models.higgs.config import LMConfig
from parlando.models.higgs.lm import HiggsLM
from parlando.models.higgs.published import lm_config_from_original, lm_config_from_transformers
from parlando.nn.checkpoint import built, first_file, load_strictly, read_weights, save_tensors
from parlando.nn.few_bits import Kind
from parlando.nn.peft import Names
from parlando.nn.quantized import kept_as, quantize

PublishedLayout = Literal["original", "transformers"]

LM_FILE = "lm.safetensors"
PUBLISHED_WEIGHTS = (
    "model.safetensors.index.json",
    "model.safetensors",
    "pytorch_model.bin.index.json",
    "pytorch_model.bin",
    "model.pth",
)
_IGNORED = ("audio_codebook_weights", "rotary_emb.inv_freq", "rotary_emb.original_inv_freq", "audio_tokens_offsets")
_HALF = re.compile(r"^(?P<stem>.*)\.(embedding|linear)_(?P<part>frozen|trainable)\.weight$")
_TEXT_HEAD = "text_lm_head.weight"
_TO_OWN = (
    (re.compile(r"^model\."), ""),
    (re.compile(r"^audio_decoder_proj\."), ""),
    (re.compile(r"^audio_codebook_embeddings\."), "embed_audio_tokens."),
    (re.compile(r"^embed_audio_tokens\.embed_audio_tokens\."), "embed_audio_tokens."),
)
_FROM_OWN: dict[PublishedLayout, tuple[tuple[re.Pattern[str], str], ...]] = {
    "original": (
        (re.compile(r"^embed_audio_tokens\."), "audio_codebook_embeddings."),
        (re.compile(r"^(audio|text)_lm_head\."), r"audio_decoder_proj.\1_lm_head."),
    ),
    "transformers": (
        (re.compile(r"^embed_audio_tokens\."), "embed_audio_tokens.embed_audio_tokens."),
        (re.compile(r"^(embed_|layers\.|norm\.)"), r"model.\1"),
    ),
}


def empty_lm(config: LMConfig, where: str = "lm") -> HiggsLM:
    """A model without memory, to be filled by loading.

    Raises:
        ConfigError: the sizes do not make a model.
    """
    with torch.device("meta"):
        return built(HiggsLM, config, where)


def save_lm(lm: HiggsLM, folder: Path) -> Path:
    """Write the tensors of our own layout into a checkpoint folder; returns the file."""
    return save_tensors(lm.state_dict(), folder / LM_FILE)


def load_lm(
    folder: Path, config: LMConfig, device: str | torch.device = "cpu", quantized: Kind | None = None
) -> HiggsLM:
    """The model of a folder in our own layout, in the dtype or the kind of few bits that it is stored in.

    Raises:
        FileMissingError: the folder has no language model.
        CheckpointError: tensors are missing, unexpected, misshapen or not finite.
    """
    path = folder / LM_FILE
    return _fill(config, read_weights(path, device, kept_as(quantized)), str(path), quantized)


def load_published_lm(folder: Path, device: str | torch.device = "cpu") -> HiggsLM:
    """The model of a published checkpoint's folder, in either key layout and in the dtype it is stored in.

    A checkpoint without a text head is one that only speaks.

    Raises:
        FileMissingError: there is no config.json or no weights file.
        ConfigError: the config describes another model.
        CheckpointError: tensors are missing, unexpected, misshapen or not finite.
    """
    config = read_published_config(folder)
    path = first_file(folder, PUBLISHED_WEIGHTS, "language model weights")
    tensors = to_own_layout(read_weights(path, device, _IGNORED))
    return _fill(replace(config, text_head=_TEXT_HEAD in tensors), tensors, str(path))


def read_published_config(folder: Path) -> LMConfig:
    """The language model's config from a published ``config.json`` of either style.

    Raises:
        FileMissingError: there is none.
        ConfigError: it describes another model.
    """
    path = folder / "config.json"
    data = read_json(path)
    parse = lm_config_from_original if "text_config" in data else lm_config_from_transformers
    return parse(data, str(path))


def to_own_layout(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of any layout under our names; unknown keys pass through for the strict check to name.

    Joins tables that partially frozen training had split, and drops buffers that are not weights.

    Raises:
        CheckpointError: two different tensors have the same name, or a split table lacks a half.
    """
    own: dict[str, Tensor] = {}
    for key, tensor in _joined_halves(tensors).items():
        if key.endswith(_IGNORED):
            continue
        name = _renamed(key, _TO_OWN)
        if name in own and not torch.equal(own[name], tensor):
            raise CheckpointError(f"two different tensors are both '{name}' (one is called '{key}'); keep one of them")
        own[name] = tensor
    return own


def to_published_layout(tensors: Mapping[str, Tensor], layout: PublishedLayout) -> dict[str, Tensor]:
    """Tensors of our own layout under the names of a published one."""
    return {_renamed(key, _FROM_OWN[layout]): tensor for key, tensor in tensors.items()}


ADAPTER_NAMES = Names(partial(to_published_layout, layout="transformers"), to_own_layout)


def _joined_halves(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    whole = dict(tensors)
    halves = {key: match for key in tensors if (match := _HALF.match(key))}
    parts: dict[str, dict[str, Tensor]] = {}
    for key, match in halves.items():
        parts.setdefault(match["stem"], {})[match["part"]] = whole.pop(key)
    for stem, found in parts.items():
        if len(found) < len(("frozen", "trainable")):
            raise CheckpointError(
                f"'{stem}' is split and only its {next(iter(found))} half is there; fetch the file again"
            )
        whole[f"{stem}.weight"] = torch.cat((found["frozen"], found["trainable"]))
    return whole


def _renamed(key: str, rules: tuple[tuple[re.Pattern[str], str], ...]) -> str:
    for pattern, replacement in rules:
        key = pattern.sub(replacement, key)
    return key


def _fill(config: LMConfig, tensors: Mapping[str, Tensor], where: str, quantized: Kind | None = None) -> HiggsLM:
    lm = empty_lm(config, where)
    if quantized is not None:
        quantize(lm, quantized, filled=False)
    load_strictly(lm, tensors, where)
    return lm.eval()
