from __future__ import annotations

import pytest
import torch

from parlando.core.errors import ConfigError
from parlando.nn import placement
from parlando.nn.placement import Placement, is_large


@pytest.mark.parametrize(
    ("device", "dtype", "message"),
    [("gpu", None, "no device 'gpu'"), ("cuda:77", None, "no device 'cuda:77'"), (None, "int8", "no dtype 'int8'")],
)
def test_a_place_that_is_not_there_is_refused(device, dtype, message):
    with pytest.raises(ConfigError, match=message):
        Placement.choose(device, dtype)


@pytest.mark.parametrize(
    ("dtype", "large", "units", "expected"),
    [
        (None, True, True, torch.float32),
        ("auto", True, True, torch.bfloat16),
        ("auto", True, False, torch.float32),
        ("auto", False, True, torch.float32),
        ("float16", True, True, torch.float16),
    ],
)
def test_auto_is_bfloat16_for_a_large_model_where_that_is_fast(monkeypatch, dtype, large, units, expected):
    monkeypatch.setattr(placement, "has_matrix_units", lambda: units)
    assert Placement.choose("cpu", dtype, large).dtype == expected


def test_a_model_is_large_by_its_file(monkeypatch, tmp_path):
    file = tmp_path / "lm.safetensors"
    assert not is_large(file)
    file.write_bytes(bytes(100))
    assert not is_large(file)
    monkeypatch.setattr(placement, "_LARGE_BYTES", 99)
    assert is_large(file)
