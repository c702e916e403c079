"""`--adapter` from a training to speech: what is learned is heard, and another model's adapter is one line."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from safetensors.torch import load_file, save_file

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "train"))
SENTENCES = ("One.", "Two of us.", "My dog ran home.")
ADAPTER = """
[optim]
rate = 0.05
warmup = 0.0
[mix]
tokens_per_batch = 300
candidates = 4
{mix}
[adapter]
rank = 2
targets = ["q_proj", "v_proj", "{own}"]
"""
HIGGS = ADAPTER.format(mix='[mix.descriptions]\nslt = "a young American woman"', own="audio_mlp.up_proj")
COSYVOICE = ADAPTER.format(mix="", own="speech_head")
SAY = ("say", "Two of us.", "--seed", 1, "--temperature", 0.9, "-q")


@pytest.fixture
def quick(cli, monkeypatch):
    """The command line, without pictures."""
    monkeypatch.setattr("parlando.train.loop.trainer.draw_log", lambda path: None)
    return cli


def train(cli, family, folder, tmp_path, books):
    from tiny_tasks import write_codes

    codes = tmp_path / f"codes-{family}"
    codes.mkdir()
    rows = [(f"s{number}", "slt", 1.0, text) for number, text in enumerate(SENTENCES)]
    write_codes(codes, rows, np.random.default_rng(0), books)
    text = f'family = "{family}"\n[budget]\nsteps = 3\n' + (HIGGS if family == "higgs" else COSYVOICE)
    (tmp_path / f"{family}.toml").write_text(text)
    codec = ["--codec", folder] if family == "higgs" else []
    run = tmp_path / f"run-{family}"
    status, _, err = cli(
        "train", "lm", f"{family}.toml", "--codes", codes, *codec, "--from", folder, "-o", run, "--threads", 1
    )
    assert status == 0, err
    return run / "adapter"


@pytest.fixture
def adapters(quick, tiny_folder, tiny_cosyvoice_folder, tmp_path):
    """Of both families: the model's folder, and an adapter that was trained on it."""
    return {
        "higgs": (tiny_folder, train(quick, "higgs", tiny_folder, tmp_path, (3, 256))),
        "cosyvoice": (tiny_cosyvoice_folder, train(quick, "cosyvoice", tiny_cosyvoice_folder, tmp_path, (1, 81))),
    }


@pytest.mark.slow
def test_what_was_learned_is_heard_and_no_other_model_takes_it(quick, adapters, tmp_path):
    for family, (folder, adapter) in adapters.items():
        said = {}
        for name, options in {"base": (), "tuned": ("--adapter", adapter), "again": ("--adapter", adapter)}.items():
            status, _, err = quick(*SAY, "--model", folder, *options, "-o", f"{name}.wav")
            assert status == 0, err
            said[name] = soundfile.read(tmp_path / f"{name}.wav")[0]
        assert len(said["tuned"]) > 0
        assert not np.array_equal(said["base"], said["tuned"])
        assert np.array_equal(said["again"], said["tuned"])
        others = [path for name, (path, _) in adapters.items() if name != family]
        status, _, err = quick(*SAY, "--model", others[0], "--adapter", adapter, "-o", "no.wav")
        refused(status, err, "use the adapter with the model it is of")
        assert not (tmp_path / "no.wav").exists()


@pytest.mark.slow
def test_an_adapter_that_is_none_is_one_line(quick, tiny_folder, tmp_path):
    adapter = train(quick, "higgs", tiny_folder, tmp_path, (3, 256))
    for break_it, message in {
        shutil.rmtree: "no config at",
        lambda path: (path / "adapter_config.json").unlink(): "no config at",
        lambda path: (path / "adapter_config.json").write_text("{"): "adapter_config.json",
        lambda path: (path / "adapter_model.safetensors").unlink(): "adapter weights",
        lambda path: (path / "adapter_model.safetensors").write_bytes(b"none"): "adapter_model.safetensors",
        narrower: "does not fit this model",
        another_kind: "is not supported; use a plain LoRA adapter",
    }.items():
        broken = tmp_path / "broken"
        shutil.copytree(adapter, broken)
        break_it(broken)
        status, _, err = quick(*SAY, "--model", tiny_folder, "--adapter", broken, "-o", "no.wav")
        refused(status, err, message)
        shutil.rmtree(broken, ignore_errors=True)


def narrower(folder):
    """As of a model that is half as wide."""
    path = folder / "adapter_model.safetensors"
    tensors = load_file(path)
    save_file({name: (each[:, ::2] if "lora_A" in name else each).clone() for name, each in tensors.items()}, path)


def another_kind(folder):
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "peft_type": "IA3"}))


def refused(status, err, message):
    assert status == 2
    (line,) = err.strip().splitlines()
    assert line.startswith("parlando: ")
    assert message in line
    assert "Traceback" not in err
