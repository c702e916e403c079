"""What an argument may be, and the words where it is something else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from parlando.core.errors import ConfigError
from parlando.core.kinds import check_fields, check_type


@dataclass(frozen=True)
class Told:
    number: int = 0
    share: float | None = None


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (3, int), (np.int64(3), int), (3, float), (0.5, float), (np.float32(0.5), float), (True, bool),
        (None, str | None), ("x", str | Path), (Path("x"), str | Path), (["x"], Sequence),
    ],
)  # fmt: skip
def test_what_fits_passes_and_nothing_else(value, kind):
    check_type("it", value, kind)
    with pytest.raises(ConfigError, match="it: expected bytes, got "):
        check_type("it", value, bytes)


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        ("3", int, r"it: expected int, got '3' \(str\)"),
        (True, int, r"it: expected int, got True \(bool\)"),
        (True, float | None, r"it: expected float or None, got True \(bool\)"),
        (1, bool, r"it: expected bool, got 1 \(int\)"),
        (None, str | Path, r"it: expected str or Path, got None \(NoneType\)"),
        (b"x" * 99, str, r"it: expected str, got b'x+\.\.\.x+' \(bytes\)"),
    ],
)
def test_what_does_not_fit_is_told_with_its_type(value, kind, message):
    with pytest.raises(ConfigError, match=message):
        check_type("it", value, kind)


def test_words_may_say_better_than_types_what_is_accepted():
    with pytest.raises(ConfigError, match=r"path: expected a file's path, got None"):
        check_type("path", None, str, "a file's path")


def test_fields_are_held_to_what_they_are_declared():
    check_fields(Told, {"number": 3, "share": None}, "told")
    with pytest.raises(ConfigError, match=r"told.share: expected float or None, got 'x' \(str\)"):
        check_fields(Told, {"number": 3, "share": "x"}, "told")
