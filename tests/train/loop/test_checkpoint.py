import os
import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from parlando.core.errors import CheckpointError, FileMissingError
from parlando.train.loop.checkpoint import load_checkpoint, load_weights, save_checkpoint


class Trap:
    """Would make a folder if it were unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_a_checkpoint_is_read_as_it_was_written(tmp_path):
    state = {"modules": {"w": torch.arange(3.0), "lists": [1, 2.5, "x"]}, "step": 7}
    save_checkpoint(tmp_path / "last.pt", state)
    again = load_checkpoint(tmp_path / "last.pt")
    assert torch.equal(again["modules"]["w"], state["modules"]["w"])
    assert (again["modules"]["lists"], again["step"]) == ([1, 2.5, "x"], 7)
    assert os.listdir(tmp_path) == ["last.pt"]


def test_a_failed_write_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    save_checkpoint(tmp_path / "last.pt", {"step": 1})

    def full(state, path):
        path.write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="no space left"):
        save_checkpoint(tmp_path / "last.pt", {"step": 2})
    assert load_checkpoint(tmp_path / "last.pt") == {"step": 1}


def test_a_checkpoint_of_the_days_when_tasks_stepped_themselves_is_read(tmp_path):
    judges, weight = (
        {"parts.0.stack.judge.bias": torch.ones(1), "parts.0.stack.layers.0.bias": torch.zeros(1)},
        torch.ones(2),
    )
    task = {"codec": {"w": weight}, "optimizer": {"state": {}}, "judges": judges, "judge_optimizer": {"state": {0: 1}}}
    save_checkpoint(tmp_path / "last.pt", {"task": task, "step": 3, "seconds": 1.5})
    state = load_checkpoint(tmp_path / "last.pt")
    assert (state["step"], state["seconds"]) == (3, 1.5)
    assert torch.equal(state["modules"]["codec"]["w"], weight)
    assert set(state["modules"]["discriminators"]) == {"parts.0.stack.score.bias", "parts.0.stack.layers.0.bias"}
    assert state["optimizers"] == {"model": {"state": {}}, "discriminators": {"state": {0: 1}}}


@pytest.mark.parametrize("writer", ["pickle", "torch"])
def test_a_checkpoint_that_would_run_code_is_refused(tmp_path, writer):
    path, trap = tmp_path / "last.pt", Trap(tmp_path / "sprung")
    if writer == "pickle":
        path.write_bytes(pickle.dumps({"task": trap}, protocol=2))
    else:
        torch.save({"task": trap}, path)
    with pytest.raises(CheckpointError, match=r"last\.pt' is not a valid checkpoint"):
        load_checkpoint(path)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", b"\x80\x02"])
def test_a_damaged_checkpoint_is_named(tmp_path, content):
    (tmp_path / "last.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match="delete it to start again"):
        load_checkpoint(tmp_path / "last.pt")


def test_exported_weights_start_a_module_in_float32(tmp_path):
    source = nn.Linear(3, 2)
    save_file({k: v.half() for k, v in source.state_dict().items()}, tmp_path / "w.safetensors")
    module = nn.Linear(3, 2)
    load_weights(module, tmp_path / "w.safetensors")
    assert module.weight.dtype == torch.float32
    assert torch.equal(module.weight, source.weight.half().float())
    assert module.weight.requires_grad
    with pytest.raises(CheckpointError, match="2 misshapen"):
        load_weights(nn.Linear(2, 3), tmp_path / "w.safetensors")
    with pytest.raises(FileMissingError, match=r"none\.safetensors"):
        load_weights(module, tmp_path / "none.safetensors")
