"""Settings: the documented defaults are the defaults, and what is wrong is named."""

from __future__ import annotations

import re
import tomllib
from dataclasses import asdict

import pytest

from parlando.annotate.config import AnnotateConfig, ModelSettings, read_config
from parlando.annotate.filters import Rejected, check
from parlando.core.errors import ConfigError, FileMissingError


def documented(root):
    text = (root / "docs" / "annotation.md").read_text(encoding="utf-8")
    return re.findall(r"^```toml\n(.*?)^```", text, re.M | re.S)


def test_the_documented_defaults_are_the_defaults(root, tmp_path):
    first, ray = documented(root)
    path = tmp_path / "settings.toml"
    path.write_text(first, encoding="utf-8")
    config = read_config(path)
    assert config == AnnotateConfig(models=ModelSettings())
    assert set(tomllib.loads(first)["filters"]["sound"]) == set(asdict(config.filters.sound))
    assert set(tomllib.loads(first)["filters"]["text"]) == set(asdict(config.filters.text))
    path.write_text(ray, encoding="utf-8")
    assert read_config(path).ray.segments.gpus == 0.25


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("languages = []", "name at least one"),
        ("sample_rate = 100", "sample_rate: 100 is out of range"),
        ("[filters.sound]\nleast_mss = 3.0", "unknown key 'least_mss'. Did you mean 'least_mos'?"),
        ("[filters.text]\nleast_agreement = 2.0", "least_agreement: 2.0 is out of range"),
        ('format = "mp3"', "format: 'mp3' is not one of 'flac', 'opus'"),
        ("[models\n", "not TOML"),
    ],
)
def test_what_is_wrong_is_named(text, message, tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=re.escape(message)):
        read_config(path)
    with pytest.raises(FileMissingError):
        read_config(tmp_path / "none.toml")


def test_the_first_bound_that_is_not_met_is_the_reason():
    rules = [("mos", "poor", "least", 2.0), ("music", "music", "most", 0.3)]
    check({"mos": 2.0, "music": 0.3}, rules)
    check({}, rules)
    with pytest.raises(Rejected) as outcome:
        check({"mos": 1.9, "music": 0.9}, rules)
    assert (outcome.value.reason, outcome.value.detail) == ("poor", "mos 1.9, the least is 2")
    with pytest.raises(Rejected, match="music"):
        check({"mos": 3.0, "music": 0.31}, rules)
