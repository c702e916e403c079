"""The published int8 graph of Kokoro, rewritten into three float graphs that run three times as fast.

Integer products are slow where the matrix unit takes bfloat16, and the whole graph cannot run in bfloat16: the phase of
the harmonic source is a sum over all samples. So the graph is cut where that phase has become a spectrum and before the
exponential of the last layer; most of the arithmetic lies between the cuts and bears bfloat16.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from parlando.data.teachers.kokoro.packages import require

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

DURATIONS = "/encoder/Round_output_0"
HERTZ = "/encoder/F0_proj/Conv_output_0"
ENERGY = "/encoder/N_proj/Conv_output_0"
TRACKS = (DURATIONS, HERTZ, ENERGY)

FEATURES = "/decoder/decoder/decode.3/Div_4_output_0"
STYLE = "/decoder/Slice_output_0"
SOURCE = "/decoder/decoder/generator/Concat_3_output_0"
SPECTRUM = "/decoder/decoder/generator/conv_post/Conv_output_0"
ABOVE_ZERO = "/decoder/decoder/generator/Greater"

CUTS: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {
    "front": (("tokens", "style", "speed"), (FEATURES, STYLE, SOURCE, *TRACKS)),
    "body": ((FEATURES, STYLE, SOURCE), (SPECTRUM,)),
    "back": ((SPECTRUM,), ("audio",)),
}
"""What goes into each part of the graph, and what comes out."""

SHAPES: Mapping[str, Sequence[int | str]] = {
    FEATURES: (1, 512, "frames"),
    STYLE: (1, 128),
    SOURCE: (1, 22, "bins"),
    SPECTRUM: (1, 22, "bins"),
}

SINE_POWERS = (1, 3, 5, 7)


class Rewriting:
    """The nodes of a graph while they are replaced, and the constants that this adds."""

    def __init__(self, model: ModelProto) -> None:
        onnx = require("onnx")
        self.model, self.graph = model, model.graph
        self._make, self._to_tensor = onnx.helper.make_node, onnx.numpy_helper.from_array
        self.constants = {i.name: onnx.numpy_helper.to_array(i) for i in self.graph.initializer}
        self.nodes: list[NodeProto] = []
        self._added: dict[str, np.ndarray] = {}

    def constant(self, name: str, value: object) -> str:
        """Keep a constant under a name, which is returned."""
        self._added[name] = np.asarray(value)
        return name

    def add(self, operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Add a node with one output, whose name is returned."""
        self.nodes.append(self._make(operator, list(inputs), [output], name=output, **attributes))
        return output

    def finish(self) -> ModelProto:
        """The model with the new nodes, and no constant that none of them reads."""
        used = {name for node in self.nodes for name in node.input}
        kept = [i for i in self.graph.initializer if i.name in used and i.name not in self._added]
        kept += [self._to_tensor(value, name) for name, value in self._added.items() if name in used]
        for field, values in ((self.graph.node, self.nodes), (self.graph.initializer, kept)):
            del field[:]
            field.extend(values)
        del self.graph.value_info[:]  # shapes and types of tensors that may be gone
        return self.model


def float_parts(model: ModelProto) -> dict[str, ModelProto]:
    """The three parts of `CUTS`, made from the published int8 graph, which is changed."""
    whole = with_plain_upsampling(with_fast_sines(to_float(with_true_phase(model))))
    return {name: extract(whole, inputs, outputs) for name, (inputs, outputs) in CUTS.items()}


def with_tracks(model: ModelProto) -> ModelProto:
    """Have the graph tell its durations, pitch and energy, too."""
    helper = require("onnx").helper
    told = {output.name for output in model.graph.output}
    model.graph.output.extend(_value(helper, name) for name in TRACKS if name not in told)
    return model


def with_true_phase(model: ModelProto) -> ModelProto:
    """Give a negative real bin of the harmonic source the phase π, which the network was trained with.

    The published graph says −π there, and a transform that is not exact says either, for an imaginary part that is a
    rounding error. The lowest and the highest bin are always real, so about half of their frames were wrong: on 32
    sentences that cost up to 0.3 of Distill-MOS.
    """
    rewriting = Rewriting(model)
    for node in model.graph.node:
        if node.op_type == "STFT":
            _exact_transform(rewriting, node)
        elif node.name == ABOVE_ZERO:
            rewriting.add("GreaterOrEqual", node.input, node.output[0])
        else:
            rewriting.nodes.append(node)
    return rewriting.finish()


def _exact_transform(rewriting: Rewriting, node: NodeProto) -> None:
    """A convolution with cosines and sines, whose zeros are zeros."""
    signal, step, window, _ = node.input
    out, taper = node.output[0], rewriting.constants[window]
    size = len(taper)
    turns = np.outer(np.arange(size // 2 + 1), np.arange(size)) % size / size
    waves = np.concatenate([np.cos(2 * np.pi * turns), -np.sin(2 * np.pi * turns)])
    waves[np.abs(waves) < np.finfo(np.float32).eps] = 0
    kernel = rewriting.constant(f"{out}_kernel", (waves * taper)[:, None].astype(np.float32))
    channel = rewriting.constant(f"{out}_channel", np.array([1], np.int64))
    parts = rewriting.constant(f"{out}_parts", np.array([0, 2, len(turns), -1], np.int64))
    wave = rewriting.add("Unsqueeze", [signal, channel], f"{out}_wave")
    strides = [int(rewriting.constants[step])]
    bins = rewriting.add("Conv", [wave, kernel], f"{out}_bins", kernel_shape=[size], strides=strides)
    # [batch, 2 · bin, frame] → [batch, 2, bin, frame] → [batch, frame, bin, 2]
    pairs = rewriting.add("Reshape", [bins, parts], f"{out}_pairs")
    rewriting.add("Transpose", [pairs], out, perm=[0, 3, 2, 1])


def to_float(model: ModelProto) -> ModelProto:
    """Replace dynamic quantisation by float arithmetic on the same, dequantised weights.

    An activation's scale becomes 1, so that the products that undo it undo nothing. A bias was divided by its scale and
    rounded down to an integer; it is no longer rounded.
    """
    rewriting, plain = Rewriting(model), dict[str, str]()
    rounded = _rounded_biases(model)
    for node in model.graph.node:
        node.input[:] = [plain.get(name, name) for name in node.input]
        if node.op_type == "DynamicQuantizeLinear":
            plain[node.output[0]] = node.input[0]
            rewriting.constant(node.output[1], np.float32(1))
        elif node.op_type in ("ConvInteger", "MatMulInteger"):
            _float_product(rewriting, node)
        elif node.op_type == "DynamicQuantizeLSTM":
            _float_lstm(rewriting, node)
        elif node.output[0] in rounded:
            rewriting.add("Identity", node.input[:1], node.output[0])
        else:
            rewriting.nodes.append(node)
    return rewriting.finish()


def _rounded_biases(model: ModelProto) -> set[str]:
    """Outputs of every pair of nodes that round a bias down and make it an integer."""
    int32 = require("onnx").TensorProto.INT32
    makers = {name: node for node in model.graph.node for name in node.output}
    found: set[str] = set()
    for node in model.graph.node:
        before = makers.get(node.input[0]) if node.op_type == "Cast" and node.attribute[0].i == int32 else None
        if before is not None and before.op_type == "Floor":
            found |= {before.output[0], node.output[0]}
    return found


def _float_product(rewriting: Rewriting, node: NodeProto) -> None:
    operator = node.op_type.removesuffix("Integer")
    weight = rewriting.constants[node.input[1]].astype(np.float32)
    if len(node.input) > 3:
        zero = rewriting.constants[node.input[3]].astype(np.float32)
        weight -= zero.reshape(-1, *[1] * (weight.ndim - 1)) if operator == "Conv" and zero.ndim else zero
    rewriting.add(operator, [node.input[0], rewriting.constant(f"{node.input[1]}_float", weight)], node.output[0])
    rewriting.nodes[-1].attribute.extend(node.attribute)


def _float_lstm(rewriting: Rewriting, node: NodeProto) -> None:
    """Inputs 8 to 11 are the scales and zero points of inputs 1 and 2, which are transposed as well."""
    inputs = list(node.input[:8])
    for place, scale, zero in ((1, 8, 9), (2, 10, 11)):
        weight, by, at = (rewriting.constants[node.input[i]].astype(np.float32) for i in (place, scale, zero))
        directions = len(weight)
        value = (weight - at.reshape(directions, 1, -1)) * by.reshape(directions, 1, -1)
        inputs[place] = rewriting.constant(f"{inputs[place]}_float", value.transpose(0, 2, 1))
    rewriting.add("LSTM", inputs, node.output[0])
    new = rewriting.nodes[-1]
    new.output[:] = node.output
    new.attribute.extend(node.attribute)


def with_fast_sines(model: ModelProto) -> ModelProto:
    """Replace each sine that is squared next by a polynomial: OpenVINO computes `Sin` one value at a time.

    These are the sines of the snake activation. x / π less the nearest integer is within a half; which integer it was
    decides only the sign, and that is lost in the square.
    """
    rewriting, readers = Rewriting(model), _readers(model)
    for node in model.graph.node:
        squared = all(reader.op_type == "Pow" for reader in readers[node.output[0]])
        if node.op_type == "Sin" and squared and readers[node.output[0]]:
            _polynomial_sine(rewriting, node.input[0], node.output[0])
        else:
            rewriting.nodes.append(node)
    return rewriting.finish()


def sine_coefficients() -> np.ndarray:
    """Coefficients of `SINE_POWERS` for sin(π r), |r| ≤ ½, by least squares; at most 2e-6 off."""
    r = np.linspace(-0.5, 0.5, 4_001)
    powers = np.stack([r**power for power in SINE_POWERS], axis=1)
    return np.linalg.lstsq(powers, np.sin(np.pi * r), rcond=None)[0]


def _polynomial_sine(rewriting: Rewriting, angle: str, out: str) -> None:
    def add(operator: str, first: str, second: str | None, name: str) -> str:
        return rewriting.add(operator, [first] if second is None else [first, second], f"{out}{name}")

    turns = add("Mul", angle, rewriting.constant("sine_turns", np.float32(1 / np.pi)), "_turns")
    rest = add("Sub", turns, add("Round", turns, None, "_whole"), "_rest")
    square = add("Mul", rest, rest, "_square")
    first, *others = [
        rewriting.constant(f"sine_{power}", np.float32(value))
        for power, value in zip(SINE_POWERS, sine_coefficients(), strict=True)
    ][::-1]
    for place, coefficient in enumerate(others):
        first = add("Add", add("Mul", first, square, f"_times{place}"), coefficient, f"_plus{place}")
    rewriting.add("Mul", [first, rest], out)


def with_plain_upsampling(model: ModelProto) -> ModelProto:
    """Replace transposed convolutions whose kernel is twice their stride by plain ones, which bfloat16 is fast for.

    Each output sample is the sum of two neighbouring inputs, weighed by its place within the stride: a convolution of
    width two with one channel for each place, whose channels are then dealt out in time.
    """
    attribute_value = require("onnx").helper.get_attribute_value
    rewriting = Rewriting(model)
    for node in model.graph.node:
        settings = {a.name: attribute_value(a) for a in node.attribute}
        if node.op_type == "ConvTranspose" and _is_plain(settings):
            _plain_upsampling(rewriting, node, settings)
        else:
            rewriting.nodes.append(node)
    return rewriting.finish()


def _is_plain(settings: Mapping[str, Any]) -> bool:
    (stride, *_), (kernel, *_) = settings["strides"], settings["kernel_shape"]
    others = settings.get("group", 1) == 1 and not any(settings.get("output_padding", ()))
    return len(settings["strides"]) == 1 and kernel == 2 * stride and others


def _plain_upsampling(rewriting: Rewriting, node: NodeProto, settings: Mapping[str, Any]) -> None:
    out, stride, (first, last) = node.output[0], settings["strides"][0], settings["pads"]
    bias = rewriting.constants[node.input[2]]

    def integers(name: str, *values: int) -> str:
        return rewriting.constant(f"{out}_{name}", np.array(values, np.int64))

    def add(operator: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        return rewriting.add(operator, inputs, f"{out}_{name}", **attributes)

    # [in, out, 2 · stride] → [in, out, 2, stride] → [out, stride, in, 2], the two taps swapped, → [out · stride, in, 2]
    taps = add("Reshape", [node.input[1], integers("taps_shape", 0, 0, 2, stride)], "taps")
    placed = add("Transpose", [taps], "placed", perm=[1, 3, 0, 2])
    swapped = add("Gather", [placed, integers("swap", 1, 0)], "swapped", axis=3)
    weight = add("Reshape", [swapped, integers("weight_shape", len(bias) * stride, -1, 2)], "weight")
    spread = rewriting.constant(f"{out}_bias", np.repeat(bias, stride))
    wide = add("Conv", [node.input[0], weight, spread], "wide", kernel_shape=[2], pads=[1, 1])
    # [batch, out · stride, n] → [batch, out, stride, n] → [batch, out, n, stride] → [batch, out, n · stride]
    split = add("Reshape", [wide, integers("split_shape", 0, len(bias), stride, -1)], "split")
    dealt = add("Transpose", [split], "dealt", perm=[0, 1, 3, 2])
    joined = add("Reshape", [dealt, integers("joined_shape", 0, len(bias), -1)], "joined")
    ends = (integers("first", first), integers("last", -last if last else np.iinfo(np.int64).max), integers("axis", 2))
    rewriting.add("Slice", [joined, *ends], out)


def extract(model: ModelProto, inputs: Sequence[str], outputs: Sequence[str]) -> ModelProto:
    """The part of a graph that computes ``outputs`` from ``inputs``."""
    helper = require("onnx").helper
    given = {value.name: value for value in model.graph.input}
    kept = _needed(model.graph.node, set(inputs), outputs)
    used = {name for node in kept for name in node.input}
    part = helper.make_graph(
        kept,
        "part",
        [given.get(name) or _value(helper, name) for name in inputs],
        [_value(helper, name) for name in outputs],
        [i for i in model.graph.initializer if i.name in used],
    )
    return helper.make_model(part, opset_imports=model.opset_import, ir_version=model.ir_version)


def _needed(nodes: Iterable[NodeProto], inputs: set[str], outputs: Sequence[str]) -> list[NodeProto]:
    wanted, kept = set(outputs), []
    for node in reversed(list(nodes)):  # in topological order, as ONNX has them
        if wanted & set(node.output) - inputs:
            wanted |= set(node.input)
            kept.append(node)
    return kept[::-1]


def _value(helper: Any, name: str) -> Any:
    """A float tensor."""
    return helper.make_tensor_value_info(name, require("onnx").TensorProto.FLOAT, SHAPES.get(name))


def _readers(model: ModelProto) -> dict[str, list[NodeProto]]:
    readers: dict[str, list[NodeProto]] = defaultdict(list)
    for node in model.graph.node:
        for name in node.input:
            readers[name].append(node)
    return readers
