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
from parlando.core.errors import ConfigError, ParlandoError
from parlando.models.cosyvoice.parts.published import _DataLoader
from parlando.models.registry import load_model

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
FILES = {
    "higgs, own": "config.json",
    "higgs, original": "config.json",
    "higgs, transformers": "config.json",
    "higgs, codec": "audio_tokenizer/config.json",
    "cosyvoice, own": "config.json",
    "cosyvoice, settings": "cosyvoice2.yaml",
    "cosyvoice, backbone": "CosyVoice-BlankEN/config.json",
}


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


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("layout", FILES)
def test_a_damaged_setting_is_a_users_error_or_does_no_harm(folders, layout, damage):
    folder, file = folders[layout], folders[layout] / FILES[layout]
    whole, sound = file.read_text(), read(file)
    raw = []
    try:
        for path in paths(sound):
            write(file, damaged(sound, path, DAMAGES[damage]))
            try:
                load_model(folder, "cpu")
            except ConfigError as error:
                if file.name not in str(error) and "model '" not in str(error):
                    raw.append((path, f"does not name its file: {error}"))
            except ParlandoError:
                pass
            except Exception as error:
                raw.append((path, f"{type(error).__name__}: {error}"))
    finally:
        file.write_text(whole)
    assert raw == []


def test_every_file_has_settings_to_damage(folders):
    counts = {layout: len(list(paths(read(folders[layout] / file)))) for layout, file in FILES.items()}
    assert min(counts.values()) >= 11
    assert sum(counts.values()) > 300
