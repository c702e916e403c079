import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import distributed, nn

from parlando.train.loop import parallel

SECOND = """
from test_parallel import agree

agree(1)
"""


def agree(rank):
    """What each of two processes does and finds."""
    assert parallel.start("cpu") == (rank, 2)
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
    assert parallel.any_process(rank == 1)
    assert not parallel.any_process(False)
    distributed.destroy_process_group()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.mark.slow
def test_two_processes_average_their_gradients(root, monkeypatch):
    group = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "RANK": "0"}
    for name, value in group.items():
        monkeypatch.setenv(name, value)
    path = os.pathsep.join([str(root / "src"), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "RANK": "1", "PYTHONPATH": path}
    second = subprocess.Popen([sys.executable, "-c", SECOND], env=environment, stderr=subprocess.PIPE, text=True)
    agree(0)
    assert second.wait(timeout=120) == 0, second.stderr.read()
    second.stderr.close()


def test_one_process_pays_nothing(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert parallel.start("cpu") == (0, 1)
    weight = nn.Parameter(torch.zeros(2))
    weight.grad = gradient = torch.ones(2)
    parallel.average_gradients([weight])
    assert weight.grad is gradient
    assert parallel.size() == 1
    assert parallel.largest(3.5) == 3.5
    assert parallel.any_process(True)
    assert not parallel.any_process(False)
