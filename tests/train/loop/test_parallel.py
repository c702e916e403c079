import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from lines import OPTIM, Line
from torch import distributed, nn

from parlando.train.loop import parallel
from parlando.train.loop.checkpoint import newest_checkpoint
from parlando.train.loop.optim import advance, clip_gradients, make_optimizer
from parlando.train.loop.step import Stepper
from parlando.train.loop.trainer import Budget, Trainer

SECOND = """
import sys
from pathlib import Path
from test_parallel import join

join(1, Path(sys.argv[1]))
"""


def join(rank, folder):
    """What each of two processes does and finds."""
    expected = alone()
    distributed.init_process_group("gloo", init_method=f"file://{folder / 'store'}", rank=rank, world_size=2)
    try:
        agree(rank)
        learn_together(rank, expected)
        begin_together(rank)
        stop_together(rank, folder / "run")
    finally:
        distributed.destroy_process_group()


def agree(rank):
    """Means, sums and answers are the group's."""
    assert parallel.start("cpu") == parallel.Process(rank, "cpu")
    assert parallel.size() == 2
    used, idle = nn.Parameter(torch.zeros(2, 3)), nn.Parameter(torch.zeros(2))
    frozen = nn.Parameter(torch.zeros(1), requires_grad=False)
    used.grad = torch.arange(6.0).view(2, 3) * (1 + 2 * rank)
    if rank == 1:
        idle.grad = torch.tensor([4.0, 8.0])
    parallel.average_gradients([used, frozen, idle])
    assert torch.equal(used.grad, torch.arange(6.0).view(2, 3) * 2)
    assert torch.equal(idle.grad, torch.tensor([2.0, 4.0]))
    assert frozen.grad is None
    assert parallel.largest(float(rank)) == 1.0
    assert parallel.total([rank + 1.0, 0.5]) == [3.0, 1.0]
    assert parallel.any_process(rank == 1)
    assert not parallel.any_process(False)


def learn_together(rank, expected):
    """Processes with unequal batches move as one that has all points."""
    task = Line(sizes=(3, 5), noise=0.0)
    numbers = Stepper(task, parallel.Process(rank)).step(0, 0.5)
    assert (numbers["tokens"], numbers["audio_seconds"]) == (8, 4.0)
    assert torch.allclose(task.model.weight, expected, atol=1e-7)


def begin_together(rank):
    """Processes whose networks were drawn by themselves begin, and stay, with those of the first, counters too."""
    task = Line()
    torch.manual_seed(rank)
    task.model = nn.Sequential(nn.Linear(2, 1), nn.BatchNorm1d(1))
    task.model[1].num_batches_tracked += 7 * rank
    torch.manual_seed(0)
    first = nn.Linear(2, 1)
    stepper = Stepper(task, parallel.Process(rank))
    assert torch.equal(task.model[0].weight, first.weight)
    assert task.model[1].num_batches_tracked == 0
    stepper.step(0, 0.5)
    weight = task.model[0].weight.detach()
    assert not torch.equal(weight, first.weight)
    assert parallel.total(weight.flatten().tolist()) == (2 * weight.double()).flatten().tolist()


def stop_together(rank, folder):
    """A signal to the second process while it evaluates stops and saves the training of both."""
    task = Line(evaluation_stops=2 if rank == 1 else None)
    budget = Budget(steps=6, evaluate_every_minutes=0, save_every_minutes=100)
    trainer = Trainer(task, folder, budget, parallel.Process(rank))
    assert trainer.run() is False
    assert trainer.step == 3
    if rank == 0:
        assert newest_checkpoint(folder).name == "checkpoint-3"


def alone():
    """The weight that one process comes to, which has all points."""
    task = Line(sizes=(3, 5), noise=0.0)
    optimizer = make_optimizer(task.model, OPTIM)
    points = torch.cat([task.batch(number).x for number in range(2)])
    (task.model(points) - points.sum(1, keepdim=True)).square().mean().backward()
    clip_gradients(task.model.parameters(), OPTIM.clip)
    advance(optimizer, OPTIM.rate_at(0.5))
    return task.model.weight


@pytest.mark.slow
def test_two_processes_begin_and_move_as_one(root, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    here = Path(__file__).parent
    path = os.pathsep.join([str(root / "src"), str(here), str(here.parent), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", SECOND, str(tmp_path)]
    second = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.PIPE, text=True)
    try:
        join(0, tmp_path)
        assert second.wait(timeout=120) == 0, second.stderr.read()
    finally:
        second.kill()
        second.wait()
        second.stderr.close()


def test_a_process_joins_the_group_that_its_environment_describes(monkeypatch):
    group = {"WORLD_SIZE": "1", "RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
    for name, value in group.items():
        monkeypatch.setenv(name, value)
    try:
        assert parallel.start("cpu") == parallel.ALONE
        assert distributed.get_backend() == "gloo"
    finally:
        distributed.destroy_process_group()


def test_one_process_pays_nothing(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert parallel.start("cpu") == parallel.ALONE
    weight = nn.Parameter(torch.zeros(2))
    weight.grad = gradient = torch.ones(2)
    parallel.average_gradients([weight])
    assert weight.grad is gradient
    assert parallel.size() == 1
    assert parallel.largest(3.5) == 3.5
    assert parallel.any_process(True)
    assert not parallel.any_process(False)
