"""Weights of linear layers that read the same input, joined so that decoding makes one product instead of several."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

PANEL_OUTPUTS = 256
"""About so many outputs per panel; measured best for 1 to 8 rows on 2 MiB of second-level cache."""
LARGEST_IN_PANELS = 2**20
"""Elements of the largest matrix that is worth a second copy."""


def pack_linears(linears: Sequence[nn.Linear]) -> Float[Tensor, "inputs outputs"]:
    """One matrix ``w`` such that ``x @ w`` is the linears' outputs side by side (without their biases).

    The linears' own weights become views of it, so a packed model occupies its memory once and trains on as before.
    """
    joined = torch.cat([linear.weight.detach() for linear in linears])
    if joined.device.type == "cpu":
        # CPU kernels for few rows are up to ten times faster when the outputs are contiguous; GPUs prefer the opposite.
        joined = joined.t().contiguous().t()
    start = 0
    for linear in linears:
        linear.weight.data = joined[start : start + linear.out_features]
        start += linear.out_features
    return joined.t()


def into_panels(packed: Float[Tensor, "inputs outputs"]) -> Tensor:
    """Copy a small matrix on the CPU into [panel, inputs, width], each panel contiguous; others stay as they are.

    A product with few rows takes as long as reading the weights, and a panel touches far fewer memory pages at a time.
    """
    inputs, outputs = packed.shape
    count = round(outputs / PANEL_OUTPUTS)
    if packed.device.type != "cpu" or packed.numel() > LARGEST_IN_PANELS or count < 2 or outputs % count:
        return packed
    return packed.reshape(inputs, count, -1).transpose(0, 1).contiguous()


def multiply(x: Float[Tensor, "row inputs"], packed: Tensor) -> Float[Tensor, "row outputs"]:
    """``x`` times a packed matrix, in panels or not."""
    if packed.ndim == 2:
        return torch.mm(x, packed)
    return torch.bmm(x.expand(packed.shape[0], -1, -1), packed).transpose(0, 1).flatten(1)
