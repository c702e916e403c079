"""Which family a folder holds, and where models are found."""

from __future__ import annotations

import json
from importlib import import_module

import pytest

from parlando.core.errors import CheckpointError, ConfigError, FileMissingError, InputError
from parlando.models import locate as locations
from parlando.models.locate import describe, locate, packaged_models, voices_of
from parlando.models.registry import FAMILIES, family_of


def folder_with(tmp_path, config, name="model"):
    folder = tmp_path / name
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize("name", FAMILIES)
def test_every_loader_exists(name):
    module, function = FAMILIES[name].loader.split(":")
    assert callable(getattr(import_module(module), function))


@pytest.mark.parametrize(
    "config", [{"family": "higgs"}, {"model_type": "higgs_audio"}, {"model_type": "higgs_audio_v2"}]
)
def test_own_and_published_configs_name_the_family(tmp_path, config):
    assert family_of(folder_with(tmp_path, config)) == "higgs"


def test_an_unknown_family_names_the_nearest(tmp_path):
    with pytest.raises(CheckpointError, match="Did you mean 'higgs'"):
        family_of(folder_with(tmp_path, {"family": "higs"}))


def test_a_folder_without_config_and_no_folder_are_told_apart(tmp_path):
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        family_of(tmp_path)
    with pytest.raises(FileMissingError, match="model folder"):
        family_of(tmp_path / "none")


def test_a_config_that_is_not_json_says_where(tmp_path):
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ConfigError, match=r"config\.json: not JSON"):
        family_of(tmp_path)


def test_a_published_folder_is_told_by_its_files_whatever_its_config_says(tmp_path):
    folder = folder_with(tmp_path, {})
    (folder / "cosyvoice2.yaml").touch()
    assert family_of(folder) == "cosyvoice"
    assert describe(folder).family == "cosyvoice"
    assert voices_of(folder) == ({}, "")
    (folder / "config.json").unlink()
    assert (family_of(folder), describe(folder).name) == ("cosyvoice", "model")


@pytest.mark.parametrize("name", ["cosyvoice.yaml", "cosyvoice3.yaml"])
def test_another_generation_is_named_with_the_one_that_is_supported(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(CheckpointError, match=rf"has a {name}, .* those with a cosyvoice2\.yaml are"):
        family_of(tmp_path)


def test_locate_finds_packaged_names_the_default_and_folders(tmp_path):
    packaged = folder_with(tmp_path / "weights", {"family": "higgs"}, "higgs-mini")
    root = tmp_path / "weights"
    assert list(packaged_models(root)) == ["higgs-mini"]
    assert locate(None, root) == locate("default", root) == locate("higgs-mini", root) == packaged
    other = folder_with(tmp_path, {"family": "higgs"}, "other")
    assert locate(other, root) == locate(str(other), root) == other


def test_locate_names_what_is_there_when_it_finds_nothing(tmp_path):
    folder_with(tmp_path / "weights", {"family": "higgs"}, "higgs-mini")
    with pytest.raises(InputError, match="Did you mean 'higgs-mini'"):
        locate("higgs-mni", tmp_path / "weights")


def test_a_hub_id_is_fetched_and_an_offline_failure_is_one_clear_error(tmp_path, monkeypatch):
    import huggingface_hub

    asked = []
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda name: asked.append(name) or str(tmp_path))
    assert locate("someone/some-model") == tmp_path
    assert asked == ["someone/some-model"]

    def offline(name):
        raise huggingface_hub.errors.LocalEntryNotFoundError("no network")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(CheckpointError, match=r"'someone/some-model'.*no network.*give its folder"):
        locate("someone/some-model")


def test_describe_reads_the_config_and_the_card(tmp_path):
    folder = folder_with(tmp_path, {"family": "higgs", "name": "tiny"})
    (folder / "card.md").write_text("# Tiny\n\nA tiny model.\n\n**Licence:** CC0-1.0\n")
    (folder / "lm.safetensors").write_bytes(b"x" * 1000)
    entry = describe(folder)
    assert (entry.name, entry.family, entry.licence, entry.summary) == ("tiny", "higgs", "CC0-1.0", "A tiny model.")
    assert entry.bytes_on_disk == sum(p.stat().st_size for p in folder.iterdir())


def test_describe_without_a_card_says_so(tmp_path):
    entry = describe(folder_with(tmp_path, {"model_type": "higgs_audio_v2"}, "published"))
    assert (entry.name, entry.family, entry.licence) == ("published", "higgs_audio_v2", "see card.md")


def test_the_packaged_folder_is_inside_the_package():
    assert locations.PACKAGED.parent.name == "parlando"
