"""Reading ONNX files: the published layouts give back what was exported; anything else is a clear error."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import onnx_writer as onnx
from cosyvoice_front import golden, small_campplus, small_tokenizer
from parlando.core.errors import CheckpointError, FileMissingError
from parlando.models.cosyvoice.parts.onnx_weights import (
    read_campplus,
    read_onnx,
    read_speech_tokenizer,
    tensors_by_module,
    unfold_norms,
)

FOLDS = {f"head.conv{i}": f"head.bn{i}" for i in (1, 2)}
FOLDS |= {f"head.layer{a}.{b}.conv{i}": f"head.layer{a}.{b}.bn{i}" for a in (1, 2) for b in (0, 1) for i in (1, 2)}
FOLDS |= {f"head.layer{a}.0.shortcut.0": f"head.layer{a}.0.shortcut.1" for a in (1, 2)}
FOLDS |= {"xvector.tdnn.linear": "xvector.tdnn.nonlinear.batchnorm"}
FOLDS |= {"xvector.transit3.linear": "xvector.out_nonlinear.batchnorm"}
FOLDS |= {
    f"xvector.block{block + 1}.tdnnd{i + 1}.linear1": f"xvector.block{block + 1}.tdnnd{i + 1}.nonlinear2.batchnorm"
    for block, count in enumerate((12, 24, 16))
    for i in range(count)
}


@pytest.fixture(scope="module")
def tokenizer_file(tmp_path_factory):
    return onnx.write_speech_tokenizer(small_tokenizer(), tmp_path_factory.mktemp("onnx") / "speech_tokenizer_v2.onnx")


@pytest.fixture(scope="module")
def campplus_file(tmp_path_factory):
    return onnx.write_campplus(small_campplus(), tmp_path_factory.mktemp("onnx") / "campplus.onnx", FOLDS)


def test_the_tokenizer_comes_back_exactly(tokenizer_file):
    made, small = read_speech_tokenizer(tokenizer_file, small_tokenizer().config), small_tokenizer()
    found = made.state_dict()
    assert all(torch.equal(found[key], tensor) for key, tensor in small.state_dict().items())
    io = golden("speech_tokenizer_io")
    assert torch.equal(made.encode_mels([io["log_mel"][0]])[0], io["codes"][0].long())
    assert not made.training


def test_the_speaker_encoder_computes_the_same_although_norms_were_folded(campplus_file):
    assert len(read_onnx(campplus_file).tensors) == 617 + 1
    made = read_campplus(campplus_file, small_campplus().config)
    io = golden("frontend_io")
    assert (made(io["fbank_80"][None]) - io["campplus_embedding"]).abs().max() < 1e-4
    assert made.state_dict().keys() == small_campplus().state_dict().keys()


def test_a_speaker_encoder_whose_norms_were_left_alone_comes_back_exactly(tmp_path):
    path = onnx.write_campplus(small_campplus(), tmp_path / "campplus.onnx", {})
    found = read_campplus(path, small_campplus().config).state_dict()
    assert all(torch.equal(found[key], tensor) for key, tensor in small_campplus().state_dict().items())


def test_a_norm_without_weights_can_be_folded_too():
    folded = unfold_norms({"xvector.dense.linear.bias": torch.tensor([1.0, -2.0])})
    assert folded.keys() == {f"xvector.dense.nonlinear.batchnorm.running_{name}" for name in ("mean", "var")}


@pytest.mark.parametrize(
    ("read", "file"), [(read_speech_tokenizer, "campplus_file"), (read_campplus, "tokenizer_file")]
)
def test_the_other_file_is_not_the_expected_graph(request, read, file):
    with pytest.raises(CheckpointError, match=r"onnx: not the graph of CosyVoice2's \w+: .* missing: .* unexpected: "):
        read(request.getfixturevalue(file))


def test_another_size_than_the_config_names_the_tensors(tokenizer_file):
    deeper = replace(small_tokenizer().config, num_layers=3)
    with pytest.raises(CheckpointError, match=r"missing: encoder\.blocks\.2\.attn\.fsmn_block\.weight"):
        read_speech_tokenizer(tokenizer_file, deeper)
    shorter = replace(small_tokenizer().config, memory_kernel=11)
    with pytest.raises(CheckpointError, match=r"misshapen: .*fsmn_block\.weight is \[128, 1, 31\], not \[128, 1, 11\]"):
        read_speech_tokenizer(tokenizer_file, shorter)


@pytest.mark.parametrize("kept", [0, 1, 10, 5_000, -1])
def test_a_file_cut_off_anywhere_is_not_whole(tokenizer_file, tmp_path, kept):
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(tokenizer_file.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match=r"cut\.onnx: not a whole ONNX file .*; fetch the file again"):
        read_speech_tokenizer(cut)


@pytest.mark.parametrize(
    "content",
    [
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
        b"<!DOCTYPE html>",
        onnx.plain(7, 5),
        onnx.message(7, onnx.plain(1, 1 << 62)),
        onnx.message(7, onnx.message(5, onnx.plain(8, 1 << 62))),
        onnx.message(7, onnx.message(1, onnx.message(3, "no operator"))),
        onnx.message(7, onnx.message(5, onnx.tensor("w", np.ones(3, np.float32))[:-13] + onnx.message(9, b"123"))),
        b"\xff" * 20,
        b"\x0b",
    ],
)
def test_anything_else_is_not_an_onnx_file(tmp_path, content):
    path = tmp_path / "other.onnx"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="not a whole ONNX file"):
        read_onnx(path)


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(FileMissingError, match=r"no ONNX file at .*campplus\.onnx"):
        read_campplus(tmp_path / "campplus.onnx")


def test_numbers_that_are_not_finite_are_refused(tmp_path):
    config = replace(small_tokenizer().config, num_layers=0)
    broken = type(small_tokenizer())(config)
    torch.nn.init.constant_(broken.encoder.conv2.bias, float("nan"))
    path = onnx.write_speech_tokenizer(broken, tmp_path / "broken.onnx")
    with pytest.raises(CheckpointError, match=r"broken\.onnx: not finite: encoder\.conv2\.bias"):
        read_speech_tokenizer(path, config)


def test_tensors_in_a_second_file_are_refused(tmp_path):
    path = tmp_path / "split.onnx"
    external = onnx.tensor("big", np.zeros(0, np.float32)) + onnx.message(13, onnx.message(1, "location"))
    path.write_bytes(onnx.model([], [external]))
    with pytest.raises(CheckpointError, match="'big' is kept in a second file"):
        read_onnx(path)


def test_every_spelling_of_a_tensor_is_read(tmp_path):
    path, values = tmp_path / "spellings.onnx", np.arange(6, dtype=np.float32).reshape(2, 3)
    path.write_bytes(
        onnx.model(
            [],
            [
                onnx.tensor("raw", values),
                onnx.tensor("packed", values, packed_dims=True),
                onnx.tensor("listed", values, field=4),
                onnx.tensor("half", values.astype(np.float16), onnx.HALF),
                onnx.tensor("double", values.astype(np.float64), 11, field=10),
                onnx.tensor("whole", values.astype(np.int64), onnx.INT64),
            ],
        )
    )
    tensors = read_onnx(path).tensors
    assert tensors.keys() == {"raw", "packed", "listed", "half", "double"}
    assert all(torch.equal(tensor, torch.from_numpy(values)) for tensor in tensors.values())


def test_names_come_from_nodes_through_aliases_and_unnamed_nodes(tmp_path):
    path, row = tmp_path / "names.onnx", np.arange(3, dtype=np.float32)
    nodes = [
        onnx.node("Identity", "Identity_7", ["shared"], "alias"),
        onnx.node("Mul", "/blocks.0/attn_ln/Mul", ["previous", "shared"]),
        onnx.node("Add", "/blocks.0/attn_ln/Add_1", ["alias", "previous"]),
        onnx.node("Conv", "", ["previous", "opaque"], "/conv1/Conv_output_0"),
    ]
    tensors = [onnx.tensor(name, row) for name in ("shared", "opaque", "stray")]
    path.write_bytes(onnx.model(nodes, tensors))
    assert tensors_by_module(read_onnx(path)).keys() == {
        "blocks.0.attn_ln.weight",
        "blocks.0.attn_ln.bias",
        "conv1.weight",
        "stray",
    }
