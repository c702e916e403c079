"""A published folder, as it is: ``cosyvoice2.yaml`` read as data, and the settings of every part taken from it.

The file is written for a loader that imports and calls whatever it names; here a tag is a remark and nothing is called.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import yaml

from parlando.core.config import AtLeastOne, Share, Size, Whole, Within, from_mapping
from parlando.core.errors import ConfigError, FileMissingError
from parlando.core.types import SamplingOptions
from parlando.models.cosyvoice.config import PUBLISHED_SAMPLING, LMConfig
from parlando.models.cosyvoice.parts.flow import FlowConfig

SETTINGS_FILE = "cosyvoice2.yaml"
PARTS = ("llm", "flow", "hift")
_REFERENCE = re.compile(r"<(\w+)>")
_PRODUCT = re.compile(r"\d+(?:\s*\*\s*\d+)*")
_FLOW_NAMES = {
    "vocab_size": "vocab_size",
    "output_size": "mel_bins",
    "spk_embed_dim": "speaker_dim",
}
_ENCODER_NAMES = {
    "input_size": "input_dim",
    "output_size": "dim",
    "attention_heads": "num_heads",
    "linear_units": "inner_dim",
    "num_blocks": "num_layers",
    "dropout_rate": "dropout",
    "static_chunk_size": "chunk_tokens",
}
_ESTIMATOR_NAMES = {
    "attention_head_dim": "head_dim",
    "n_blocks": "layers_per_stage",
    "num_mid_blocks": "num_mid_stages",
    "num_heads": "num_heads",
}
_FLOW_ONLY = {"output_type": "mel", "only_mask_loss": True}
_ENCODER_ONLY = {
    "normalize_before": True,
    "input_layer": "linear",
    "pos_enc_layer_type": "rel_pos_espnet",
    "selfattention_layer_type": "rel_selfattn",
    "use_cnn_module": False,
    "macaron_style": False,
}
_ESTIMATOR_ONLY = {"act_fn": "gelu"}
_SOLVER_ONLY = {"solver": "euler", "t_scheduler": "cosine"}
_OF_TRAINING = (
    "positional_dropout_rate", "attention_dropout_rate", "use_dynamic_chunk", "sigma_min", "training_cfg_rate",
    "reg_loss_type", "dropout", "num_decoding_left_chunks", "n_spks", "spk_emb_dim", "in_channels", "out_channels",
)  # fmt: skip


class _DataLoader(yaml.SafeLoader):
    """YAML whose tags mean nothing: what carries one is the plain value."""


def _plain(loader: _DataLoader, _: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_scalar(node)


_DataLoader.add_multi_constructor("!", _plain)


def read_settings(path: Path) -> dict[str, Any]:
    """The file's plain data; ``<name>`` stands for another of its values, also in a product.

    Raises:
        FileMissingError: there is no such file.
        ConfigError: it is no YAML, has no table for a part, or refers to a value that is not there.
    """
    if not path.is_file():
        raise FileMissingError(path, "settings")
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), _DataLoader)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise ConfigError(f"{path}: not YAML ({error}); fetch the file again") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected a table of settings, found {type(data).__name__}")
    return {part: _resolved(_table(data, part, str(path)), data, str(path)) for part in PARTS}


def _table(data: Mapping[str, Any], key: str, where: str) -> dict[str, Any]:
    table = data.get(key)
    if not isinstance(table, dict):
        raise ConfigError(f"{where}: '{key}' is no table of settings; this is not the file of CosyVoice2")
    return dict(table)


def _resolved(value: Any, data: Mapping[str, Any], where: str) -> Any:
    if isinstance(value, dict):
        return {key: _resolved(item, data, where) for key, item in value.items()}
    if isinstance(value, list):
        return [_resolved(item, data, where) for item in value]
    if not isinstance(value, str) or not _REFERENCE.search(value):
        return value
    named = _REFERENCE.fullmatch(value)
    if named:
        return _named(named[1], data, where)
    text = _REFERENCE.sub(lambda match: str(_named(match[1], data, where)), value)
    if not _PRODUCT.fullmatch(text):
        raise ConfigError(f"{where}: '{value}' is no product of numbers; write the number itself")
    product = 1
    for factor in text.split("*"):
        product *= int(factor)
    return product


def _named(name: str, data: Mapping[str, Any], where: str) -> Any:
    if name not in data or isinstance(data[name], dict | list):
        raise ConfigError(f"{where}: <{name}> refers to a value that is not there")
    return data[name]


@dataclass(frozen=True)
class _Chunk:
    """A chunk of the estimator, in mel frames, and how many of those a token has."""

    static_chunk_size: Size
    token_mel_ratio: AtLeastOne


def flow_config(settings: Mapping[str, Any]) -> FlowConfig:
    """`FlowConfig` of the ``flow`` table.

    Raises:
        ConfigError: an unknown key, or a value that this model does not compute.
    """
    table = dict(settings)
    encoder, decoder = _table(table, "encoder", "flow"), _table(table, "decoder", "flow")
    estimator = _table(decoder, "estimator", "flow.decoder")
    solver = _table(_table(decoder, "cfm_params", "flow.decoder"), "content", "flow.decoder.cfm_params")
    widths, chunk_frames = estimator.pop("channels", []), estimator.pop("static_chunk_size", None)
    lookahead, ratio = table.pop("pre_lookahead_len", 3), table.pop("token_mel_ratio", 2)
    for key in ("encoder", "decoder", "input_frame_rate", "input_size"):
        table.pop(key, None)
    del decoder["estimator"], decoder["cfm_params"]
    if not isinstance(widths, list) or len(widths) != 1:
        raise ConfigError(f"flow.decoder.estimator.channels: {widths}; only a single level is supported")
    own_encoder = _own(encoder, _ENCODER_NAMES, _ENCODER_ONLY, "flow.encoder")
    if chunk_frames is not None:
        chunk = from_mapping(_Chunk, {"static_chunk_size": chunk_frames, "token_mel_ratio": ratio}, "flow")
        own_encoder.setdefault("chunk_tokens", chunk.static_chunk_size // chunk.token_mel_ratio)
    guidance = _own(solver, {"inference_cfg_rate": "guidance"}, _SOLVER_ONLY, "flow.decoder.cfm_params")
    _own(decoder, {}, {}, "flow.decoder")
    own = _own(table, _FLOW_NAMES, _FLOW_ONLY, "flow") | guidance
    own["encoder"] = own_encoder | {"lookahead_tokens": lookahead, "frames_per_token": ratio}
    own["estimator"] = _own(estimator, _ESTIMATOR_NAMES, _ESTIMATOR_ONLY, "flow.decoder.estimator") | {"dim": widths[0]}
    return from_mapping(FlowConfig, own, "flow")


def lm_settings(settings: Mapping[str, Any], backbone: LMConfig) -> tuple[LMConfig, SamplingOptions]:
    """The language model's groups and manner of sampling, from the ``llm`` table.

    Raises:
        ConfigError: a value that is not what it should be.
    """
    given = from_mapping(_LM, settings, "llm")
    groups, size = given.mix_ratio, given.speech_token_size or backbone.codebook_size
    if len(groups) != 2:
        raise ConfigError(f"llm.mix_ratio: expected two whole numbers, got {list(groups)!r}")
    if size != backbone.codebook_size:
        raise ConfigError(f"llm.speech_token_size: {size!r} is not the flow's vocab_size, {backbone.codebook_size}")
    drawn = given.sampling
    lm = replace(backbone, group_text_tokens=groups[0], group_speech_tokens=groups[1])
    options = replace(
        PUBLISHED_SAMPLING,
        top_p=drawn.top_p,
        top_k=drawn.top_k,
        repetition_window=drawn.win_size,
        repetition_limit=max(1, math.ceil(drawn.win_size * drawn.tau_r)),
    )
    return lm, options


@dataclass(frozen=True)
class _Drawing:
    """``llm.sampling``, under its own names; a code is drawn anew that makes up ``tau_r`` of the last ``win_size``."""

    top_p: Annotated[float, Within(0, 1, above=True)] = 0.8
    top_k: Size = 25
    win_size: Whole = 10
    tau_r: Share = 0.1


@dataclass(frozen=True)
class _LM:
    """``llm``; the widths repeat the backbone's, and what only a training reads may be anything."""

    llm: Any = None
    llm_input_size: Any = None
    llm_output_size: Any = None
    length_normalized_loss: Any = None
    lsm_weight: Any = None
    spk_embed_dim: Any = None
    speech_token_size: Size | None = None
    mix_ratio: tuple[AtLeastOne, ...] = (5, 15)
    sampling: _Drawing = field(default_factory=_Drawing)


def _own(data: Mapping[str, Any], names: Mapping[str, str], only: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Our names; settings that concern training alone are left out, and others must be what we compute."""
    for key, value in data.items():
        if key in only and value != only[key]:
            raise ConfigError(f"{where}.{key}: {value!r} is not supported; only {only[key]!r} is")
        if key not in names and key not in only and key not in _OF_TRAINING:
            raise ConfigError(f"{where}: unknown key '{key}'; this is not the settings of CosyVoice2")
    return {names[key]: value for key, value in data.items() if key in names}
