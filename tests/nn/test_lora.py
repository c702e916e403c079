"""An adapter begins as nothing, learns beside frozen weights, and merges into them."""

import pytest
import torch
from torch import nn

from parlando.core.config import from_mapping
from parlando.core.errors import ConfigError
from parlando.nn.lora import LoRAConfig, LoRALinear, adapt, adapted_layers, merge, merged_state, without_adapter
from parlando.nn.packing import pack


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.q_proj, self.k_proj = nn.Linear(6, 4), nn.Linear(6, 4, bias=False)
        self.mlp, self.table = nn.Sequential(nn.Linear(4, 6, bias=False)), nn.Embedding(5, 6)

    def forward(self, x):
        return self.mlp(self.q_proj(x) + self.k_proj(x)) + self.table.weight.sum(0)


def trained(block, config):
    adapt(block, config)
    for layer in adapted_layers(block).values():
        nn.init.normal_(layer.lora_B.weight)
    return block


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_an_adapter_begins_as_nothing_and_is_a_product_of_two_thin_weights(dropout):
    torch.manual_seed(0)
    block, x = Block(), torch.randn(3, 6)
    before, weight = block(x), block.q_proj.weight.detach().clone()
    assert adapt(block, LoRAConfig(2, 8.0, dropout, ("q_proj",))) == ["q_proj"]
    assert torch.equal(block.train()(x), before)
    layer = block.q_proj
    nn.init.normal_(layer.lora_B.weight)
    update = 8.0 / 2 * layer.lora_B.weight @ layer.lora_A.weight
    torch.testing.assert_close(layer.eval()(x), x @ (weight + update).T + layer.bias)
    assert {name for name, p in block.named_parameters() if p.requires_grad} == {
        "q_proj.lora_A.weight",
        "q_proj.lora_B.weight",
    }


def test_only_its_input_is_dropped_out():
    layer = LoRALinear(nn.Linear(6, 4), 2, 1.0, dropout=1.0).train()
    nn.init.normal_(layer.lora_B.weight)
    x = torch.randn(3, 6)
    assert torch.equal(layer(x), nn.functional.linear(x, layer.weight, layer.bias))


def test_merged_it_computes_the_same_under_the_names_of_before():
    torch.manual_seed(1)
    names, x = set(Block().state_dict()), torch.randn(3, 6)
    block = trained(Block(), LoRAConfig(3, targets=("*_proj", "mlp.*")))
    y, state = block(x), merged_state(block)
    assert set(state) == names
    merge(block)
    assert not adapted_layers(block)
    assert set(block.state_dict()) == names
    assert all(torch.equal(state[name], tensor) for name, tensor in block.state_dict().items())
    torch.testing.assert_close(block(x), y)


def test_half_precision_is_merged_in_float32_and_kept():
    layer = LoRALinear(nn.Linear(6, 4).half(), 2, 0.5)
    nn.init.normal_(layer.lora_B.weight)
    exact = layer.weight.float() + 0.5 * layer.lora_B.weight.float() @ layer.lora_A.weight.float()
    assert torch.equal(layer.merge_in().weight, exact.half())


def test_a_whole_module_may_learn_beside_it():
    block = Block()
    adapt(block, LoRAConfig(1, targets=("*_proj",), whole=("table",)))
    assert block.table.weight.requires_grad
    assert not block.mlp[0].weight.requires_grad


@pytest.mark.parametrize("linears", ["q_proj", "k_proj q_proj k_proj"])
def test_packed_layers_have_their_adapters_side_by_side(linears):
    torch.manual_seed(2)
    block, x = trained(Block(), LoRAConfig(2, targets=("q_proj",))), torch.randn(3, 6)
    layers = [getattr(block, name) for name in linears.split()]
    joined = torch.cat([layer(x) - (0 if layer.bias is None else layer.bias) for layer in layers], dim=1)
    packed = pack(layers)
    torch.testing.assert_close(packed.mm(x), joined)
    torch.testing.assert_close(packed.addmm(torch.ones(joined.shape[1]), x), joined + 1)
    assert pack([block.k_proj]).thin is None


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (LoRAConfig(1, targets=("q_porj",)), r"adapter\.targets: nothing is called 'q_porj'.*[Dd]id you mean 'q_proj'"),
        (LoRAConfig(1, targets=("q_proj", "v_proj")), r"adapter\.targets: nothing is called 'v_proj'"),
        (LoRAConfig(5), r"adapter\.targets: nothing is called 'v_proj'"),
        (LoRAConfig(5, targets=("k_proj",)), r"adapter\.rank: 5 is more than 'k_proj' has; use at most 4"),
        (LoRAConfig(1, targets=("k_proj",), whole=("tabel",)), r"adapter\.whole: nothing is called 'tabel'"),
    ],
)
def test_a_target_or_rank_that_does_not_exist_is_named(config, message):
    block = Block()
    with pytest.raises(ConfigError, match=message):
        adapt(block, config)
    assert all(parameter.requires_grad for parameter in block.parameters())


@pytest.mark.parametrize("table", [{"rank": 0}, {"rank": -1}, {"alpha": 0.0}, {"dropout": 1.5}])
def test_a_recipe_asks_for_nothing_impossible(table):
    with pytest.raises(ConfigError, match=rf"recipe\.adapter\.{next(iter(table))}: .* is out of range"):
        from_mapping(LoRAConfig, table, "recipe.adapter")


def test_without_its_adapter_a_module_is_what_it_was():
    torch.manual_seed(0)
    block, x = Block(), torch.randn(3, 6)
    before = block(x)
    trained(block, LoRAConfig(2, 8.0, 0.5, ("q_proj", "k_proj")))
    with without_adapter(block):
        assert torch.equal(block(x), before)
    assert not torch.allclose(block.eval()(x), before)
