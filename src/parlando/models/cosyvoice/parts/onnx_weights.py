"""Weights of the published ONNX files under our names: the protobuf wire format is read here, nothing is executed.

An initialiser is named after the graph node that uses it, since exporters rename what they transpose or fold.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from parlando.core.errors import CheckpointError, FileMissingError
from parlando.models.cosyvoice.parts.campplus import CampPlus, CampPlusConfig
from parlando.models.cosyvoice.parts.speech_tokenizer import SpeechTokenizer, SpeechTokenizerConfig
from parlando.nn.checkpoint import built, check_finite, load_strictly

C = TypeVar("C")
M = TypeVar("M", bound=nn.Module)

VARINT, FIXED_64, BYTES, FIXED_32 = 0, 1, 2, 5
WIDTHS = {FIXED_64: 8, FIXED_32: 4}
LONGEST_VARINT = 10

MODEL_GRAPH = 7
GRAPH_NODE, GRAPH_TENSOR = 1, 5
NODE_INPUT, NODE_OUTPUT, NODE_NAME, NODE_OPERATOR = 1, 2, 3, 4
TENSOR_DIMS, TENSOR_TYPE, TENSOR_NAME, TENSOR_EXTERNAL = 1, 2, 8, 13
TENSOR_VALUES = (4, 9, 10)  # float_data, raw_data, double_data
FLOAT_TYPES = {1: "<f4", 10: "<f2", 11: "<f8"}

ROLES: Mapping[str, tuple[str, ...]] = {
    "Conv": ("", "weight", "bias"),
    "MatMul": ("", "weight"),
    "Add": ("bias", "bias"),
    "Mul": ("weight", "weight"),
    "LayerNormalization": ("", "weight", "bias"),
    "BatchNormalization": ("", "weight", "bias", "running_mean", "running_var"),
}
FOLDED_NORMS = (
    (re.compile(r"(head(?:\.layer\d+\.\d+)?)\.conv(\d)"), r"\1.bn\2"),
    (re.compile(r"(head\.layer\d+\.\d+\.shortcut)\.0"), r"\1.1"),
    (re.compile(r"(xvector\.block\d+\.tdnnd\d+)\.linear1"), r"\1.nonlinear2.batchnorm"),
    (re.compile(r"(xvector\.(?:tdnn|dense))\.linear"), r"\1.nonlinear.batchnorm"),
    (re.compile(r"(xvector)\.transit\d+\.linear"), r"\1.out_nonlinear.batchnorm"),
)


@dataclass(frozen=True)
class OnnxNode:
    """One operation: its kind, its scoped name, and the names of the values that it reads and writes."""

    operator: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def module(self) -> str:
        """Dotted path of the module that the node was exported from; a list's repeated name is said once."""
        *scopes, _ = (self.name or self.outputs[0]).strip("/").split("/")
        pairs = zip(scopes, [*scopes[1:], ""], strict=True)
        return ".".join(scope for scope, inner in pairs if not inner.startswith(f"{scope}."))


@dataclass(frozen=True)
class OnnxGraph:
    """The nodes of a graph in order, and its floating-point initialisers by name."""

    nodes: tuple[OnnxNode, ...]
    tensors: Mapping[str, Tensor]


def read_speech_tokenizer(path: Path, config: SpeechTokenizerConfig | None = None) -> SpeechTokenizer:
    """The speech tokenizer of a published ``speech_tokenizer_v2.onnx``, on the CPU, in float32.

    Raises:
        FileMissingError: there is no such file.
        CheckpointError: it is damaged, not this graph at the config's size, or not finite.
    """
    tensors = _in_encoder(tensors_by_module(read_onnx(path)))
    return _filled(SpeechTokenizer, config or SpeechTokenizerConfig(), tensors, path)


def read_campplus(path: Path, config: CampPlusConfig | None = None) -> CampPlus:
    """The speaker encoder of a published ``campplus.onnx``, on the CPU, in float32.

    Raises:
        FileMissingError: there is no such file.
        CheckpointError: it is damaged, not this graph at the config's size, or not finite.
    """
    tensors = unfold_norms(tensors_by_module(read_onnx(path)))
    return _filled(CampPlus, config or CampPlusConfig(), tensors, path)


def _filled(build: Callable[[C], M], config: C, tensors: Mapping[str, Tensor], path: Path) -> M:
    module = built(build, config, str(path)).eval()
    check_finite(tensors, str(path))
    counters = {key: value for key, value in module.state_dict().items() if not value.is_floating_point()}
    load_strictly(module, {**counters, **tensors}, f"{path}: not the graph of CosyVoice2's {type(module).__name__}")
    return module


def read_onnx(path: Path) -> OnnxGraph:
    """Nodes and floating-point initialisers of an ONNX file; tensors are float32 whatever the file has.

    Raises:
        FileMissingError: there is no such file.
        CheckpointError: it is not a whole ONNX file, or keeps its tensors in a second one.
    """
    if not path.is_file():
        raise FileMissingError(path, "ONNX file")
    try:
        model = dict(_fields(np.memmap(path, dtype=np.uint8, mode="r").data))
        graph = list(_fields(_part(model.get(MODEL_GRAPH, 0))))
        nodes = tuple(_node(_part(value)) for number, value in graph if number == GRAPH_NODE)
        tensors = dict(_tensor(_part(value)) for number, value in graph if number == GRAPH_TENSOR)
    except (ValueError, IndexError) as error:
        raise CheckpointError(f"{path}: not a whole ONNX file ({error}); fetch the file again") from error
    return OnnxGraph(nodes, {name: tensor for name, tensor in tensors.items() if tensor is not None})


def tensors_by_module(graph: OnnxGraph) -> dict[str, Tensor]:
    """Each initialiser as a module's weight, bias or statistic; one that no known operation uses keeps its own name.

    Matrices come back as ``nn.Linear`` has them. Single numbers are constants of the computation and left out.
    """
    aliases = {node.outputs[0]: node.inputs[0] for node in graph.nodes if node.operator == "Identity"}
    found, used = {}, set()
    for node in graph.nodes:
        for name, role in zip(node.inputs, ROLES.get(node.operator, ()), strict=False):
            source = aliases.get(name, name)
            tensor = graph.tensors.get(source)
            if tensor is None or tensor.numel() == 1 or not role:
                continue
            used.add(source)
            found[f"{node.module}.{role}"] = tensor.t().contiguous() if node.operator == "MatMul" else tensor
    rest = {name: tensor for name, tensor in graph.tensors.items() if name not in used and tensor.numel() > 1}
    return rest | found


def unfold_norms(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give convolutions of CAM++ that swallowed a batch norm their norm back, as one that only adds their bias."""
    plain = dict(tensors)
    for key in tensors:
        norm = _folded_norm(key.removesuffix(".bias")) if key.endswith(".bias") else None
        if norm is None:
            continue
        bias = plain.pop(key)
        neutral = {"running_mean": -bias, "running_var": torch.full_like(bias, 1 - nn.BatchNorm1d(1).eps)}
        if not norm.startswith("xvector.dense."):
            neutral |= {"weight": torch.ones_like(bias), "bias": torch.zeros_like(bias)}
        plain |= {f"{norm}.{name}": value for name, value in neutral.items()}
    return plain


def _folded_norm(convolution: str) -> str | None:
    for pattern, norm in FOLDED_NORMS:
        if match := pattern.fullmatch(convolution):
            return match.expand(norm)
    return None


def _in_encoder(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The published graph has the encoder's modules at its top."""
    inside = ("conv1.", "conv2.", "blocks.")
    return {f"encoder.{key}" if key.startswith(inside) else key: value for key, value in tensors.items()}


def _node(data: memoryview) -> OnnxNode:
    texts: dict[int, list[str]] = {number: [] for number in (NODE_INPUT, NODE_OUTPUT, NODE_NAME, NODE_OPERATOR)}
    for number, value in _fields(data):
        if number in texts:
            texts[number].append(bytes(_part(value)).decode())
    inputs, outputs, names, operators = texts.values()
    return OnnxNode(operators[0], "".join(names), tuple(inputs), tuple(outputs))


def _tensor(data: memoryview) -> tuple[str, Tensor | None]:
    """An initialiser's name and values; none when it is not of floating point."""
    fields: dict[int, list[int | memoryview]] = {}
    for number, value in _fields(data):
        fields.setdefault(number, []).append(value)
    name = bytes(_part(fields.get(TENSOR_NAME, [0])[-1])).decode()
    if TENSOR_EXTERNAL in fields:
        raise ValueError(f"'{name}' is kept in a second file")
    kind = fields.get(TENSOR_TYPE, [0])[-1]
    if not isinstance(kind, int) or kind not in FLOAT_TYPES:
        return name, None
    shape = [n for value in fields.get(TENSOR_DIMS, []) for n in ([value] if isinstance(value, int) else _all(value))]
    values = [_part(value) for number in TENSOR_VALUES for value in fields.get(number, [])]
    raw = values[0] if len(values) == 1 else b"".join(values)
    array = np.frombuffer(raw, dtype=FLOAT_TYPES[kind]).reshape(shape).astype(np.float32)
    return name, torch.from_numpy(array)


def _part(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a part is missing or is a number")  # noqa: TRY004 - of the file, not of the caller
    return value


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and content of each field of a protobuf message."""
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            value, position = _varint(data, position)
            yield number, value
            continue
        if kind == BYTES:
            size, position = _varint(data, position)
        elif kind in WIDTHS:
            size = WIDTHS[kind]
        else:
            raise ValueError(f"field {number} has the unknown kind {kind}")
        if position + size > len(data):
            raise ValueError(f"field {number} is cut off")
        yield number, data[position : position + size]
        position += size


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    """A number in groups of seven bits, lowest first, and the position behind it."""
    total = 0
    for count in range(LONGEST_VARINT):
        byte = data[position + count]
        total |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return total, position + count + 1
    raise ValueError("a number does not end")


def _all(data: memoryview) -> list[int]:
    numbers, position = [], 0
    while position < len(data):
        number, position = _varint(data, position)
        numbers.append(number)
    return numbers
