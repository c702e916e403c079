"""The rewriting on a tiny graph that onnxruntime quantised as it did the published one."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from parlando.data.teachers.kokoro import graph  # noqa: E402

GENERATOR = np.random.default_rng(3)


def tensor(name, *shape):
    return numpy_helper.from_array(GENERATOR.normal(0, 0.4, shape).astype(np.float32), name)


def model(nodes, constants, inputs, outputs=("out",)):
    made = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, 1, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, 1, None) for name in outputs],
        constants,
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(made, opset_imports=opsets, ir_version=8)


def run(made, **inputs):
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    session = runtime.InferenceSession(made.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {name: value.astype(np.float32) for name, value in inputs.items()})[0]


def copy(made):
    again = onnx.ModelProto()
    again.CopyFrom(made)
    return again


def quantised(name, values, axis=None):
    """An int8 tensor with its scale and zero point, as the published graph has them."""
    axes = None if axis is None else tuple(a for a in range(values.ndim) if a != axis)
    low, high = (np.minimum(values.min(axes), 0), np.maximum(values.max(axes), 0))
    scale = ((high - low) / 255).astype(np.float32)
    zero = np.round(-low / scale).astype(np.uint8)
    shape = [-1 if a == axis else 1 for a in range(values.ndim)] if axis is not None else []
    codes = np.clip(np.round(values / scale.reshape(shape)) + zero.reshape(shape), 0, 255).astype(np.uint8)
    suffixes = (("quantized", codes), ("scale", scale), ("zero_point", zero))
    return [numpy_helper.from_array(value, f"{name}_{suffix}") for suffix, value in suffixes]


def int8_convolution():
    """A convolution with a bias that is rounded down to the scale of the products."""
    weight = GENERATOR.normal(0, 0.4, (6, 4, 3)).astype(np.float32)
    shape = numpy_helper.from_array(np.array([1, -1, 1], np.int64), "shape")
    constants = [*quantised("w", weight), tensor("bias", 6), shape]
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["x_quantized", "x_scale", "x_zero"]),
        helper.make_node("ConvInteger", ["x_quantized", "w_quantized", "x_zero", "w_zero_point"], ["y"], pads=[1, 1]),
        helper.make_node("Mul", ["x_scale", "w_scale"], ["bias_scale"]),
        helper.make_node("Div", ["bias", "bias_scale"], ["divided"]),
        helper.make_node("Floor", ["divided"], ["rounded"]),
        helper.make_node("Cast", ["rounded"], ["whole"], to=TensorProto.INT32),
        helper.make_node("Reshape", ["whole", "shape"], ["reshaped"]),
        helper.make_node("Add", ["y", "reshaped"], ["added"]),
        helper.make_node("Cast", ["added"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["float", "bias_scale"], ["out"]),
    ]
    return model(nodes, constants, {"x": [1, 4, None]}), weight


def test_an_integer_convolution_becomes_a_float_one_with_its_bias():
    made, weight = int8_convolution()
    x = GENERATOR.normal(0, 1, (1, 4, 20))
    before, after = run(made, x=x), run(graph.to_float(copy(made)), x=x)
    assert after.shape == before.shape == (1, 6, 20)
    assert np.abs(after - before).max() < 0.03
    bias = numpy_helper.to_array(next(i for i in made.graph.initializer if i.name == "bias"))
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1)))
    exact = np.stack([np.einsum("oik,ik->o", weight, padded[0, :, t : t + 3]) for t in range(20)], 1) + bias[:, None]
    assert np.abs(after[0] - exact).max() < np.abs(before[0] - exact).max()
    operators = {node.op_type for node in graph.to_float(copy(made)).graph.node}
    assert not operators & {"DynamicQuantizeLinear", "ConvInteger", "Floor"}


def test_an_integer_product_keeps_its_scale_for_each_column():
    weight = GENERATOR.normal(0, 0.4, (5, 7)).astype(np.float32) * np.arange(1, 8, dtype=np.float32)
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["x_quantized", "x_scale", "x_zero"]),
        helper.make_node("MatMulInteger", ["x_quantized", "w_quantized", "x_zero", "w_zero_point"], ["y"]),
        helper.make_node("Cast", ["y"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["x_scale", "w_scale"], ["scales"]),
        helper.make_node("Mul", ["float", "scales"], ["out"]),
    ]
    made = model(nodes, quantised("w", weight, axis=1), {"x": [None, 5]})
    x = GENERATOR.normal(0, 1, (9, 5))
    after = run(graph.to_float(copy(made)), x=x)
    assert np.abs(after - run(made, x=x)).max() < 0.1
    assert np.abs(after - x @ weight).max() < 0.05


def test_a_quantised_lstm_becomes_a_float_one():
    directions, size, hidden = 2, 4, 3
    weights = {name: GENERATOR.normal(0, 0.5, (directions, width, 4 * hidden)) for name, width in (("w", 4), ("r", 3))}
    constants = [tensor("b", directions, 8 * hidden)]
    for name, value in weights.items():
        codes, scale, zero = zip(*(quantised(name, each.astype(np.float32)) for each in value), strict=True)
        for suffix, parts in (("quantized", codes), ("scale", scale), ("zero_point", zero)):
            stacked = np.stack([numpy_helper.to_array(part) for part in parts])
            constants.append(numpy_helper.from_array(stacked, f"{name}_{suffix}"))
    names = [
        "x",
        "w_quantized",
        "r_quantized",
        "b",
        "",
        "",
        "",
        "",
        "w_scale",
        "w_zero_point",
        "r_scale",
        "r_zero_point",
    ]
    attributes = {"hidden_size": hidden, "direction": "bidirectional", "domain": "com.microsoft"}
    made = model(
        [helper.make_node("DynamicQuantizeLSTM", names, ["out"], **attributes)], constants, {"x": [None, 1, size]}
    )
    plain = graph.to_float(copy(made))
    x = GENERATOR.normal(0, 1, (6, 1, size))
    before, after = run(made, x=x), run(plain, x=x)
    assert after.shape == (6, 2, 1, hidden)
    assert np.abs(after - before).max() < 0.02
    assert [node.op_type for node in plain.graph.node] == ["LSTM"]
    assert plain.graph.node[0].domain == ""


def test_only_squared_sines_become_polynomials():
    two = numpy_helper.from_array(np.float32(2), "two")
    nodes = [
        helper.make_node("Sin", ["x"], ["squared_next"]),
        helper.make_node("Pow", ["squared_next", "two"], ["square"]),
        helper.make_node("Sin", ["x"], ["kept"]),
        helper.make_node("Add", ["square", "kept"], ["out"]),
    ]
    made = model(nodes, [two], {"x": [None]})
    fast = graph.with_fast_sines(copy(made))
    assert sum(node.op_type == "Sin" for node in fast.graph.node) == 1
    x = np.linspace(-300, 300, 4_001)
    assert np.abs(run(fast, x=x) - run(made, x=x)).max() < 1e-4
    near = np.linspace(-6, 6, 4_001)
    assert np.abs(run(fast, x=near) - run(made, x=near)).max() < 6e-6


def test_the_polynomial_is_a_sine_to_two_millionths():
    r = np.linspace(-0.5, 0.5, 999)
    made = sum(c * r**power for power, c in zip(graph.SINE_POWERS, graph.sine_coefficients(), strict=True))
    assert np.abs(made - np.sin(np.pi * r)).max() < 2e-6


@pytest.mark.parametrize(("stride", "pads"), [(4, [2, 2]), (3, [1, 2]), (2, [0, 0])])
def test_transposed_convolutions_become_plain_ones(stride, pads):
    node = helper.make_node(
        "ConvTranspose", ["x", "w", "b"], ["out"], kernel_shape=[2 * stride], strides=[stride], pads=pads
    )
    made = model([node], [tensor("w", 5, 3, 2 * stride), tensor("b", 3)], {"x": [1, 5, None]})
    plain = graph.with_plain_upsampling(copy(made))
    assert "ConvTranspose" not in {each.op_type for each in plain.graph.node}
    x = GENERATOR.normal(0, 1, (1, 5, 11))
    before, after = run(made, x=x), run(plain, x=x)
    assert after.shape == before.shape
    assert np.abs(after - before).max() < 1e-5


def test_other_transposed_convolutions_stay():
    node = helper.make_node("ConvTranspose", ["x", "w", "b"], ["out"], kernel_shape=[5], strides=[2], pads=[0, 0])
    made = model([node], [tensor("w", 5, 3, 5), tensor("b", 3)], {"x": [1, 5, None]})
    assert [each.op_type for each in graph.with_plain_upsampling(made).graph.node] == ["ConvTranspose"]


def test_parts_in_turn_compute_what_the_whole_does():
    nodes = [
        helper.make_node("Mul", ["x", "a"], ["middle"]),
        helper.make_node("Add", ["x", "b"], ["beside"]),
        helper.make_node("Mul", ["middle", "beside"], ["out"]),
    ]
    made = model(nodes, [tensor("a", 1), tensor("b", 1)], {"x": [None]})
    first = graph.extract(made, ["x"], ["middle"])
    second = graph.extract(made, ["x", "middle"], ["out"])
    assert [i.name for i in first.graph.initializer] == ["a"]
    assert [i.name for i in second.graph.initializer] == ["b"]
    x = GENERATOR.normal(0, 1, 6)
    assert run(second, x=x, middle=run(first, x=x)) == pytest.approx(run(made, x=x))


def transform():
    """The source's spectrum as the published graph has it: frames of 8 samples, 3 apart, and where it is above zero."""
    constants = [
        numpy_helper.from_array(np.array(3, np.int64), "step"),
        numpy_helper.from_array(np.hanning(9)[:8].astype(np.float32), "window"),
        numpy_helper.from_array(np.array(8, np.int64), "length"),
        numpy_helper.from_array(np.array(0, np.float32), "zero"),
    ]
    nodes = [
        helper.make_node("STFT", ["wave", "step", "window", "length"], ["bins"], onesided=1),
        helper.make_node("Greater", ["bins", "zero"], ["above"], name=graph.ABOVE_ZERO),
        helper.make_node("Cast", ["above"], ["out"], to=1),
    ]
    return model(nodes, constants, {"wave": (1, "samples")}, ("bins", "out"))


def test_the_source_has_the_spectrum_that_it_had_and_real_bins_are_exactly_real():
    wave = GENERATOR.normal(0, 1, (1, 50))
    bins = run(graph.with_true_phase(transform()), wave=wave)
    frames = np.lib.stride_tricks.sliding_window_view(wave[0], 8)[::3] * np.hanning(9)[:8]
    wanted = np.fft.rfft(frames)
    assert bins.shape == (1, len(frames), 5, 2)
    np.testing.assert_allclose(bins[0, ..., 0] + 1j * bins[0, ..., 1], wanted, atol=1e-5)
    assert not bins[0, :, [0, 4], 1].any()


def test_an_imaginary_part_of_zero_counts_as_above():
    made = graph.with_true_phase(transform())
    del made.graph.output[0]
    above = run(made, wave=-np.ones((1, 20)))
    assert above[..., [0, 4], 1].all()
    assert not above[..., 0, 0].any()


def test_durations_pitch_and_energy_are_told_once():
    made = model(
        [helper.make_node("Identity", ["x"], [name]) for name in graph.TRACKS], [], {"x": [None]}, graph.TRACKS[:1]
    )
    assert [o.name for o in graph.with_tracks(made).graph.output] == list(graph.TRACKS)
