"""What a block adds to the residual stream, some of it dropped in training."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from parlando.nn.native import training


class Residual(nn.Module):
    """``x + dropout(added)``."""

    def __init__(self, share: float = 0.0) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Float[Tensor, "*rest dim"], added: Float[Tensor, "*rest dim"]) -> Float[Tensor, "*rest dim"]:
        """The stream after a block; in training mode, ``share`` of what is added is dropped."""
        share = self.share if self.training else 0.0
        if training.fits(x, x.shape[-1]) and training.is_plain(x) and training.is_narrow(added):
            return training.add(x, added, share)
        return x + functional.dropout(added, share)


def set_residual_dropout(module: nn.Module, share: float) -> None:
    """Have every `Residual` of a module drop this share, in training mode only."""
    for each in module.modules():
        if isinstance(each, Residual):
            each.share = share
