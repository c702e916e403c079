"""What stands between the products of a transformer in training on a processor with matrix units, compiled.

Under bfloat16 autocast, products take half as many bytes and are five times as fast; what is left of a step is the
normalisation, gating, softmax and adding between them, which PyTorch does in chains of small operations. Each function
here is one of them, with its gradient, and `fits` says where it may stand for PyTorch's.
"""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from parlando.nn.native.library import constant, library
from parlando.nn.rope import RopeTable

# They run on one thread: where products have many to share them, PyTorch's own operations win.
MOST_THREADS = 4
SEEDS = 2**32

_Address = ctypes.c_void_p
_Count = ctypes.c_int64


def fits(x: Tensor, *sizes: int) -> bool:
    """Whether products of ``x`` are made in bfloat16 on a processor that has a kernel for rows of these sizes."""
    return (
        x.device.type == "cpu"
        and torch.is_autocast_enabled("cpu")
        and torch.get_autocast_dtype("cpu") == torch.bfloat16
        and torch.get_num_threads() <= MOST_THREADS
        and not torch.compiler.is_compiling()
        and library() is not None
        and all(size % constant("lanes") == 0 for size in sizes)
    )


def is_plain(*tensors: Tensor) -> bool:
    """Whether these are float32, and whole: pieces of a sharded tensor are not."""
    return all(type(each.detach()) is Tensor and each.dtype == torch.float32 for each in tensors)


def is_narrow(*tensors: Tensor) -> bool:
    """Whether these are bfloat16, as products under autocast are."""
    return all(type(each.detach()) is Tensor and each.dtype == torch.bfloat16 for each in tensors)


def _call(name: str, *arguments: Tensor | int | float) -> None:
    code = library()
    assert code is not None, "there is no compiled kernel"
    getattr(code, f"parlando_{name}")(*(_passed(each) for each in arguments))


def _passed(argument: Tensor | int | float) -> Any:
    if isinstance(argument, Tensor):
        assert argument.is_contiguous()
        return _Address(argument.data_ptr())
    return _Count(argument) if isinstance(argument, int) else ctypes.c_double(argument)


class _Norm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        x = x.contiguous()
        y, scales = torch.empty_like(x, dtype=torch.bfloat16), x.new_empty(x.shape[:-1])
        _call("norm", scales.numel(), x.shape[-1], x, weight, eps, y, scales)
        ctx.save_for_backward(x, weight, scales)
        return y

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, Tensor, None]:
        x, weight, scales = ctx.saved_tensors
        to_x, to_weight = torch.empty_like(x), torch.zeros_like(weight)
        _call("norm_back", scales.numel(), x.shape[-1], slope.contiguous(), x, weight, scales, to_x, to_weight)
        return to_x, to_weight, None


def norm(x: Float[Tensor, "*rest dim"], weight: Float[Tensor, " dim"], eps: float) -> Float[Tensor, "*rest dim"]:
    """Root mean square normalisation of float32 rows; in bfloat16, as the products that follow want them."""
    return _Norm.apply(x, weight, eps)


class _Gate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor) -> Tensor:
        ctx.save_for_backward(gate, up)
        made = torch.empty_like(gate)
        _call("gate", gate.numel(), gate, up, made)
        return made

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, Tensor]:
        gate, up = ctx.saved_tensors
        to_gate, to_up = torch.empty_like(gate), torch.empty_like(up)
        _call("gate_back", gate.numel(), slope.contiguous(), gate, up, to_gate, to_up)
        return to_gate, to_up


def gated(gate: Float[Tensor, "*rest inner"], up: Float[Tensor, "*rest inner"]) -> Float[Tensor, "*rest inner"]:
    """``silu(gate) * up`` in bfloat16."""
    return _Gate.apply(gate.contiguous(), up.contiguous())


class _Add(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, share: float) -> Tensor:
        bound = int(share * SEEDS)
        seed = int(torch.randint(SEEDS, ())) if bound else 0
        ctx.drop = seed, bound, 1 / (1 - share)
        total = torch.empty_like(x)
        _call("add", x.numel(), x, y, *ctx.drop, total)
        return total

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, Tensor, None]:
        slope = slope.contiguous()
        to_y = torch.empty_like(slope, dtype=torch.bfloat16)
        _call("add_back", slope.numel(), slope, *ctx.drop, to_y)
        return slope, to_y, None


def add(x: Float[Tensor, "*rest dim"], y: Float[Tensor, "*rest dim"], share: float) -> Float[Tensor, "*rest dim"]:
    """The float32 residual stream plus what a block adds to it in bfloat16, of which a share is dropped.

    Which numbers are dropped is drawn by one seed of PyTorch's generator.
    """
    return _Add.apply(x.contiguous(), y.contiguous(), share)


class _Attend(torch.autograd.Function):
    """Queries, keys and values as their projections give them; all heads' matrices lie one after the other."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        batch, length, heads, dim = q.shape
        kv_heads = k.shape[2]
        turned_q, turned_k = _turned(q, cos, sin), _turned(k, cos, sin)
        values = v.transpose(1, 2).contiguous().view(batch * kv_heads, length, dim)
        # The heads of a group are further queries of their shared keys.
        queries, keys = turned_q.view(batch * kv_heads, -1, dim), turned_k.view(-1, length, dim)
        shares = queries @ keys.transpose(1, 2)
        _call("soften", shares.numel() // length, length, dim**-0.5, shares)
        mixed = (shares @ values).view(batch, heads, length, dim).transpose(1, 2).contiguous()
        ctx.save_for_backward(queries, keys, values, shares, cos, sin)
        ctx.shapes = q.shape, k.shape
        return mixed

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        queries, keys, values, shares, cos, sin = ctx.saved_tensors
        (batch, length, heads, dim), (*_, kv_heads, _) = ctx.shapes
        slopes = slope.transpose(1, 2).contiguous().view(queries.shape)
        to_v = (shares.transpose(1, 2) @ slopes).view(batch, kv_heads, length, dim).transpose(1, 2)
        to_scores = slopes @ values.transpose(1, 2)
        _call("soften_back", shares.numel() // length, length, dim**-0.5, shares, to_scores)
        to_q = (to_scores @ keys).view(batch, heads, length, dim)
        to_k = (to_scores.transpose(1, 2) @ queries).view(batch, kv_heads, length, dim)
        return _turned_back(to_q, cos, sin), _turned_back(to_k, cos, sin), to_v, None, None


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """From [batch, position, head, dim] to [batch, head, position, dim]."""
    batch, length, heads, dim = x.shape
    out = x.new_empty(batch, heads, length, dim)
    _call("turn", batch, length, heads, dim, x.contiguous(), cos, sin, 0, out)
    return out


def _turned_back(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """The other way round, by the same angles in the other direction."""
    batch, heads, length, dim = x.shape
    out = x.new_empty(batch, length, heads, dim)
    _call("turn", batch, length, heads, dim, x.contiguous(), cos, sin, 1, out)
    return out


def attend(
    q: Float[Tensor, "batch position head dim"],
    k: Float[Tensor, "batch position kv_head dim"],
    v: Float[Tensor, "batch position kv_head dim"],
    rope: RopeTable,
) -> Float[Tensor, "batch position head dim"]:
    """Causal attention in bfloat16, rotary positions included: positions ``0..length-1``, ``rope`` in float32."""
    length, dim = q.shape[1], q.shape[3]
    cos, sin = (table.reshape(length, dim).contiguous() for table in (rope.cos, rope.sin))
    return _Attend.apply(q, k, v, cos, sin)
