"""Writes ONNX files as the published ones are laid out: scoped node names, opaque tensor names, folded norms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

FLOAT, HALF, INT64 = 1, 10, 7


def varint(number: int) -> bytes:
    groups = [number & 0x7F]
    while number := number >> 7:
        groups[-1] |= 0x80
        groups.append(number & 0x7F)
    return bytes(groups)


def message(number: int, content: bytes | str) -> bytes:
    data = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(data)) + data


def plain(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value)


def tensor(name: str, values: np.ndarray, kind: int = FLOAT, field: int = 9, packed_dims: bool = False) -> bytes:
    dims = [varint(size) for size in values.shape]
    shape = message(1, b"".join(dims)) if packed_dims else b"".join(varint(1 << 3) + size for size in dims)
    return shape + plain(2, kind) + message(8, name) + message(field, values.tobytes())


def node(operator: str, name: str, inputs: list[str], output: str = "") -> bytes:
    read = b"".join(message(1, value) for value in inputs)
    return read + message(2, output or f"{name}_output_0") + message(3, name) + message(4, operator)


def model(nodes: list[bytes], tensors: list[bytes]) -> bytes:
    graph = b"".join(message(1, part) for part in nodes) + message(2, "main")
    return plain(1, 8) + message(2, "pytorch") + message(7, graph + b"".join(message(5, part) for part in tensors))


class Exporter:
    """Collects the nodes and tensors of a module's layers."""

    def __init__(self) -> None:
        self.nodes: list[bytes] = []
        self.tensors: list[bytes] = [tensor("shape", np.array([1, -1]), INT64), tensor("one", np.ones(1, np.float32))]

    def add(self, operator: str, scope: str, *values: tuple[str, Tensor]) -> None:
        names = ["previous"]
        for name, value in values:
            names.append(name or f"onnx::{operator}_{len(self.tensors) + 1000}")
            self.tensors.append(tensor(names[-1], value.detach().numpy()))
        self.nodes.append(node(operator, f"{scope}/{operator}", names))

    def convolution(self, name: str, scope: str, layer: nn.Module, norm: nn.Module | None = None) -> None:
        if norm is None:
            self.add("Conv", scope, *((f"{name}.{key}", value) for key, value in layer.named_parameters()))
            return
        folded = fuse_conv_bn_weights(
            layer.weight, None, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
        )
        self.add("Conv", scope, *(("", value) for value in folded))

    def linear(self, name: str, scope: str, layer: nn.Linear) -> None:
        self.add("MatMul", scope, ("", layer.weight.t().contiguous()))
        if layer.bias is not None:
            self.tensors.append(tensor(f"{name}.bias", layer.bias.detach().numpy()))
            self.nodes.append(node("Add", f"{scope}/Add", [f"{name}.bias", "previous"]))

    def norm(self, name: str, scope: str, layer: nn.Module) -> None:
        operator = "LayerNormalization" if isinstance(layer, nn.LayerNorm) else "BatchNormalization"
        floats = [(key, value) for key, value in layer.state_dict().items() if value.is_floating_point()]
        if len(floats) == 2 and operator == "BatchNormalization":
            self.tensors += [tensor(f"{name}.{key}", value.numpy()) for key, value in floats]
            constants = [f"{scope}/Constant_output_0", f"{scope}/Constant_1_output_0"]
            inputs = ["previous", *constants, *(f"{name}.{key}" for key, _ in floats)]
            self.nodes.append(node(operator, f"{scope}/{operator}", inputs))
            return
        self.add(operator, scope, *((f"{name}.{key}", value) for key, value in floats))

    def write(self, path: Path) -> Path:
        constant = node("Mul", "/blocks.0/attn/Mul", ["previous", "one"])
        path.write_bytes(
            model([*self.nodes, constant, node("Reshape", "/Reshape", ["previous", "shape"])], self.tensors)
        )
        return path


def scope_of(name: str, lists: tuple[str, ...] = ()) -> str:
    """`head.layer1.0.conv1` as exporters write it: `/head/layer1/layer1.0/conv1`, or `/layer1.0` for a plain list."""
    parts: list[str] = []
    for part in name.split("."):
        if not part.isdigit():
            parts.append(part)
        elif parts[-1] in lists:
            parts[-1] += f".{part}"
        else:
            parts.append(f"{parts[-1]}.{part}")
    return "/" + "/".join(parts)


def write_speech_tokenizer(tokenizer: nn.Module, path: Path) -> Path:
    exporter = Exporter()
    for name, layer in tokenizer.named_modules():
        published = name.removeprefix("encoder.")
        scope = scope_of(published, lists=("blocks",))
        if isinstance(layer, nn.Linear):
            exporter.linear(published, scope, layer)
        elif isinstance(layer, nn.Conv1d):
            exporter.convolution(published, scope, layer)
        elif isinstance(layer, nn.LayerNorm):
            exporter.norm(published, scope, layer)
    return exporter.write(path)


def write_campplus(encoder: nn.Module, path: Path, folds: dict[str, str]) -> Path:
    """``folds`` gives the batch norm that each convolution swallows, by name."""
    exporter, modules = Exporter(), dict(encoder.named_modules())
    for name, layer in modules.items():
        if isinstance(layer, nn.Conv1d | nn.Conv2d):
            exporter.convolution(name, scope_of(name), layer, modules.get(folds.get(name, "no norm")))
        elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) and name not in folds.values():
            exporter.norm(name, scope_of(name), layer)
    return exporter.write(path)
