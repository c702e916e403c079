"""Whisper's audio tower out of a folder in CTranslate2's layout, as `parlando judges install` makes one.

    python recipes/understanding/from_ctranslate2.py ~/.cache/parlando/judges/whisper-base runs/tower

The target is Whisper's published layout (encoder only), for `parlando train understanding … --from runs/tower`. A
`model.bin` is a list of named arrays, each with its shape and kind; only arrays that are not quantised can be taken.
"""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from parlando.nn.checkpoint import save_tensors

KINDS = {0: np.dtype("float32"), 4: np.dtype("float16")}
WIDTHS = {0: 4, 1: 1, 2: 2, 3: 4, 4: 2, 5: 2}
PREFIX, LAYER = "model.encoder.", "layers.{}."
HEAD_DIM = 64  # of every published size
SIMPLE = {"weight": "weight", "bias": "bias", "gamma": "weight", "beta": "bias"}
PARTS = {
    "self_attention/layer_norm": "self_attn_layer_norm",
    "self_attention/linear_1": "self_attn.out_proj",
    "ffn/layer_norm": "final_layer_norm",
    "ffn/linear_0": "fc1",
    "ffn/linear_1": "fc2",
}


def arrays_of(path: Path) -> dict[str, np.ndarray]:
    """All arrays of a `model.bin` that hold plain numbers, by their names.

    Raises:
        SystemExit: the file is of another format.
    """
    found = {}
    with path.open("rb") as file:
        version = _number(file, "I")
        if version < 2:
            raise SystemExit(f"{path}: version {version} of CTranslate2's format is not known here")
        _text(file)
        _number(file, "I")
        for _ in range(_number(file, "I")):
            name = _text(file)
            shape = [_number(file, "I") for _ in range(_number(file, "B"))]
            kind = _number(file, "B")
            data = file.read(_number(file, "I"))
            if len(data) != WIDTHS.get(kind, 0) * int(np.prod(shape, dtype=np.int64)):
                raise SystemExit(f"{path}: '{name}' is cut off, or of an unknown kind ({kind})")
            if kind in KINDS:
                found[name] = np.frombuffer(data, KINDS[kind]).reshape(shape)
    return found


def tower_of(arrays: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """The encoder's tensors by the names that transformers gives them, without their prefix.

    Raises:
        SystemExit: these are not the arrays of a Whisper, or they are quantised.
    """
    own = {
        name.removeprefix("encoder/"): torch.from_numpy(array.astype(np.float32))
        for name, array in arrays.items()
        if name.startswith("encoder/") and array.ndim
    }
    needed = ("conv1/weight", "conv2/weight", "position_encodings/encodings", "layer_0/self_attention/linear_0/weight")
    if missing := [name for name in needed if name not in own]:
        raise SystemExit(f"no {', '.join(missing)} in numbers of 16 or 32 bits: not Whisper's encoder, or quantised")
    tensors = {"embed_positions.weight": own["position_encodings/encodings"]}
    for each in ("conv1", "conv2", "layer_norm"):
        tensors |= _part(own, each, each)
    for number in range(sum(name.endswith("ffn/linear_0/weight") for name in own)):
        layer = LAYER.format(number)
        for theirs, ours in PARTS.items():
            tensors |= _part(own, f"layer_{number}/{theirs}", layer + ours)
        for kind in ("weight", "bias"):
            joined = own[f"layer_{number}/self_attention/linear_0/{kind}"].chunk(3)
            tensors |= {f"{layer}self_attn.{n}_proj.{kind}": part for n, part in zip("qkv", joined, strict=True)}
        del tensors[f"{layer}self_attn.k_proj.bias"]  # keys have none: what stands there are zeros
    return tensors


def _part(own: Mapping[str, Tensor], theirs: str, ours: str) -> dict[str, Tensor]:
    return {f"{ours}.{to}": own[f"{theirs}/{kind}"] for kind, to in SIMPLE.items() if f"{theirs}/{kind}" in own}


def config_of(tensors: Mapping[str, Tensor], heads: int) -> dict[str, object]:
    """The published config, as far as the tower needs it."""
    dim, bands, _ = tensors["conv1.weight"].shape
    return {
        "model_type": "whisper",
        "num_mel_bins": bands,
        "d_model": dim,
        "encoder_layers": sum(name.endswith("fc1.weight") for name in tensors),
        "encoder_attention_heads": heads,
        "encoder_ffn_dim": len(tensors["layers.0.fc1.weight"]),
        "max_source_positions": len(tensors["embed_positions.weight"]),
    }


def _number(file: BinaryIO, kind: str) -> int:
    data = file.read(struct.calcsize(kind))
    try:
        return int(struct.unpack("<" + kind, data)[0])
    except struct.error:
        raise SystemExit(f"{file.name}: the file ends too soon") from None


def _text(file: BinaryIO) -> str:
    return file.read(_number(file, "H")).rstrip(b"\0").decode()


def main(folder: str, target: str) -> None:
    """Convert."""
    tensors = tower_of(arrays_of(Path(folder) / "model.bin"))
    heads = len(tensors["conv1.weight"]) // HEAD_DIM
    out = Path(target)
    out.mkdir(parents=True, exist_ok=True)
    save_tensors(
        {f"model.encoder.{name}": each.contiguous() for name, each in tensors.items()}, out / "model.safetensors"
    )
    (out / "config.json").write_text(json.dumps(config_of(tensors, heads), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
