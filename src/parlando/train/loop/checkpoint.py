"""Training checkpoints: folders that all processes write (DCP), whole or not at all, and read in any layout.

Tensors are safetensors files in the pieces that the processes had, numbers a JSON file; reading executes nothing. Runs
until 0.1 have one file instead, which is read too.
"""

from __future__ import annotations

import os
import pickle
import shutil
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.distributed import checkpoint as dcp
from torch.distributed.checkpoint import HuggingFaceStorageReader, HuggingFaceStorageWriter

from parlando.core.config import read_json
from parlando.core.errors import CheckpointError, ConfigError, FileMissingError
from parlando.core.folder import write_json
from parlando.nn.checkpoint import load_strictly, read_tensors
from parlando.train.loop import parallel
from parlando.train.loop.sharding import laid_out_like

FORMER = "last.pt"
_PREFIX, _PARTIAL, _FACTS = "checkpoint-", ".partial", "state.json"
_MOST_LETTERS = 300


def save_checkpoint(run: Path, step: int, state: Mapping[str, Any], facts: Mapping[str, Any], leads: bool) -> None:
    """Write a nested state of tensors, every process its pieces, and ``facts``; then forget all earlier checkpoints."""
    partial, final = run / f"{_PREFIX}{step}{_PARTIAL}", run / f"{_PREFIX}{step}"
    tensors, numbers = _parts(state)
    if leads:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
    parallel.barrier()
    with _one_process_will_do():
        dcp.save(tensors, storage_writer=HuggingFaceStorageWriter(str(partial), save_distributed=True))
    parallel.barrier()
    if leads:
        write_json(partial / _FACTS, {**facts, "step": step, "numbers": numbers})
        shutil.rmtree(final, ignore_errors=True)
        os.replace(partial, final)
        _forget_others(run, final)
    parallel.barrier()


def newest_checkpoint(run: Path) -> Path | None:
    """Where a run goes on, if it does; what a kill left half written does not count."""
    steps = {int(digits): path for path in run.glob(f"{_PREFIX}*") if (digits := path.name[len(_PREFIX) :]).isdigit()}
    if steps:
        return steps[max(steps)]
    return run / FORMER if (run / FORMER).is_file() else None


def resume(path: Path, state: Mapping[str, Any], frozen: Collection[str] = ()) -> dict[str, Any]:
    """Read a checkpoint into a state's own tensors, whichever pieces either of them is in; returns its facts.

    One in one file also holds what does not learn, whose places ``frozen`` names; that is left out.

    Raises:
        CheckpointError: it is damaged, or not one of this training.
    """
    former = _load_former(path) if path.is_file() else None
    with _telling_of(path):
        return _fill_from_file(former, state, frozen) if former else _fill_from_folder(path, state)


def _fill_from_folder(path: Path, state: Mapping[str, Any]) -> dict[str, Any]:
    tensors, numbers = _parts(state)
    facts = read_json(path / _FACTS)
    reader = HuggingFaceStorageReader(str(path))
    described: Mapping[str, Any] = reader.read_metadata().state_dict_metadata
    saved = {name: tuple(each.size) for name, each in described.items()}
    _check({name: tuple(each.shape) for name, each in tensors.items()}, saved)
    _check(dict.fromkeys(numbers, ()), dict.fromkeys(facts["numbers"], ()))
    with _one_process_will_do():
        dcp.load(tensors, storage_reader=reader)
    _fill({name: torch.tensor(number) for name, number in facts["numbers"].items()}, state)
    return facts


def _fill_from_file(saved: Mapping[str, Any], state: Mapping[str, Any], frozen: Collection[str]) -> dict[str, Any]:
    """From a checkpoint in one file, which holds whole tensors, and of optimisers only those that have moved."""
    if state["averages"]:
        raise ValueError("there is no moving average in it (optim.ema)")
    optimizers = {name: each["state"] for name, each in saved["optimizers"].items()}
    flat = _flat({"modules": saved["modules"], "optimizers": optimizers})
    named = {name: tensor for name, tensor in flat if name not in frozen}
    own = {name: tensor for name, tensor in _flat(state) if name.startswith("modules/")}
    _check(
        {name: tuple(each.shape) for name, each in own.items()},
        {name: tuple(each.shape) for name, each in named.items() if name.startswith("modules/")},
    )
    _fill(named, state)
    return {key: value for key, value in saved.items() if key not in ("modules", "optimizers")}


def _check(expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]) -> None:
    """Raise ValueError unless names and shapes are the same."""
    wrong = [f"size mismatch for {name}" for name in expected.keys() & found.keys() if expected[name] != found[name]]
    wrong += [f"missing {name}" for name in expected.keys() - found.keys()]
    wrong += [f"unexpected {name}" for name in found.keys() - expected.keys()]
    if wrong:
        raise ValueError(", ".join(sorted(wrong)))


@torch.no_grad()
def _fill(named: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    own = dict(_flat(state))
    for name, tensor in named.items():
        own[name].copy_(laid_out_like(tensor, own[name]))


def _parts(state: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, float]]:
    """The tensors of a nested state by their paths, and apart from them those that are single numbers."""
    named = dict(_flat(state))
    numbers = {name: tensor.item() for name, tensor in named.items() if not tensor.ndim}
    return {name: tensor for name, tensor in named.items() if tensor.ndim}, numbers


def _flat(state: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, Tensor]]:
    for name, value in state.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{place}{name}/")
        else:
            yield f"{place}{name}", value.detach()


def _forget_others(run: Path, kept: Path) -> None:
    for path in run.glob(f"{_PREFIX}*"):
        if path != kept:
            shutil.rmtree(path, ignore_errors=True)
    (run / FORMER).unlink(missing_ok=True)


@contextmanager
def _one_process_will_do() -> Iterator[None]:
    """DCP warns wherever there is no group of processes."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.distributed is disabled", UserWarning)
        yield


@contextmanager
def _telling_of(path: Path) -> Iterator[None]:
    try:
        yield
    except (AssertionError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"'{path}' does not fit this training: {shorten(str(error), _MOST_LETTERS)}; "
            "resume it with the recipe that it was begun with, or name another folder"
        ) from error
    except (ConfigError, FileMissingError, OSError, dcp.CheckpointException, SafetensorError) as error:
        raise CheckpointError(f"'{path}' is not a valid checkpoint; delete it to start again") from error


def _load_former(path: Path) -> dict[str, Any]:
    """A checkpoint of plain tensors and numbers in one file."""
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"'{path}' is not a valid checkpoint; delete it to start again") from error
    return _from_before_objectives(state) if "task" in state else state


def _from_before_objectives(state: Mapping[str, Any]) -> dict[str, Any]:
    """A checkpoint as it was written when every task had a step of its own (until 0.1)."""
    task, learners = dict(state["task"]), {"optimizer": "model", "judge_optimizer": "discriminators"}
    optimizers = {learners[name]: task.pop(name) for name in learners if name in task}
    if "revoicer" in task:
        task["network"] = task.pop("revoicer")
    if "judges" in task:
        judges = task.pop("judges")
        task["discriminators"] = {name.replace(".judge.", ".score."): tensor for name, tensor in judges.items()}
    rest = {key: value for key, value in state.items() if key != "task"}
    return {**rest, "modules": task, "optimizers": optimizers}


def load_weights(module: nn.Module, path: Path) -> None:
    """Start a module from an exported model: a float32 copy, so that the file may be written again.

    Raises:
        FileMissingError: there is no such file.
        CheckpointError: the tensors do not fit the module.
    """
    load_strictly(module, read_float32(path), str(path))


def read_float32(path: Path) -> dict[str, Tensor]:
    """A float32 copy of a file's tensors.

    Raises:
        FileMissingError: there is no such file.
        CheckpointError: it is damaged.
    """
    return float32_copy(read_tensors(path))


def float32_copy(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors in float32, and nobody else's."""
    return {name: tensor.detach().to(torch.float32, copy=True) for name, tensor in tensors.items()}
