"""Layers in few bits against those they were made of, joined ones against single ones, and what cannot be."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from parlando.core.errors import ConfigError
from parlando.nn.lora import LoRAConfig, adapt
from parlando.nn.native.tiles import Tiled, has_tiles
from parlando.nn.packing import FEW_ROWS, pack
from parlando.nn.quantized import (
    QuantizedEmbedding,
    QuantizedLinear,
    check_arithmetic,
    check_kind,
    is_quantized,
    quantize,
    summed_rows,
)

KINDS = ("int8", "int4", "fp8")
NEAR = {"int8": 0.012, "int4": 0.1, "fp8": 0.04, "half": 0.001}  # of the results' norm


def net(inputs=64, outputs=80):
    torch.manual_seed(0)
    return nn.ModuleDict(
        {"table": nn.Embedding(40, inputs), "first": nn.Linear(inputs, outputs), "norm": nn.LayerNorm(8)}
    )


def distance(found, meant):
    return ((found - meant).norm() / meant.norm()).item()


@pytest.mark.parametrize("kind", [*KINDS, "half"])
def test_layers_are_exchanged_and_compute_nearly_the_same(kind):
    plain, few = net(), net()
    quantize(few, kind)
    assert isinstance(few["first"], QuantizedLinear)
    assert isinstance(few["table"], nn.Embedding if kind == "half" else QuantizedEmbedding)
    x, ids = torch.randn(3, 5, 64), torch.randint(40, (3, 8))
    with torch.inference_mode():
        assert distance(few["first"](x), plain["first"](x)) < NEAR[kind]
        assert torch.equal(few["first"].bias, plain["first"].bias)
        assert distance(few["table"](ids), plain["table"](ids)) < 0.012
        assert distance(summed_rows(few["table"], ids), plain["table"](ids).sum(-2)) < 0.012
    assert is_quantized(few)
    assert not is_quantized(plain)


@pytest.mark.parametrize("kind", KINDS)
def test_a_cast_module_computes_in_its_dtype_and_keeps_its_weights(kind):
    few = net()
    quantize(few, kind)
    kept, scale = few["first"].kept.clone(), few["first"].scale.clone()
    few.half().float().bfloat16()
    assert torch.equal(few["first"].kept, kept)
    assert torch.equal(few["first"].scale, scale)
    assert few["table"](torch.tensor([1, 2])).dtype == torch.bfloat16
    assert few["first"](torch.randn(2, 64).bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize("kind", [*KINDS, "half"])
def test_a_hollow_module_takes_the_tensors_of_a_filled_one(kind):
    filled, hollow = net(), net()
    quantize(filled, kind)
    quantize(hollow, kind, filled=False)
    assert hollow["first"].kept.is_meta
    hollow.load_state_dict(filled.state_dict(), assign=True)
    x = torch.randn(2, 64)
    assert torch.equal(hollow["first"](x), filled["first"](x))


@pytest.fixture
def no_matrix_units(monkeypatch):
    monkeypatch.setattr(Tiled, "fits", lambda *_: False)


@pytest.fixture(params=["as it is", "without matrix units"])
def processor(request):
    if request.param != "as it is":
        request.getfixturevalue("no_matrix_units")


@pytest.mark.usefixtures("processor")
@pytest.mark.parametrize("rows", [1, FEW_ROWS, FEW_ROWS + 1])
@pytest.mark.parametrize("kind", KINDS)
def test_joined_layers_are_the_single_ones_side_by_side(kind, rows):
    torch.manual_seed(1)
    holder = nn.ModuleList(nn.Linear(64, outputs, bias=False) for outputs in (64, 10, 130))
    quantize(holder, kind)
    x, to = torch.randn(rows, 64), torch.randn(rows, 204)
    with torch.inference_mode():
        apart = torch.cat([layer(x) for layer in holder], dim=1)
        state = {name: tensor.clone() for name, tensor in holder.state_dict().items()}
        joined = pack(list(holder))
        assert distance(joined.mm(x), apart) < (0.05 if kind == "fp8" else 0.015)
        assert torch.equal(joined.addmm(to, x), joined.mm(x) + to)
    assert all(torch.equal(tensor, state[name]) for name, tensor in holder.state_dict().items())


def test_joined_tensors_are_held_once():
    holder = nn.ModuleList(nn.Linear(64, 64, bias=False) for _ in range(2))
    for kind in ("int8", "int4"):
        few = nn.ModuleList(nn.Linear(64, 64, bias=False) for _ in holder)
        quantize(few, kind)
        pack(list(few))
        assert few[0].kept.untyped_storage().data_ptr() == few[1].kept.untyped_storage().data_ptr()


@pytest.mark.usefixtures("no_matrix_units")
def test_many_rows_are_exact_products_with_the_widened_weights():
    layer = nn.ModuleList([nn.Linear(64, 64, bias=False)])
    quantize(layer, "int8")
    x = torch.randn(FEW_ROWS + 1, 64)
    assert torch.equal(pack(list(layer)).mm(x), functional.linear(x, layer[0].dense(torch.float32)))


@pytest.mark.skipif(not has_tiles(), reason="this processor has no matrix units")
@pytest.mark.parametrize("kind", [None, "int8", "int4"])
def test_matrix_units_keep_any_number_of_rows_apart(kind):
    torch.manual_seed(2)
    layers = nn.ModuleList(nn.Linear(64, outputs, bias=False) for outputs in (64, 10, 130)).bfloat16()
    if kind is not None:
        quantize(layers, kind)
    joined = pack(list(layers))
    assert joined.rows_apart
    x, to = torch.randn(FEW_ROWS + 3, 64).bfloat16(), torch.randn(FEW_ROWS + 3, 204).bfloat16()
    assert torch.equal(joined.mm(x), torch.cat([joined.mm(row[None]) for row in x]))
    added = torch.cat([joined.addmm(there[None], row[None]) for there, row in zip(to, x, strict=True)])
    assert torch.equal(joined.addmm(to, x), added)


@pytest.mark.skipif(not has_tiles(), reason="this processor has no matrix units")
def test_narrow_layers_become_views_of_what_matrix_units_read():
    torch.manual_seed(3)
    layers = nn.ModuleList(nn.Linear(64, outputs, bias=False) for outputs in (64, 10)).bfloat16()
    weights = [layer.weight.clone() for layer in layers]
    joined = pack(list(layers))
    assert all(torch.equal(layer.weight, weight) for layer, weight in zip(layers, weights, strict=True))
    assert layers[0].weight.untyped_storage().data_ptr() == layers[1].weight.untyped_storage().data_ptr()
    x = torch.randn(5, 64).bfloat16()
    assert distance(joined.mm(x), torch.cat([layer(x) for layer in layers], dim=1)) < 0.005


@pytest.mark.usefixtures("no_matrix_units")
def test_other_products_promise_nothing_of_more_rows():
    for kind in (None, "int8", "int4"):
        layers = nn.ModuleList([nn.Linear(64, 64, bias=False)]).bfloat16()
        if kind is not None:
            quantize(layers, kind)
        assert not pack(list(layers)).rows_apart


def test_what_cannot_be_is_refused():
    check_kind("int8", None, "model 'm'")
    check_kind(None, "int4", "model 'm'")
    check_kind("int4", "int4", "model 'm'")
    with pytest.raises(ConfigError, match="model 'm' is stored as int8 and cannot become int4; take it in full"):
        check_kind("int4", "int8", "model 'm'")
    with pytest.raises(ConfigError, match="model 'm': fp8 needs a GPU .* use int8"):
        check_arithmetic("fp8", torch.device("cpu"), "model 'm'")
    check_arithmetic("int8", torch.device("cpu"), "model 'm'")
    adapted = net()
    adapt(adapted, LoRAConfig(rank=2, targets=("first",)))
    with pytest.raises(ConfigError, match="an adapter beside the weights cannot be quantised; merge it"):
        quantize(adapted, "int8")
