"""Every setting of every config file, damaged in every way: an error that a user can act on, or a model that loads."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path

import pytest
import yaml

from cosyvoice_published import SIZES, write_published
from higgs_published import CODEC, write_published_lm
from parlando.core.config import read_json
from parlando.core.errors import ConfigError, ParlandoError
from parlando.models.cosyvoice.build import read_published_configs
from parlando.models.cosyvoice.config import parse_cosyvoice_config
from parlando.models.cosyvoice.published import _DataLoader
from parlando.models.higgs.config import parse_higgs_config
from parlando.models.higgs.lm_weights import read_published_config
from parlando.models.higgs.parts.codec_config import config_from_transformers
from parlando.models.registry import load_model

# What it runs is counted elsewhere: watched line by line it takes nearly twice as long.
pytestmark = pytest.mark.no_cover

REMOVED = object()
DAMAGES = {
    "text": "x",
    "empty": "",
    "list": [],
    "texts": ["x"],
    "table": {},
    "null": None,
    "true": True,
    "zero": 0,
    "negative": -3,
    "fraction": 2.5,
    "huge": 10**15,
    "not a number": float("nan"),
    "infinite": float("inf"),
    "removed": REMOVED,
}
USUAL = ("text", "table", "null", "negative")
FILES = {
    "higgs, own": ("config.json", lambda path: parse_higgs_config(read_json(path), str(path))),
    "higgs, original": ("config.json", lambda path: read_published_config(path.parent)),
    "higgs, transformers": ("config.json", lambda path: read_published_config(path.parent)),
    "higgs, codec": (
        "audio_tokenizer/config.json",
        lambda path: config_from_transformers(read_json(path), where=str(path)),
    ),
    "cosyvoice, own": ("config.json", lambda path: parse_cosyvoice_config(read_json(path), str(path))),
    "cosyvoice, settings": ("cosyvoice2.yaml", lambda path: read_published_configs(path.parent)),
    "cosyvoice, backbone": (
        "CosyVoice-BlankEN/config.json",
        lambda path: read_published_configs(path.parent.parent),
    ),
}
"""Of each layout a config file, and what reads it: what comes out as before need not be loaded again."""


@pytest.fixture(scope="module")
def folders(tiny_folder, tiny_cosyvoice_folder, tmp_path_factory):
    """A folder of each layout, its name the same as of its config file above; changed and mended by each test."""
    root = tmp_path_factory.mktemp("layouts")
    own = {"higgs, own": tiny_folder, "cosyvoice, own": tiny_cosyvoice_folder}
    found = {name: shutil.copytree(folder, root / name) for name, folder in own.items()}
    for layout in ("original", "transformers"):
        folder = root / layout
        folder.mkdir()
        found[f"higgs, {layout}"] = write_published_lm(folder, layout)
        shutil.copytree(CODEC, folder / "audio_tokenizer")
    found["higgs, codec"] = found["higgs, original"]
    found["cosyvoice, settings"] = found["cosyvoice, backbone"] = write_published(root / "cosyvoice")
    return found


@pytest.fixture(autouse=True)
def tiny_sizes(monkeypatch):
    monkeypatch.setattr("parlando.models.cosyvoice.build.PublishedSizes", lambda: SIZES)


def paths(data, before=()):
    """Every place in nested tables, and the first of every list."""
    for key, value in data.items() if isinstance(data, dict) else [(0, data[0])] if data else []:
        yield (*before, key)
        if isinstance(value, dict | list):
            yield from paths(value, (*before, key))


def damaged(data, path, damage):
    changed = copy.deepcopy(data)
    place = changed
    for key in path[:-1]:
        place = place[key]
    if damage is REMOVED:
        del place[path[-1]]
    else:
        place[path[-1]] = damage
    return changed


def read(path: Path):
    text = path.read_text()
    return yaml.load(text, _DataLoader) if path.suffix == ".yaml" else json.loads(text)


def write(path: Path, data):
    path.write_text(yaml.safe_dump(data) if path.suffix == ".yaml" else json.dumps(data))


@pytest.mark.parametrize(
    "damage", [pytest.param(name, marks=() if name in USUAL else pytest.mark.slow) for name in DAMAGES]
)
@pytest.mark.parametrize("layout", FILES)
def test_a_damaged_setting_is_a_users_error_or_does_no_harm(folders, layout, damage):
    name, parse = FILES[layout]
    file = folders[layout] / name
    whole, sound, meant = file.read_text(), read(file), parse(file)
    raw = []
    try:
        for path in paths(sound):
            write(file, damaged(sound, path, DAMAGES[damage]))
            try:
                if parse(file) != meant:
                    load_model(folders[layout], "cpu")
            except ConfigError as error:
                if file.name not in str(error) and "model '" not in str(error):
                    raw.append((path, f"does not name its file: {error}"))
            except ParlandoError:
                pass
            except Exception as error:  # noqa: BLE001 - that there is none is what is tested
                raw.append((path, f"{type(error).__name__}: {error}"))
    finally:
        file.write_text(whole)
    assert raw == []


def test_every_file_has_settings_to_damage(folders):
    counts = {layout: len(list(paths(read(folders[layout] / name)))) for layout, (name, _) in FILES.items()}
    assert min(counts.values()) >= 10
    assert sum(counts.values()) > 500
