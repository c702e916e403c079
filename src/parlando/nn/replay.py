"""Work of fixed shapes as one launch: recorded once on a CUDA device (CUDA graphs), and then replayed.

A step of a language model is hundreds of small kernels, whose launches take longer than a large GPU needs for the work.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import torch
from torch import Tensor

log = logging.getLogger("parlando.nn")
WARM_UPS = 3  # what a library does at its first calls cannot be recorded
_recording = threading.Lock()  # one recording at a time in a process

Work = Callable[[Tensor], Tensor]


class Replayed:
    """A function of a tensor of one shape, which may write to tensors that stay where they are, twice the same.

    It must not ask for any value on the host. What it returns is overwritten by the next call. Where there is no CUDA
    device, or recording fails, the function is called as it is.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._recorded: Work | None = None

    def __call__(self, given: Tensor) -> Tensor:
        """The function's value."""
        if self._recorded is None:
            self._recorded = self._record(given)
        return self._recorded(given)

    def _record(self, given: Tensor) -> Work:
        try:
            return recorded(self._work, given)
        except RuntimeError as error:
            log.warning("steps are not recorded as CUDA graphs, and so are slower: %s", error)
            return self._work


def recorded(work: Work, given: Tensor) -> Work:
    """The function as a graph of its device's, where that has any; it is run for this argument on the way.

    Raises:
        RuntimeError: something in it cannot be recorded.
    """
    if not given.is_cuda:
        return work
    held = given.clone()
    graph = torch.cuda.CUDAGraph()
    # On a stream of its own, which is left again whatever happens; threads that decode go on meanwhile.
    with _recording:
        beside = torch.cuda.Stream(given.device)
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            for _ in range(WARM_UPS):
                work(held)
            with torch.cuda.graph(graph, stream=beside, capture_error_mode="thread_local"):
                result = work(held)
        torch.cuda.current_stream().wait_stream(beside)

    def replay(given: Tensor) -> Tensor:
        held.copy_(given)
        graph.replay()
        return result

    return replay
