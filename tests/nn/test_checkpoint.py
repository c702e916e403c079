"""Tensor files and strict loading, on a module of two tensors."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from parlando.core.errors import CheckpointError
from parlando.nn.checkpoint import check_finite, load_strictly, read_tensors, save_tensors


def test_views_of_one_storage_are_saved_whole_and_keep_their_dtype(tmp_path: Path) -> None:
    storage = torch.arange(12.0).view(3, 4).bfloat16()
    path = save_tensors({"a": storage[:2], "b": storage.t()[1:]}, tmp_path / "x.safetensors")
    tensors = read_tensors(path)
    assert torch.equal(tensors["a"], storage[:2])
    assert torch.equal(tensors["b"], storage.t()[1:])
    assert tensors["a"].dtype == torch.bfloat16


def test_meta_module_is_filled_without_changing_dtype() -> None:
    with torch.device("meta"):
        linear = nn.Linear(3, 2)
    tensors = {"weight": torch.ones(2, 3, dtype=torch.float16), "bias": torch.zeros(2, dtype=torch.float16)}
    load_strictly(linear, tensors, "here")
    assert linear.weight.dtype == torch.float16
    assert linear.weight.sum() == 6


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"weight": torch.ones(2, 3)}, "1 missing: bias"),
        ({"weight": torch.ones(2, 3), "bias": torch.ones(2), "x": torch.ones(1)}, "1 unexpected: x"),
        ({"weight": torch.ones(3, 2), "bias": torch.ones(2)}, r"1 misshapen: weight is \[3, 2\], not \[2, 3\]"),
    ],
)
def test_misfits_leave_the_module_untouched(tensors: dict[str, torch.Tensor], message: str) -> None:
    linear = nn.Linear(3, 2)
    before = linear.weight.clone()
    with pytest.raises(CheckpointError, match=f"here: .*{message}"):
        load_strictly(linear, tensors, "here")
    assert torch.equal(linear.weight, before)


def test_infinity_is_not_finite_and_integers_are() -> None:
    check_finite({"codes": torch.ones(2, dtype=torch.int64), "fine": torch.ones(2)}, "here")
    with pytest.raises(CheckpointError, match="not finite: broken"):
        check_finite({"fine": torch.ones(2), "broken": torch.tensor([1.0, float("inf")])}, "here")
