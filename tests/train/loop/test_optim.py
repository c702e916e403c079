import pytest
import torch
from torch import nn

from parlando.core.config import from_mapping
from parlando.core.errors import ConfigError
from parlando.train.loop.optim import OptimConfig, advance, clip_gradients, make_optimizer


@pytest.mark.parametrize(("progress", "rate"), [(0.0, 0.02), (0.05, 0.5), (0.1, 1.0), (0.55, 0.6), (1.0, 0.2)])
def test_the_rate_warms_up_and_decays_linearly(progress, rate):
    config = OptimConfig(rate=1.0, warmup=0.1, final=0.2)
    assert config.rate_at(progress) == pytest.approx(rate)


@pytest.mark.parametrize(("progress", "rate"), [(0.1, 1.0), (0.325, 0.8828), (0.55, 0.6), (1.0, 0.2)])
def test_the_cosine_decays_between_the_same_ends(progress, rate):
    config = OptimConfig(rate=1.0, warmup=0.1, final=0.2, decay="cosine")
    assert config.rate_at(progress) == pytest.approx(rate, abs=1e-4)


def test_only_matrices_decay_and_frozen_weights_are_left_out():
    module = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3), nn.Linear(3, 1))
    module[2].requires_grad_(False)
    matrices, rest = make_optimizer(module, OptimConfig(weight_decay=0.3)).param_groups
    assert (matrices["weight_decay"], [tuple(p.shape) for p in matrices["params"]]) == (0.3, [(3, 2)])
    assert (rest["weight_decay"], len(rest["params"])) == (0.0, 3)


def test_gradients_are_clipped_applied_and_cleared():
    module = nn.Linear(2, 1, bias=False)
    config = OptimConfig(rate=0.1, warmup=0.0, final=1.0, weight_decay=0.0, clip=0.5)
    optimizer, before = make_optimizer(module, config), module.weight.detach().clone()
    module.weight.grad = torch.tensor([[3.0, 4.0]])
    assert clip_gradients(module.parameters(), config.clip) == pytest.approx(5.0)
    assert torch.allclose(module.weight.grad, torch.tensor([[0.3, 0.4]]))
    advance(optimizer, config.rate_at(0.5))
    assert optimizer.param_groups[0]["lr"] == optimizer.param_groups[1]["lr"] == 0.1
    assert torch.allclose(before - module.weight, torch.tensor([[0.1, 0.1]]), atol=1e-4)
    assert module.weight.grad is None
    moment = optimizer.state[module.weight]["exp_avg"]
    assert torch.allclose(moment, 0.1 * 0.5 * torch.tensor([[0.6, 0.8]]), atol=1e-5)


def test_a_misspelt_decay_is_refused():
    with pytest.raises(ConfigError, match=r"optim\.decay: .*'liner'.*linear"):
        from_mapping(OptimConfig, {"decay": "liner"}, "optim")
