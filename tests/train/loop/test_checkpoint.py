import os
import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from parlando.core.errors import CheckpointError, FileMissingError
from parlando.train.loop.checkpoint import load_weights, newest_checkpoint, resume, save_checkpoint


class Trap:
    """Would make a folder if it were unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def state(value=0.0, step=0.0):
    moments = {"exp_avg": torch.full((3,), value), "step": torch.tensor(step)}
    return {
        "modules": {"line": {"w": torch.full((2, 3), value), "count": torch.tensor(int(value))}},
        "optimizers": {"model": {0: moments}},
        "averages": {},
    }


def write_former(path, saved):
    """A checkpoint as it was until 0.1: one file of whole tensors."""
    torch.save(saved, path)


def test_a_checkpoint_is_read_as_it_was_written(tmp_path):
    save_checkpoint(tmp_path, 7, state(2.0, 0.1), {"seconds": 1.25}, leads=True)
    own = state()
    facts = resume(newest_checkpoint(tmp_path), own)
    assert (facts["step"], facts["seconds"]) == (7, 1.25)
    assert torch.equal(own["modules"]["line"]["w"], torch.full((2, 3), 2.0))
    assert own["modules"]["line"]["count"] == 2
    assert own["optimizers"]["model"][0]["step"] == torch.tensor(0.1)
    assert os.listdir(tmp_path) == ["checkpoint-7"]


def test_nothing_in_it_can_run_code(tmp_path):
    save_checkpoint(tmp_path, 1, state(), {}, leads=True)
    kinds = {path.suffix for path in (tmp_path / "checkpoint-1").iterdir()}
    assert kinds == {".json", ".safetensors"}


def test_the_newest_whole_one_counts_and_replaces_the_others(tmp_path):
    for step in (9, 10):
        save_checkpoint(tmp_path, step, state(float(step)), {}, leads=True)
        assert newest_checkpoint(tmp_path) == tmp_path / f"checkpoint-{step}"
    assert os.listdir(tmp_path) == ["checkpoint-10"]


@pytest.mark.parametrize("fails", ["dcp.save", "os.replace"])
def test_a_failed_write_leaves_the_old_checkpoint(tmp_path, monkeypatch, fails):
    save_checkpoint(tmp_path, 1, state(1.0), {}, leads=True)

    def full(*given, **named):
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(f"parlando.train.loop.checkpoint.{fails}", full)
        with pytest.raises(OSError, match="no space left"):
            save_checkpoint(tmp_path, 2, state(2.0), {}, leads=True)
    assert newest_checkpoint(tmp_path) == tmp_path / "checkpoint-1"
    assert resume(newest_checkpoint(tmp_path), state())["step"] == 1
    save_checkpoint(tmp_path, 2, state(2.0), {}, leads=True)
    assert os.listdir(tmp_path) == ["checkpoint-2"]


def test_what_a_kill_left_half_written_does_not_count(tmp_path):
    save_checkpoint(tmp_path, 8, state(8.0), {}, leads=True)
    (tmp_path / "checkpoint-9.partial").mkdir()
    (tmp_path / "checkpoint-9.partial" / "shard.safetensors").write_bytes(b"half")
    assert newest_checkpoint(tmp_path) == tmp_path / "checkpoint-8"


def test_one_in_a_single_file_is_read_and_then_replaced(tmp_path):
    saved = state(3.0, 5.0)
    optimizers = {"model": {"state": saved["optimizers"]["model"], "param_groups": [{"lr": 1.0}]}}
    write_former(
        tmp_path / "last.pt", {"modules": saved["modules"], "optimizers": optimizers, "step": 4, "seconds": 2.0}
    )
    own = state()
    assert resume(newest_checkpoint(tmp_path), own) == {"step": 4, "seconds": 2.0}
    assert torch.equal(own["modules"]["line"]["w"], torch.full((2, 3), 3.0))
    assert own["optimizers"]["model"][0]["step"] == 5
    save_checkpoint(tmp_path, 5, own, {}, leads=True)
    assert os.listdir(tmp_path) == ["checkpoint-5"]


def test_a_checkpoint_of_the_days_when_tasks_stepped_themselves_is_read(tmp_path):
    judges = {"parts.0.stack.judge.bias": torch.ones(1), "parts.0.stack.layers.0.bias": torch.full((1,), 2.0)}
    moments = {"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": []}
    task = {
        "codec": {"w": torch.ones(2)},
        "optimizer": moments,
        "judges": judges,
        "judge_optimizer": {"state": {}, "param_groups": []},
    }
    write_former(tmp_path / "last.pt", {"task": task, "step": 3, "seconds": 1.5})
    names = ("parts.0.stack.score.bias", "parts.0.stack.layers.0.bias")
    own = {
        "modules": {"codec": {"w": torch.zeros(2)}, "discriminators": {name: torch.zeros(1) for name in names}},
        "optimizers": {"model": {0: {"exp_avg": torch.zeros(2)}}, "discriminators": {}},
        "averages": {},
    }
    assert resume(tmp_path / "last.pt", own) == {"step": 3, "seconds": 1.5}
    assert torch.equal(own["modules"]["codec"]["w"], torch.ones(2))
    assert [float(own["modules"]["discriminators"][name]) for name in names] == [1.0, 2.0]
    assert torch.equal(own["optimizers"]["model"][0]["exp_avg"], torch.ones(2))


@pytest.mark.parametrize("writer", ["pickle", "torch"])
def test_a_checkpoint_that_would_run_code_is_refused(tmp_path, writer):
    path, trap = tmp_path / "last.pt", Trap(tmp_path / "sprung")
    if writer == "pickle":
        path.write_bytes(pickle.dumps({"task": trap}, protocol=2))
    else:
        torch.save({"task": trap}, path)
    with pytest.raises(CheckpointError, match=r"last\.pt' is not a valid checkpoint"):
        resume(path, state())
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", b"\x80\x02"])
def test_a_damaged_file_is_named(tmp_path, content):
    (tmp_path / "last.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match="delete it to start again"):
        resume(tmp_path / "last.pt", state())


@pytest.mark.parametrize("name", ["state.json", "shard-00001-model-00001-of-00001.safetensors"])
@pytest.mark.parametrize("content", [b"", b"{", None])
def test_a_damaged_folder_is_named(tmp_path, name, content):
    save_checkpoint(tmp_path, 1, state(), {}, leads=True)
    path = tmp_path / "checkpoint-1" / name
    assert path.is_file()
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"checkpoint-1' (is not a valid checkpoint|does not fit).*folder|again"):
        resume(newest_checkpoint(tmp_path), state())


def test_one_of_another_training_says_what_differs(tmp_path):
    save_checkpoint(tmp_path, 1, state(), {}, leads=True)
    other = state()
    other["modules"]["line"] = {"w": torch.zeros(2, 4), "b": torch.zeros(1)}
    with pytest.raises(CheckpointError, match="missing modules/line/b, size mismatch for modules/line/w"):
        resume(newest_checkpoint(tmp_path), other)


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
