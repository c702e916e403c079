"""Matrices in fewer bits: how each kind keeps one, what it stands for, and how a processor multiplies few rows by it.

Rounding is to the nearest, without calibration. Scales are numbers of bfloat16, so that a matrix stands for the same
in every dtype. What is kept is always of an integer dtype, which casting a module leaves alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Literal, Protocol

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

Kind = Literal["int8", "int4", "fp8"]
"""What a model can be quantised to."""
Product = Callable[[Tensor], Tensor]

GROUP = 32  # inputs that share a scale in int4
BLOCK = 64  # outputs that int4 keeps together, as the processor's kernel reads them
_ALIGNED = 32  # the processor's kernels read so many inputs at a time
_LINE_BYTES = 64
_FP8 = torch.float8_e4m3fn


class Format(Protocol):
    """One way to keep matrices [output, input]; several are joined along ``joins``, of what is kept and of scales."""

    joins: tuple[int, int]

    @property
    def tiled(self) -> str | None:
        """How `nn.native.tiles` calls it, if matrix units multiply by what is kept."""
        ...

    def shapes(self, outputs: int, inputs: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Of what is kept, and of the scales."""
        ...

    def dtypes(self) -> tuple[torch.dtype, torch.dtype]:
        """Of what is kept, and of the scales as they are stored."""
        ...

    def encode(self, weight: Float[Tensor, "output input"]) -> tuple[Tensor, Tensor]:
        """What is kept of a matrix, and its scales."""
        ...

    def decode(self, kept: Tensor, scale: Tensor, dtype: torch.dtype) -> Float[Tensor, "padded input"]:
        """The matrix that is meant; rows that only fill up a block come last."""
        ...

    def few_rows(self, kept: Tensor, scale: Tensor) -> Product | None:
        """A product with few rows that reads what is kept as it is, if this device has one."""
        ...


class Int8:
    """A signed byte a weight, and a scale an output."""

    joins, tiled = (0, 0), "int8"
    _levels = 127

    def shapes(self, outputs: int, inputs: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """See `Format`."""
        return (outputs, inputs), (outputs,)

    def dtypes(self) -> tuple[torch.dtype, torch.dtype]:
        """See `Format`."""
        return torch.int8, torch.bfloat16

    def encode(self, weight: Float[Tensor, "output input"]) -> tuple[Tensor, Tensor]:
        """See `Format`."""
        scale = _scale(weight.float().abs().amax(dim=1) / self._levels)
        steps = (weight.float() / scale.float()[:, None]).round().clamp(-self._levels, self._levels)
        return steps.to(torch.int8), scale

    def decode(self, kept: Tensor, scale: Tensor, dtype: torch.dtype) -> Float[Tensor, "padded input"]:
        """See `Format`."""
        return kept.to(dtype) * scale.to(dtype)[:, None]

    def few_rows(self, kept: Tensor, scale: Tensor) -> Product | None:
        """See `Format`."""
        if not _has_kernel("_weight_int8pack_mm", kept.device) or kept.shape[1] % _ALIGNED:
            return None
        matrix, narrow = aligned(kept), scale.bfloat16()
        return lambda x: torch._weight_int8pack_mm(_narrow(x), matrix, narrow).to(x.dtype)


class Int4:
    """Half a byte a weight; `GROUP` inputs of an output share a scale and the value in the middle of the range.

    Kept as the processor's kernel reads it, so that nothing is held twice: for a block of 64 outputs and each input 32
    bytes, of which byte i has output i in its low half and output i + 32 in its high one.
    """

    joins, tiled = (0, 1), "int4"
    _middle, _levels = 8, 15

    def shapes(self, outputs: int, inputs: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """See `Format`."""
        blocks = -(-outputs // BLOCK)
        return (blocks, inputs, BLOCK // 2), (inputs // GROUP, blocks * BLOCK, 2)

    def dtypes(self) -> tuple[torch.dtype, torch.dtype]:
        """See `Format`."""
        return torch.uint8, torch.bfloat16

    def encode(self, weight: Float[Tensor, "output input"]) -> tuple[Tensor, Tensor]:
        """See `Format`."""
        padded = functional.pad(weight.float(), (0, 0, 0, -len(weight) % BLOCK))
        groups = padded.unflatten(1, (-1, GROUP))
        least, most = groups.aminmax(dim=2)
        scale = _scale((most - least) / self._levels)
        middle = (least + self._middle * scale.float()).bfloat16()
        steps = ((groups - middle.float()[..., None]) / scale.float()[..., None]).round() + self._middle
        steps = steps.clamp(0, self._levels).flatten(1).to(torch.uint8)
        low, high = steps.unflatten(0, (-1, BLOCK)).transpose(1, 2).chunk(2, dim=2)
        return (low | (high << 4)).contiguous(), torch.stack([scale, middle], dim=2).transpose(0, 1).contiguous()

    def decode(self, kept: Tensor, scale: Tensor, dtype: torch.dtype) -> Float[Tensor, "padded input"]:
        """See `Format`."""
        steps = torch.cat([kept & self._levels, kept >> 4], dim=2).transpose(1, 2).flatten(0, 1)
        step, middle = scale.to(dtype).transpose(0, 1).unbind(2)
        groups = (steps.to(dtype) - self._middle).unflatten(1, (-1, GROUP))
        return torch.addcmul(middle[..., None], groups, step[..., None]).flatten(1)

    def few_rows(self, kept: Tensor, scale: Tensor) -> Product | None:
        """See `Format`."""
        if kept.device.type != "cpu" or not _kernel_reads_blocks():
            return None
        matrix, narrow = aligned(kept).view(-1, kept.shape[1] // 2), scale.bfloat16().contiguous()
        return lambda x: torch._weight_int4pack_mm_for_cpu(_narrow(x), matrix, GROUP, narrow).to(x.dtype)


class Fp8:
    """A float of 8 bits (e4m3) a weight, and a scale an output; inputs are rounded alike, each row with its scale."""

    joins, tiled = (0, 0), None
    _largest = torch.finfo(_FP8).max

    def shapes(self, outputs: int, inputs: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """See `Format`."""
        return (outputs, inputs), (outputs,)

    def dtypes(self) -> tuple[torch.dtype, torch.dtype]:
        """See `Format`."""
        return torch.uint8, torch.bfloat16

    def encode(self, weight: Float[Tensor, "output input"]) -> tuple[Tensor, Tensor]:
        """See `Format`."""
        scale = _scale(weight.float().abs().amax(dim=1) / self._largest)
        return self._rounded(weight.float() / scale.float()[:, None]).view(torch.uint8), scale

    def decode(self, kept: Tensor, scale: Tensor, dtype: torch.dtype) -> Float[Tensor, "padded input"]:
        """See `Format`."""
        return kept.view(_FP8).to(dtype) * scale.to(dtype)[:, None]

    def few_rows(self, kept: Tensor, scale: Tensor) -> Product | None:
        """See `Format`."""
        if any(size % 16 for size in kept.shape):
            return None
        matrix, wide = kept.view(_FP8).t(), scale.float()[None]

        def product(x: Tensor) -> Tensor:
            steps = (x.float().abs().amax(dim=1, keepdim=True) / self._largest).clamp_min(
                torch.finfo(torch.float32).tiny
            )
            rounded = self._rounded(x.float() / steps)
            return torch._scaled_mm(rounded, matrix, steps, wide, out_dtype=torch.bfloat16).to(x.dtype)

        return product

    def _rounded(self, numbers: Tensor) -> Tensor:
        return numbers.clamp(-self._largest, self._largest).to(_FP8)


class Half:
    """Half precision, widened for the computation: for what is used seldom and takes much room."""

    joins, tiled = (0, 0), None

    def shapes(self, outputs: int, inputs: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """See `Format`."""
        return (outputs, inputs), (0,)

    def dtypes(self) -> tuple[torch.dtype, torch.dtype]:
        """See `Format`."""
        return torch.int16, torch.bfloat16

    def encode(self, weight: Float[Tensor, "output input"]) -> tuple[Tensor, Tensor]:
        """See `Format`."""
        return weight.half().view(torch.int16), weight.new_zeros(0, dtype=torch.bfloat16)

    def decode(self, kept: Tensor, scale: Tensor, dtype: torch.dtype) -> Float[Tensor, "padded input"]:
        """See `Format`."""
        return kept.view(torch.float16).to(dtype)

    def few_rows(self, kept: Tensor, scale: Tensor) -> Product | None:
        """See `Format`."""
        return None


FORMATS: dict[str, Format] = {"int8": Int8(), "int4": Int4(), "fp8": Fp8(), "half": Half()}


def format_for(kind: str, inputs: int) -> Format:
    """The format of a kind; groups of int4 must be whole, and where they would not be it is int8."""
    return FORMATS["int8" if kind == "int4" and inputs % GROUP else kind]


def aligned(tensor: Tensor) -> Tensor:
    """A tensor, or its copy, that lies as processors' kernels ask; any other memory, such as a file's, ends them."""
    return tensor.clone() if tensor.data_ptr() % _LINE_BYTES else tensor


def _narrow(x: Tensor) -> Tensor:
    """Rows as those kernels take them."""
    return aligned(x.bfloat16().contiguous())


def _scale(steps: Tensor) -> Tensor:
    """Steps as bfloat16, none of them zero."""
    return steps.clamp_min(torch.finfo(torch.bfloat16).tiny).bfloat16()


def _has_kernel(name: str, device: torch.device) -> bool:
    """Whether this build of torch has an operation of its own for a device."""
    return torch._C._dispatch_has_kernel_for_dispatch_key(f"aten::{name}", device.type.upper())


@cache
def _kernel_reads_blocks() -> bool:
    """Whether the processor's int4 kernel reads matrices as `Int4` keeps them; with AVX-512 it does."""
    if not _has_kernel("_weight_int4pack_mm_for_cpu", torch.device("cpu")):
        return False
    steps = (torch.arange(BLOCK * _ALIGNED, dtype=torch.int32, device="cpu") * 7 % 16).view(BLOCK, _ALIGNED)
    theirs = torch._convert_weight_to_int4pack_for_cpu(steps, 1).view(_ALIGNED, BLOCK // 2)
    low, high = steps.to(torch.uint8).t().chunk(2, dim=1)
    return torch.equal(theirs, low | (high << 4))
