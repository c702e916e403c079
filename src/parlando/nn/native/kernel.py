"""The compiled step of a language model: its weights as the kernel wants them, and the calls.

A step of a small model consists of some two hundred operations of a few microseconds each, half of it spent on calling
them; the kernel does the whole step in one call and reads every weight once. Rows are computed independently, so the
numbers of a row do not depend on what else is in the batch.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from parlando.nn.following import FollowingCache
from parlando.nn.heads import AttentionConfig
from parlando.nn.kvcache import KVCache
from parlando.nn.native.library import constant, library
from parlando.nn.rope import RopeTable

# Beyond this (as float32) weights do not stay in a processor's cache, and a product shared out over all cores wins.
LARGEST_BYTES = 96 * 2**20
SHARED_POSITIONS = 24  # a shorter prompt is passed before another thread has woken

_Address = ctypes.c_void_p
_Count = ctypes.c_int64


class _Sizes(ctypes.Structure):
    _fields_ = (
        *((name, _Count) for name in ("hidden", "heads", "kv_heads", "head_dim", "inner", "layers")),
        ("epsilon", ctypes.c_double),
    )


class Matrix(ctypes.Structure):
    """A matrix as the compiled code takes it; `Panels` has the memory."""

    _fields_ = (("panels", _Address), ("is_half", _Count))


class _Branch(ctypes.Structure):
    _fields_ = (("before", _Address), ("after", _Address), ("gate_up", Matrix), ("down", Matrix))


class _Layer(ctypes.Structure):
    _fields_ = (("qkv", Matrix), ("out", Matrix), ("kinds", _Branch * 2))


class _Cache(ctypes.Structure):
    _fields_ = (("pairs", _Address), ("rows", _Count), ("length", _Count))


class _Watched(ctypes.Structure):
    _fields_ = (("layer", _Count), ("head", _Count), ("looks", _Address))


class _Scratch(ctypes.Structure):
    _fields_ = tuple((name, _Address) for name in ("normed", "qkv", "mixed", "inner", "across", "scores"))


@dataclass(frozen=True)
class _Rows:
    """Rows of a call: each block's first row, size and number of texts; where each row sits and at which position."""

    x: Tensor
    blocks: Sequence[tuple[int, int, int]]
    cache_rows: Sequence[int]
    positions: Sequence[int]


@dataclass(frozen=True)
class BranchWeights:
    """Norms and gated MLP of one kind of position; matrices are [input, output], the gate's columns before the up's."""

    before: Float[Tensor, " hidden"]
    after: Float[Tensor, " hidden"]
    gate_up: Float[Tensor, "hidden both"]
    down: Float[Tensor, "inner hidden"]


@dataclass(frozen=True)
class LayerWeights:
    """One layer: joined queries, keys and values, the output projection, and the branches of text and of audio."""

    qkv: Float[Tensor, "hidden all"]
    out: Float[Tensor, "mixed hidden"]
    text: BranchWeights
    audio: BranchWeights


def top(numbers: Float[Tensor, "*rest size"], count: int) -> tuple[np.ndarray, np.ndarray] | None:
    """The largest along the last dimension, falling, and their indices; ``None`` without a kernel for such numbers."""
    code = library()
    if code is None or numbers.dtype != torch.float32 or numbers.device.type != "cpu" or not numbers.is_contiguous():
        return None
    shape = (*numbers.shape[:-1], count)
    values, indices = np.empty(shape, np.float32), np.empty(shape, np.int64)
    size = numbers.shape[-1]
    code.parlando_top(
        _Address(numbers.data_ptr()),
        _Count(numbers.numel() // size),
        _Count(size),
        _Count(count),
        _Address(values.ctypes.data),
        _Address(indices.ctypes.data),
    )
    return values, indices


class Panels:
    """A matrix [input, output] cut into panels of columns that each lie in one piece, the last filled up with zeros.

    In half precision if that holds every weight exactly, as it does for what was saved in it: half as much to read.
    """

    def __init__(self, matrix: Float[Tensor, "inputs outputs"]) -> None:
        (inputs, self.outputs), width = matrix.shape, constant("panel")
        padded = functional.pad(matrix.detach(), (0, -self.outputs % width))
        half = padded.half()
        self.is_half = torch.equal(half.float(), padded)
        self.tensor = (half if self.is_half else padded).view(inputs, -1, width).transpose(0, 1).contiguous()
        self.matrix = Matrix(self.tensor.data_ptr(), self.is_half)


class _Half:
    """Half of a prefill, in a thread of its own or, where none can be had, at once."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="parlando-prefill", daemon=True)

    def go(self) -> None:
        """Begin."""
        try:
            self._thread.start()
        except RuntimeError:  # the system has no more threads, or the interpreter ends
            self._run()

    def wait(self) -> None:
        """Until it no longer works."""
        if self._thread.is_alive():
            self._thread.join()

    def finish(self) -> None:
        """Wait, and raise what it raised."""
        self.wait()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._work()
        except Exception as error:  # noqa: BLE001  it is raised where it is waited for
            self._error = error


class Kernel:
    """The layers of one model, packed: copies of their weights, and room for one call at a time.

    What the ``watched`` head of a layer looks at is left in the cache, if that is a `FollowingCache`.
    """

    def __init__(
        self,
        attention: AttentionConfig,
        layers: Sequence[LayerWeights],
        epsilon: float,
        rope: RopeTable,
        watched: tuple[int, int] | None = None,
    ) -> None:
        code = library()
        assert code is not None, "there is no compiled kernel"
        self._code, self._rope, self._rows, self._watched = code, rope, constant("rows"), watched
        self._held: list[Any] = []
        self._one_at_a_time = threading.Lock()
        inner = layers[0].text.down.shape[0]
        self._hidden = attention.hidden_size
        sizes = (self._hidden, attention.num_heads, attention.num_kv_heads, attention.head_dim, inner, len(layers))
        self._sizes = _Sizes(*sizes, epsilon)
        self._layers = (_Layer * len(layers))(*(self._pack(layer) for layer in layers))
        mixed = attention.num_heads * attention.head_dim
        joined = mixed + 2 * attention.num_kv_heads * attention.head_dim
        widths = (self._hidden, joined, mixed, 2 * inner, max(self._hidden, mixed, inner))
        self._widths = (*widths, len(rope.cos) + constant("lanes"))
        self._rooms = [self._scratch() for _ in range(2)]
        self._helper: _Half | None = None

    def _scratch(self) -> _Scratch:
        *widths, scores = self._widths
        sizes = [(self._rows, width) for width in widths] + [(scores,)]
        room = (torch.zeros(size, dtype=torch.float32, device="cpu") for size in sizes)
        return _Scratch(*(self._keep(tensor) for tensor in room))

    @staticmethod
    def fits(attention: AttentionConfig, inner: int, weights: Tensor, num_weights: int) -> bool:
        """Whether there is a kernel, and it can and should run such a model."""
        widths = (attention.hidden_size, attention.head_dim, inner)
        return (
            library() is not None
            and (weights.device.type, weights.dtype) == ("cpu", torch.float32)
            and all(width % constant("lanes") == 0 for width in widths)
            and num_weights * weights.element_size() <= LARGEST_BYTES
        )

    def step(
        self,
        x: Float[Tensor, "row dim"],
        num_text: int,
        cache_rows: Sequence[int],
        positions: Sequence[int],
        held: KVCache,
    ) -> None:
        """Advance rows in place, the first ``num_text`` of them text; each to its own row and position of ``held``."""
        blocks = [(first, many, min(max(num_text - first, 0), many)) for first, many in self._blocks(len(x))]
        with self._alone():
            self._advance(_Rows(x, blocks, cache_rows, positions), held, self._rooms[0])

    def prefill(
        self, x: Float[Tensor, "position dim"], is_audio: Sequence[bool], cache_row: int, held: KVCache
    ) -> None:
        """Pass a prompt in place, after the positions that its row holds; two threads have a half each."""
        middle = len(x) // 2 if len(x) >= SHARED_POSITIONS else len(x)
        changes = (at for at in range(1, len(x)) if is_audio[at] != is_audio[at - 1])
        blocks = [
            (first + offset, many, 0 if is_audio[first] else many)
            for first, last in pairwise(sorted({0, *changes, middle, len(x)}))
            for offset, many in self._blocks(last - first)
        ]
        start = held.length(cache_row)
        positions = range(start, start + len(x))
        early, late = (
            _Rows(x, [block for block in blocks if (block[0] < middle) == is_early], [cache_row] * len(x), positions)
            for is_early in (True, False)
        )
        with self._alone():
            if not late.blocks:
                self._advance(early, held, self._rooms[0])
                return
            done = _Count(0)

            def advance_early() -> None:
                try:
                    self._advance(early, held, self._rooms[1], done=ctypes.byref(done))
                finally:  # nobody may wait for ever for what failed
                    done.value = len(self._layers)

            # The other thread goes ahead and this one follows: an interrupt, which only meets this one, stops nobody.
            self._helper = helper = _Half(advance_early)
            helper.go()
            self._advance(late, held, self._rooms[0], ahead=ctypes.byref(done))
            helper.finish()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Have the kernel to oneself; after an interrupt the half of a prefill may still be at work."""
        with self._one_at_a_time:
            if self._helper is not None:
                self._helper.wait()
                self._helper = None
            yield

    def _advance(self, rows: _Rows, held: KVCache, room: _Scratch, ahead: Any = None, done: Any = None) -> None:
        """Take rows through all layers, behind those that leave their count in ``ahead``."""
        first, count = rows.blocks[0][0], len(rows.blocks)
        part = slice(first, rows.blocks[-1][0] + rows.blocks[-1][1])
        many = part.stop - part.start
        pairs = _Cache(held.pairs.data_ptr(), held.rows, held.capacity)
        looks = held.looks.data_ptr() if self._watched and isinstance(held, FollowingCache) else None
        self._code.parlando_step(
            ctypes.byref(self._sizes),
            self._layers,
            _Count(count),
            (_Count * count)(*(size for _, size, _ in rows.blocks)),
            (_Count * count)(*(texts for _, _, texts in rows.blocks)),
            _Address(rows.x[first].data_ptr()),
            (_Count * many)(*rows.cache_rows[part]),
            (_Count * many)(*rows.positions[part]),
            _Address(self._rope.cos.data_ptr()),
            _Address(self._rope.sin.data_ptr()),
            ctypes.byref(pairs),
            ctypes.byref(_Watched(*(self._watched or (0, 0)), looks)),
            ctypes.byref(room),
            ahead,
            done,
        )

    def head(
        self, x: Float[Tensor, "row dim"], norm: Float[Tensor, " dim"], panels: Panels
    ) -> Float[Tensor, "row output"]:
        """Normalise rows and multiply them by a matrix."""
        out = x.new_empty(len(x), panels.outputs)
        with self._alone():
            for first, many in self._blocks(len(x)):
                self._code.parlando_head(
                    ctypes.byref(self._sizes),
                    _Count(many),
                    _Address(x[first].data_ptr()),
                    _Address(norm.data_ptr()),
                    ctypes.byref(panels.matrix),
                    _Count(panels.outputs),
                    _Address(out[first].data_ptr()),
                    ctypes.byref(self._rooms[0]),
                )
        return out

    def _blocks(self, rows: int) -> Iterator[tuple[int, int]]:
        """First row and number of rows of each block."""
        for first in range(0, rows, self._rows):
            yield first, min(self._rows, rows - first)

    def _pack(self, layer: LayerWeights) -> _Layer:
        branches = (_Branch * 2)(
            *(
                _Branch(
                    self._keep(branch.before),
                    self._keep(branch.after),
                    self._matrix(branch.gate_up),
                    self._matrix(branch.down),
                )
                for branch in (layer.text, layer.audio)
            )
        )
        return _Layer(self._matrix(layer.qkv), self._matrix(layer.out), branches)

    def _matrix(self, matrix: Tensor) -> Matrix:
        """A packed matrix that lives as long as the kernel."""
        self._held.append(Panels(matrix))
        return self._held[-1].matrix

    def _keep(self, tensor: Tensor) -> int:
        """The address of a tensor that lives as long as the kernel."""
        self._held.append(tensor.detach().contiguous())
        return int(self._held[-1].data_ptr())
