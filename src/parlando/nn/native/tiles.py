"""Products of rows with large matrices on a processor's matrix units: the weights as they are kept, and the calls.

PyTorch's own products with few bits take nearly as long for each further row as for the first, and those in bfloat16
lay out their weights anew for every call. These read every weight once for all rows.
"""

from __future__ import annotations

import ctypes
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from parlando.nn.native.library import constant, library

KINDS = ("bfloat16", "int8", "int4")
"""How weights may be kept, in the order of the compiled code."""

_Address = ctypes.c_void_p
_Count = ctypes.c_int64


class _Large(ctypes.Structure):
    _fields_ = (
        *((name, _Address) for name in ("weights", "scales")),
        *((name, _Count) for name in ("kind", "inputs", "outputs")),
    )


class _Product(ctypes.Structure):
    _fields_ = (
        ("matrix", ctypes.POINTER(_Large)),
        *((name, _Address) for name in ("rows", "to", "out", "row_sums", "tiles", "room")),
        *((name, _Count) for name in ("many", "to_stride", "is_wide", "threads")),
    )


@cache
def has_tiles() -> bool:
    """Whether this processor has matrix units for bfloat16, and this installation the code for them."""
    code = library()
    return code is not None and bool(code.parlando_has_tiles())


class Tiled:
    """A matrix as it is kept (`nn.few_bits`, or [output, input] in bfloat16), never copied, and the product with it.

    Rows are rounded to bfloat16, weights are not, and sums are of float32; results come in the dtype of the rows. A
    row's numbers do not depend on how many rows there are. Any number of threads may call it at once.
    """

    def __init__(self, kind: str, weights: Tensor, scales: Tensor | None, outputs: int) -> None:
        self.outputs, self._inputs = outputs, weights.shape[1]
        assert self.fits(weights, self._inputs), "this processor has no such product"
        self._weights, self._scales = weights.contiguous(), None if scales is None else scales.contiguous()
        self._matrix = _Large(
            _address(self._weights), _address(self._scales), KINDS.index(kind), self._inputs, self.outputs
        )

    @staticmethod
    def fits(weights: Tensor, inputs: int) -> bool:
        """Whether there is such a product for a matrix of so many inputs."""
        return weights.device.type == "cpu" and has_tiles() and inputs % _sizes()[1] == 0

    def __call__(self, x: Float[Tensor, "row input"], to: Tensor | None = None) -> Float[Tensor, "row output"]:
        """The product, added to something of its size, or to a bias, before it is rounded."""
        assert x.shape[1:] == (self._inputs,)
        assert to is None or to.shape in ((self.outputs,), (len(x), self.outputs))
        dtype = x.dtype if x.dtype == torch.bfloat16 else torch.float32
        rows, threads = x.bfloat16().contiguous(), torch.get_num_threads()
        beside = None if to is None else to.to(dtype).contiguous()
        out = torch.empty(len(x), self.outputs, dtype=dtype, device="cpu")
        if not len(x):
            return out.to(x.dtype)
        side, depth, stripe = _sizes()
        padded = -(-len(x) // side) * side
        row_sums = torch.empty(padded * self._inputs // depth, dtype=torch.float32, device="cpu")
        room = torch.empty(padded + threads * stripe, self._inputs, dtype=torch.bfloat16, device="cpu")
        addresses = (_address(each) for each in (rows, beside, out, row_sums, room, room[padded:]))
        to_stride = 0 if beside is None or beside.dim() == 1 else self.outputs
        code = library()
        assert code is not None
        code.parlando_tiles(
            ctypes.byref(
                _Product(ctypes.pointer(self._matrix), *addresses, len(x), to_stride, dtype == torch.float32, threads)
            )
        )
        return out.to(x.dtype)


@cache
def _sizes() -> tuple[int, int, int]:
    """Rows and inputs of a tile, and outputs that are multiplied at a time."""
    return constant("tile_side"), constant("tile_inputs"), constant("stripe")


def _address(tensor: Tensor | None) -> int | None:
    return None if tensor is None else int(tensor.data_ptr())
