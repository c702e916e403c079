"""Codec checkpoints: our own folder, and the published audio tokenizer in its transformers and its original key layout.

Loading is strict both ways. However a file spells weight norm, the acoustic convolutions end up plain and the teacher's
positional convolution parametrised.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from parlando.core.config import read_json
from parlando.core.errors import CheckpointError
from parlando.core.folder import write_json
from parlando.models.higgs.parts.codec import CodecConfig, CodecModule, build_codec
from parlando.models.higgs.parts.codec_config import (
    config_from_original,
    config_from_transformers,
    config_to_transformers,
)
from parlando.models.higgs.parts.unified_codec import TRAINING_PARTS, UnifiedCodec, UnifiedCodecConfig
from parlando.nn.checkpoint import built, first_file, load_strictly, read_weights, save_tensors, shard_places

CODEC_FILE, PUBLISHED_FILE = "codec.safetensors", "model.safetensors"
_PUBLISHED_FILES = (
    "model.safetensors.index.json",
    PUBLISHED_FILE,
    "pytorch_model.bin.index.json",
    "pytorch_model.bin",
    "model.pth",
)
_STATISTICS = ("inited", "cluster_size", "embed_avg")
_MASK_KEY = "semantic_model.masked_spec_embed"
_STRAY_LAYER = "fc1."
_LANGUAGE_MODEL = re.compile(r"^(model\.)?(embed_tokens|layers\.\d+\.(self_attn|mlp|audio_mlp))\.")
_GAIN = re.compile(r"^(?P<stem>.*)\.(weight_g|parametrizations\.weight\.original0)$")
_POSITION_CONV = "semantic_model.encoder.pos_conv_embed.conv"
_UNIT_PARTS = ("snake1", "conv1", "snake2", "conv2")


def save_codec(codec: CodecModule, folder: Path) -> Path:
    """Write the codec's tensors into a checkpoint folder; returns the file. Its config belongs in config.json."""
    return save_tensors(codec.state_dict(), folder / CODEC_FILE)


def load_codec(folder: Path, config: CodecConfig) -> CodecModule:
    """The codec of a folder in our own layout, on the CPU, in float32.

    Raises:
        FileMissingError: the folder has no codec file.
        ConfigError: the config's settings do not make a codec.
        CheckpointError: tensors are missing, unexpected, misshapen or not finite.
    """
    path = folder / CODEC_FILE
    codec = built(build_codec, config, str(path))
    _load(codec, read_weights(path), str(path))
    return codec


def load_published_codec(folder: Path, padding: Literal["transformers", "original"] | None = None) -> UnifiedCodec:
    """The audio tokenizer from a published checkpoint's folder, on the CPU, in float32.

    ``padding`` overrides the rule for clips of uneven length, which otherwise follows the layout of the weights.

    Raises:
        FileMissingError: there is no config.json or no weights file.
        CheckpointError: the weights are those of the language model, or do not fit the config.
    """
    data = read_json(folder / "config.json")
    path = find_published_weights(folder)
    tensors = read_weights(path, counters=_STATISTICS)
    rule = padding or ("original" if is_original(tensors) else "transformers")
    parse = config_from_transformers if "acoustic_model_config" in data else config_from_original
    config = parse(data, rule, str(folder / "config.json"))
    with torch.device("meta"):
        codec = built(UnifiedCodec, config, str(path)).eval()
    _load(codec, to_own_layout(tensors, config), str(path))
    return codec


def save_published_codec(codec: UnifiedCodec, folder: Path) -> Path:
    """Write an audio tokenizer as it is published, in the transformers layout; returns the file of tensors."""
    write_json(folder / "config.json", config_to_transformers(codec.config))
    return save_tensors(codec.state_dict(), folder / PUBLISHED_FILE)


def find_published_weights(folder: Path) -> Path:
    """The first weights file of a folder that holds an audio tokenizer.

    The published tokenizer repository has carried, beside the real model.pth, a model.safetensors that is the language
    model's.

    Raises:
        FileMissingError: there is none.
        CheckpointError: there are only the language model's weights.
    """
    first = first_file(folder, _PUBLISHED_FILES, "audio tokenizer weights")
    present = (folder / name for name in _PUBLISHED_FILES if (folder / name).is_file())
    own = next((path for path in present if not _holds_language_model(path)), None)
    if own is None:
        raise CheckpointError(
            f"{first}: these are the tensors of the language model, not of the audio tokenizer; "
            f"put the tokenizer's own {_PUBLISHED_FILES[-1]} into {folder}"
        )
    return own


def _holds_language_model(path: Path) -> bool:
    if path.suffix == ".json":
        return any(map(_LANGUAGE_MODEL.match, shard_places(path)))
    if path.suffix != ".safetensors":
        return False
    try:
        with safe_open(path, framework="pt") as file:
            return any(map(_LANGUAGE_MODEL.match, file.keys()))
    except SafetensorError as error:
        raise CheckpointError(f"{path}: cannot be read as tensors ({error}); fetch the file again") from error


def _with_statistics(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """With what only a training reads of the codebooks, as if every codeword had been seen once; a file may lack it."""
    embeds = {key.removesuffix("embed"): value for key, value in tensors.items() if key.endswith(".codebook.embed")}
    missing: dict[str, Tensor] = {}
    for stem, embed in embeds.items():
        seen = embed.new_ones(len(embed))
        missing |= {f"{stem}inited": embed.new_ones(1), f"{stem}cluster_size": seen, f"{stem}embed_avg": embed}
    return {**missing, **tensors}


def _load(codec: CodecModule, tensors: Mapping[str, Tensor], where: str) -> None:
    if isinstance(codec, UnifiedCodec):
        codec.leave_out({name for name in TRAINING_PARTS if not any(key.startswith(f"{name}.") for key in tensors)})
    load_strictly(codec, {key: tensor.float() for key, tensor in _with_statistics(tensors).items()}, where)


def is_original(tensors: Mapping[str, Tensor]) -> bool:
    """Whether the keys are those of the original ``model.pth``."""
    return any(key.startswith(("encoder.", "decoder_2.", "quantizer.vq.")) for key in tensors)


def to_own_layout(tensors: Mapping[str, Tensor], config: UnifiedCodecConfig) -> dict[str, Tensor]:
    """The tensors of either published layout under our names; unknown keys pass through for the strict check to name.

    Dropped: the teacher's training mask, and a leftover layer of the original file that its model never had.
    """
    plain = fold_weight_norm(tensors)
    if is_original(plain):
        stems = _original_stems(len(config.acoustic.ratios))
        plain = {
            _rename_original(key, stems): value for key, value in plain.items() if not key.startswith(_STRAY_LAYER)
        }
    return {key: value for key, value in plain.items() if key != _MASK_KEY}


def fold_weight_norm(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turn every spelling of weight norm into plain weights, but for the positional convolution, which keeps it."""
    folded = dict(tensors)
    for key in tensors:
        match = _GAIN.match(key)
        stem = match["stem"] if match else None
        if stem is None:
            continue
        direction = next(
            (k for k in (f"{stem}.weight_v", f"{stem}.parametrizations.weight.original1") if k in folded), None
        )
        if direction is None:
            continue
        gain, vectors = folded.pop(key).float(), folded.pop(direction).float()
        folded |= (
            _position_tensors(gain, vectors) if stem == _POSITION_CONV else {f"{stem}.weight": _normed(gain, vectors)}
        )
    plain = folded.pop(f"{_POSITION_CONV}.weight", None)
    if plain is not None:
        folded |= _position_tensors(plain.float().norm(dim=(0, 1), keepdim=True), plain)
    return folded


def _normed(gain: Tensor, vectors: Tensor) -> Tensor:
    return vectors * (gain / vectors.norm(dim=(1, 2), keepdim=True))


def _position_tensors(gain: Tensor, vectors: Tensor) -> dict[str, Tensor]:
    parametrised = f"{_POSITION_CONV}.parametrizations.weight"
    return {f"{parametrised}.original0": gain, f"{parametrised}.original1": vectors}


def _rename_original(key: str, stems: Mapping[str, str]) -> str:
    stem, _, leaf = key.rpartition(".")
    if stem in stems:
        return f"{stems[stem]}.{leaf}"
    if key.startswith(("encoder_semantic.", "decoder_semantic.")):
        return re.sub(r"(conv[12]?)\.conv\.", r"\1.", key)
    return key.replace("quantizer.vq.layers.", "quantizer.quantizers.").replace("._codebook.", ".codebook.")


def _original_stems(num_blocks: int) -> dict[str, str]:
    """Module names of the original layout, to ours, for everything that is numbered there."""
    stems = {"fc_prior": "fc", "fc_post1": "fc1", "fc_post2": "fc2"}
    for theirs, ours in (("encoder.block", "acoustic_encoder"), ("decoder_2.model", "acoustic_decoder")):
        ends = {0: "conv1", num_blocks + 1: "snake1", num_blocks + 2: "conv2"}
        stems |= {f"{theirs}.{index}": f"{ours}.{name}" for index, name in ends.items()}
    for index in range(num_blocks):
        encoder, decoder = f"encoder.block.{index + 1}.block", f"decoder_2.model.{index + 1}.block"
        stems |= _block_stems(encoder, f"acoustic_encoder.block.{index}", {3: "snake1", 4: "conv1"}, first_unit=0)
        stems |= _block_stems(decoder, f"acoustic_decoder.block.{index}", {0: "snake1", 1: "conv_t1"}, first_unit=2)
    return stems


def _block_stems(theirs: str, ours: str, outer: Mapping[int, str], first_unit: int) -> dict[str, str]:
    stems = {f"{theirs}.{index}": f"{ours}.{name}" for index, name in outer.items()}
    for unit in range(3):
        for part, name in enumerate(_UNIT_PARTS):
            stems[f"{theirs}.{first_unit + unit}.block.{part}"] = f"{ours}.res_unit{unit + 1}.{name}"
    return stems
