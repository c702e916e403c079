"""Strict configuration: round trips, and every refusal says where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from parlando.core.config import from_mapping, read_json, to_mapping
from parlando.core.errors import ConfigError, FileMissingError
from parlando.core.types import SamplingOptions


@dataclass(frozen=True)
class Rope:
    theta: float
    factor: float | None = None


@dataclass(frozen=True)
class Ropes:
    by_name: Mapping[str, Rope]


@dataclass(frozen=True)
class Tiny:
    hidden_size: int
    rope: Rope | None = None
    layers: tuple[int, ...] = ()
    ropes: tuple[Rope, ...] = ()
    kind: Literal["spectral", "dac"] = "spectral"
    tied: bool = False
    scale: int | str = 1
    extra: dict[str, Any] = field(default_factory=dict)
    anything: Any = None


FULL: dict[str, Any] = {
    "hidden_size": 8,
    "rope": {"theta": 10_000, "factor": None},
    "layers": [1, 2],
    "ropes": [{"theta": 5.0}],
    "kind": "dac",
    "tied": True,
    "scale": "auto",
    "extra": {"a": 1},
    "anything": [None],
}


def test_nested_data_becomes_nested_dataclasses() -> None:
    config = from_mapping(Tiny, FULL)
    assert config.rope == Rope(theta=10_000.0)
    assert isinstance(config.rope, Rope)
    assert isinstance(config.rope.theta, float)
    assert config.layers == (1, 2)
    assert config.ropes == (Rope(5.0),)
    assert (config.kind, config.tied, config.scale, config.extra) == ("dac", True, "auto", {"a": 1})


@pytest.mark.parametrize("config", [from_mapping(Tiny, FULL), Tiny(3), SamplingOptions(top_k=None, seed=7)])
def test_round_trip(config: Any) -> None:
    assert from_mapping(type(config), to_mapping(config)) == config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hiden_size": 1}, "lm: unknown key 'hiden_size'. Did you mean 'hidden_size'?"),
        ({"zzz": 1}, "lm: unknown key 'zzz'. There are: hidden_size, rope"),
        ({"hidden_size": "8"}, "lm.hidden_size: expected int, got '8'"),
        ({"hidden_size": True}, "lm.hidden_size: expected int, got True"),
        ({"hidden_size": 8.0}, "lm.hidden_size: expected int, got 8.0"),
        ({"tied": 1}, "lm.tied: expected bool, got 1"),
        ({"rope": 3}, "lm.rope: expected a table of settings, got 3"),
        ({"rope": {}}, "lm.rope: 'theta' is missing; add it"),
        ({"rope": {"theta": True}}, "lm.rope.theta: expected float, got True"),
        ({"layers": "12"}, "lm.layers: expected a list, got '12'"),
        ({"layers": [1, "2"]}, r"lm.layers\[1\]: expected int, got '2'"),
        ({"ropes": [{"theta": 1, "teta": 2}]}, r"lm.ropes\[0\]: unknown key 'teta'. Did you mean 'theta'"),
        ({"kind": "mel"}, "lm.kind: 'mel' is not one of 'spectral', 'dac'"),
        ({"scale": 1.5}, "lm.scale: expected str, got 1.5"),
        ({"scale": None}, "lm.scale: expected str, got None"),
    ],
)
def test_refusals_say_what_and_where(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_mapping(Tiny, {**FULL, **change}, "lm")


def test_a_missing_required_key_is_named() -> None:
    with pytest.raises(ConfigError, match="config: 'hidden_size' is missing"):
        from_mapping(Tiny, {})


def test_json_files(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    with pytest.raises(FileMissingError, match="no config at '.*config.json'; check the path"):
        read_json(path)
    path.write_text('{"a": [1]}', encoding="utf-8")
    assert read_json(path) == {"a": [1]}
    path.write_text("[1]", encoding="utf-8")
    with pytest.raises(ConfigError, match="expected an object of settings"):
        read_json(path)
    path.write_text("{", encoding="utf-8")
    with pytest.raises(ConfigError, match="not JSON"):
        read_json(path)


def test_a_table_of_tables_is_read_entry_by_entry():
    assert from_mapping(Ropes, {"by_name": {"a": {"theta": 2}}}) == Ropes({"a": Rope(2.0)})
    with pytest.raises(ConfigError, match=r"config\.by_name\.a: unknown key 'thita'\. Did you mean 'theta'"):
        from_mapping(Ropes, {"by_name": {"a": {"thita": 2}}})
    with pytest.raises(ConfigError, match=r"config\.by_name: expected a table"):
        from_mapping(Ropes, {"by_name": [1]})
