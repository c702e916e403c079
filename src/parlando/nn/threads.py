"""How many processor threads a thread computes with."""

from __future__ import annotations

import torch


def settle_thread() -> None:
    """Have this thread compute with as many as `torch.set_num_threads` said; a new one begins with all there are.

    Otherwise the libraries below would start others for each of them, which wait for each other while they spin.
    """
    torch.set_num_threads(torch.get_num_threads())
