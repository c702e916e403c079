"""What codes have in common: a part of their embedding for every value of every digit."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

from parlando.core.errors import ConfigError
from parlando.models.cosyvoice.parts.mbr import place_values

_SHARING = ".parametrizations."


def digits_of_codes(codes: int, levels: int) -> Float[Tensor, "code value"]:
    """For every code a one at each of its digits' values, zeros elsewhere.

    Raises:
        ConfigError: the codes are no such numbers.
    """
    places = torch.from_numpy(place_values(codes, levels))
    if levels ** len(places) != codes:
        raise ConfigError(f"code_levels = {levels} is not valid for {codes} codes, which must be a power of it; use 1")
    return functional.one_hot(torch.arange(codes)[:, None] // places % levels, levels).flatten(1).float()


class SharedRows(nn.Module):
    """A table's own rows, and what codes with a digit in common share; nothing at first."""

    one_hot: Tensor

    def __init__(self, codes: int, levels: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("one_hot", digits_of_codes(codes, levels), persistent=False)
        self.shared = nn.Parameter(torch.zeros(self.one_hot.shape[1], dim))

    def forward(self, rows: Float[Tensor, "code dim"]) -> Float[Tensor, "code dim"]:
        """The rows as they are read."""
        return rows + self.one_hot @ self.shared


def share_digits(table: nn.Embedding, codes: int, levels: int) -> None:
    """Have an embedding of codes share what its codes have in common, while it learns.

    Raises:
        ConfigError: the codes are no numbers of digits with so many values.
    """
    parametrize.register_parametrization(table, "weight", SharedRows(codes, levels, table.embedding_dim))


def merged(module: nn.Module) -> dict[str, Tensor]:
    """A module's tensors by name, its embeddings plain tables again."""
    tensors = {name: tensor for name, tensor in module.state_dict().items() if _SHARING not in name}
    for name, part in module.named_modules():
        if parametrize.is_parametrized(part):
            tensors[f"{name}.weight"] = part.weight.detach()
    return tensors
