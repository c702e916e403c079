"""A compiled stack of blocks that see three neighbouring frames: its weights as the kernel wants them, and the call.

Such a stack is ten operations a block in PyTorch, between which a thread has to win the interpreter back from others
that step a model; compiled, it is one call that holds nobody up. Frames are computed alike wherever they are in it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from parlando.nn.native.kernel import Matrix, Panels
from parlando.nn.native.library import constant, library

_Address = ctypes.c_void_p
_Count = ctypes.c_int64


class _Block(ctypes.Structure):
    _fields_ = (
        *((name, _Address) for name in ("scale", "shift")),
        *(("widen", Matrix), ("widen_bias", _Address)),
        *(("narrow", Matrix), ("narrow_bias", _Address)),
    )


@dataclass(frozen=True)
class BlockWeights:
    """Norm and two layers of a block; matrices are [input, output], three frames of input side by side."""

    scale: Float[Tensor, " dim"]
    shift: Float[Tensor, " dim"]
    widen: Float[Tensor, "three_dim inner"]
    widen_bias: Float[Tensor, " inner"]
    narrow: Float[Tensor, "inner dim"]
    narrow_bias: Float[Tensor, " dim"]


class NeighbourStack:
    """Several blocks of one size, packed: copies of their weights. Any number of threads may call it at once."""

    def __init__(self, blocks: Sequence[BlockWeights], epsilon: float) -> None:
        code = library()
        assert code is not None, "there is no compiled kernel"
        self._code, self._epsilon = code, epsilon
        self._held: list[Any] = []
        self._inner, self._dim = blocks[0].narrow.shape
        self._blocks = (_Block * len(blocks))(*(self._pack(block) for block in blocks))
        self._block_room = constant("rows") * (self._inner + max(self._inner, 3 * self._dim))

    @staticmethod
    def fits(dim: int, inner: int, weights: Tensor) -> bool:
        """Whether there is a kernel for such blocks."""
        lanes = constant("lanes")
        is_plain = (weights.device.type, weights.dtype) == ("cpu", torch.float32)
        return bool(lanes) and is_plain and dim % lanes == 0 and inner % lanes == 0

    def __call__(self, x: Float[Tensor, "frame dim"]) -> Float[Tensor, "frame dim"]:
        """What the blocks make of frames; beyond the first and the last are zeros."""
        # Whatever autocast and the default type are: the kernel reads and writes float32.
        out, frames = x.to(torch.float32, memory_format=torch.contiguous_format, copy=True), len(x)
        room = torch.empty((frames + 2) * self._dim + self._block_room, dtype=torch.float32, device="cpu")
        self._code.parlando_neighbours(
            self._blocks,
            _Count(len(self._blocks)),
            _Count(self._dim),
            _Count(self._inner),
            ctypes.c_double(self._epsilon),
            _Count(frames),
            _Address(out.data_ptr()),
            _Address(room.data_ptr()),
        )
        return out

    def _pack(self, block: BlockWeights) -> _Block:
        return _Block(
            self._keep(block.scale),
            self._keep(block.shift),
            self._matrix(block.widen),
            self._keep(block.widen_bias),
            self._matrix(block.narrow),
            self._keep(block.narrow_bias),
        )

    def _matrix(self, matrix: Tensor) -> Matrix:
        self._held.append(Panels(matrix))
        return self._held[-1].matrix

    def _keep(self, tensor: Tensor) -> int:
        self._held.append(tensor.detach().contiguous())
        return int(self._held[-1].data_ptr())
