"""What of a module learns: all of it, the parameters that patterns name, or an adapter; and what of it is kept."""

from __future__ import annotations

from torch import Tensor, nn

from parlando.core.errors import ConfigError
from parlando.nn.lora import LoRAConfig, adapt, chosen

EVERYTHING = ("*",)


def choose_trainable(
    module: nn.Module, patterns: tuple[str, ...] = EVERYTHING, adapter: LoRAConfig | None = None
) -> None:
    """Freeze what does not learn: with an adapter all but that, else all but what the patterns name.

    Raises:
        ConfigError: nothing has such a name, or both were given.
    """
    if adapter is not None:
        if patterns != EVERYTHING:
            raise ConfigError("trainable: with an adapter only that learns; name further modules in adapter.whole")
        adapt(module, adapter)
        return
    parameters = dict(module.named_parameters())
    module.requires_grad_(False)
    for name in chosen(parameters, patterns, "trainable"):
        parameters[name].requires_grad_(True)


def frozen_names(module: nn.Module) -> frozenset[str]:
    """The parameters of a module that do not learn."""
    return frozenset(name for name, parameter in module.named_parameters() if not parameter.requires_grad)


def learned_state(module: nn.Module, frozen: frozenset[str]) -> dict[str, Tensor]:
    """A module's state dict without its frozen parameters: those come again from what the training started from."""
    return {name: tensor for name, tensor in module.state_dict().items() if name not in frozen}
