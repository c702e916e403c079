import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from lines import OPTIM, Line
from torch import distributed, nn

from parlando.train.loop import parallel
from parlando.train.loop.optim import advance, clip_gradients, make_optimizer
from parlando.train.loop.step import Stepper

SECOND = """
from test_parallel import agree

agree(1)
"""


def agree(rank):
    """What each of two processes does and finds."""
    expected = alone()
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
    learn_together(rank, expected)
    assert parallel.any_process(rank == 1)
    assert not parallel.any_process(False)
    distributed.destroy_process_group()


class Share(Line):
    """The points of a step that are this process's: three of the first, five of the second."""

    def batch(self, number, rank):
        return super().batch(2 * number + rank, rank)


def learn_together(rank, expected):
    """Processes with unequal batches move as one that has all points."""
    task = Share(sizes=(3, 5), noise=0.0)
    numbers = Stepper(task, parallel.Process(rank)).step(0, 0.5)
    assert (numbers["tokens"], numbers["audio_seconds"]) == (8, 4.0)
    assert torch.allclose(task.model.weight, expected, atol=1e-7)


def alone():
    """The weight that one process comes to, which has all points."""
    task = Line(sizes=(3, 5), noise=0.0)
    optimizer = make_optimizer(task.model, OPTIM)
    points = torch.cat([task.batch(number, 0).x for number in range(2)])
    (task.model(points) - points.sum(1, keepdim=True)).square().mean().backward()
    clip_gradients(task.model.parameters(), OPTIM.clip)
    advance(optimizer, OPTIM.rate_at(0.5))
    return task.model.weight


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.mark.slow
def test_two_processes_average_their_gradients(root, monkeypatch):
    group = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "RANK": "0"}
    for name, value in group.items():
        monkeypatch.setenv(name, value)
    path = os.pathsep.join(
        [
            str(root / "src"),
            str(Path(__file__).parent),
            str(Path(__file__).parent.parent),
            os.environ.get("PYTHONPATH", ""),
        ]
    )
    environment = {**os.environ, "RANK": "1", "PYTHONPATH": path}
    second = subprocess.Popen([sys.executable, "-c", SECOND], env=environment, stderr=subprocess.PIPE, text=True)
    agree(0)
    assert second.wait(timeout=120) == 0, second.stderr.read()
    second.stderr.close()


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
