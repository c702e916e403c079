"""The forms in which published weights are found: shards, pickles, what a training saved, and what nobody needs."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from cosyvoice_published import SIZES, write_published
from higgs_published import CODEC, write_published_lm
from parlando.core.errors import CheckpointError, FileMissingError
from parlando.models.cosyvoice.build import load_model as load_cosyvoice
from parlando.models.higgs.lm_weights import load_published_lm
from parlando.models.higgs.parts.codec_weights import load_codec, load_published_codec, save_codec

TRAINING = {"epoch": 3, "step": 1200, "lr": 1e-4, "tag": "average", "seed": None}


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return write_published(tmp_path_factory.mktemp("hub") / "CosyVoice2-0.5B")


@pytest.fixture(autouse=True)
def tiny_sizes(monkeypatch):
    monkeypatch.setattr("parlando.models.cosyvoice.build.PublishedSizes", lambda: SIZES)


def state(model):
    parts = model.parts
    modules = (parts.lm, parts.flow, parts.hift, parts.speech_tokenizer, parts.speaker)
    return [tensor for module in modules for tensor in module.state_dict().values()]


def same(left, right):
    return len(left) == len(right) and all(map(torch.equal, left, right))


def test_a_cosyvoice_folder_as_training_code_leaves_it(published, tmp_path):
    folder, whole = shutil.copytree(published, tmp_path / "model"), state(load_cosyvoice(published, "cpu"))
    for name in ("llm.pt", "flow.pt", "hift.pt"):
        torch.save({**torch.load(folder / name, weights_only=True), **TRAINING}, folder / name)
    generator = {
        f"generator.{key}": value for key, value in torch.load(folder / "hift.pt").items() if key not in TRAINING
    }
    torch.save({**generator, "discriminator.conv.weight": torch.ones(2), **TRAINING}, folder / "hift.pt")
    (folder / "speech_tokenizer_v2.onnx").rename(folder / "speech_tokenizer_v2.batch.onnx")
    assert same(state(load_cosyvoice(folder, "cpu")), whole)


def test_a_cosyvoice_folder_of_safetensors(published, tmp_path):
    folder = shutil.copytree(published, tmp_path / "model")
    for name in ("llm", "flow", "hift"):
        tensors = torch.load(folder / f"{name}.pt", weights_only=True)
        save_file({key: value.clone() for key, value in tensors.items()}, folder / f"{name}.safetensors")
        (folder / f"{name}.pt").unlink()
    assert same(state(load_cosyvoice(folder, "cpu")), state(load_cosyvoice(published, "cpu")))
    (folder / "flow.safetensors").unlink()
    with pytest.raises(FileMissingError, match=r"flow weights \(flow\.pt or flow\.safetensors\)"):
        load_cosyvoice(folder, "cpu")


@pytest.fixture
def codec_folder(tmp_path):
    (tmp_path / "config.json").write_text((CODEC / "config.json").read_text())
    return tmp_path


def spoken(codec):
    return codec.decode(torch.arange(24).reshape(1, 8, 3))


@pytest.mark.parametrize("form", ["shards", "bin", "bin shards"])
def test_an_audio_tokenizer_in_shards_or_as_a_pickle(codec_folder, form):
    tensors = load_file(CODEC / "model.safetensors")
    if form == "bin":
        torch.save(tensors, codec_folder / "pytorch_model.bin")
    else:
        stem, save = ("model", save_file) if form == "shards" else ("pytorch_model", torch.save)
        ending = "safetensors" if form == "shards" else "bin"
        places = {key: f"{stem}-0000{1 + index % 2}-of-00002.{ending}" for index, key in enumerate(tensors)}
        for file in set(places.values()):
            save({key: tensors[key] for key in tensors if places[key] == file}, codec_folder / file)
        (codec_folder / f"{stem}.{ending}.index.json").write_text(json.dumps({"weight_map": places}))
    assert torch.equal(spoken(load_published_codec(codec_folder)), spoken(load_published_codec(CODEC)))


def test_an_audio_tokenizer_without_what_only_a_training_needs(codec_folder):
    tensors = load_file(CODEC / "model.safetensors")
    unneeded = ("decoder_semantic.", "fc1.")
    statistics = (".inited", ".cluster_size", ".embed_avg")
    needed = {key: t for key, t in tensors.items() if not key.startswith(unneeded) and not key.endswith(statistics)}
    assert len(needed) < len(tensors) - 24
    save_file(needed, codec_folder / "model.safetensors")
    codec, whole = load_published_codec(codec_folder), load_published_codec(CODEC)
    wave = torch.randn(1, 9_600, generator=torch.Generator().manual_seed(0))
    assert torch.equal(codec.encode(wave), whole.encode(wave))
    assert torch.equal(spoken(codec), spoken(whole))
    save_codec(codec, codec_folder)
    assert torch.equal(spoken(load_codec(codec_folder, codec.config)), spoken(whole))


BROKEN = {
    "nan": (lambda tensor: tensor.float().fill_(float("nan")), "not finite"),
    "infinity": (lambda tensor: tensor.float().fill_(float("inf")), "not finite"),
    "integers": (lambda tensor: tensor.to(torch.int64), "is int64.*save the weights as float32"),
    "truth": (lambda tensor: tensor.bool(), "is bool"),
    "shape": (lambda tensor: torch.zeros(3, 1, 7), "misshapen"),
}


@pytest.mark.parametrize("damage", BROKEN)
@pytest.mark.parametrize("layout", ["original", "transformers"])
def test_a_broken_tensor_of_a_published_language_model(tmp_path, layout, damage):
    file = write_published_lm(tmp_path, layout) / "model.safetensors"
    tensors = load_file(file)
    change, message = BROKEN[damage]
    for key in (min(tensors), max(tensors)):
        save_file({**tensors, key: change(tensors[key].clone())}, file)
        with pytest.raises(CheckpointError, match=rf"model\.safetensors: .*{message}"):
            load_published_lm(tmp_path)


@pytest.mark.parametrize("damage", BROKEN)
def test_a_broken_tensor_of_a_cosyvoice_part_or_an_audio_tokenizer(published, tmp_path, codec_folder, damage):
    change, message = BROKEN[damage]
    folder = shutil.copytree(published, tmp_path / "model")
    for name in ("llm.pt", "flow.pt", "hift.pt"):
        whole = (folder / name).read_bytes()
        tensors = torch.load(folder / name, weights_only=True)
        key = max(key for key in tensors if "weight" in key)
        torch.save({**tensors, key: change(tensors[key].clone())}, folder / name)
        with pytest.raises(CheckpointError, match=rf"{name}: .*{message}"):
            load_cosyvoice(folder, "cpu")
        (folder / name).write_bytes(whole)
    tensors = load_file(CODEC / "model.safetensors")
    save_file({**tensors, "fc.weight": change(tensors["fc.weight"].clone())}, codec_folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=rf"model\.safetensors: .*{message}"):
        load_published_codec(codec_folder)
