"""What each process of a group does in a test: a module of its own, which a spawned process can import."""

from __future__ import annotations

import torch
from torch import distributed

from parlando.nn.rvq import Codebook


def learn_in_a_group(rank, store, results):
    distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    torch.manual_seed(rank)
    book = Codebook(4, 2)
    book.start(torch.randn(30, 2) + 3 * rank)
    for _ in range(3):
        vectors = torch.randn(30, 2) + 5 * rank
        book.learn(vectors, book.nearest(vectors))
    results.put((rank, book.embed.tolist(), book.cluster_size.tolist()))
    distributed.destroy_process_group()
