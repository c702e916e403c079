"""Our own side of `parlando bench`: a language model with random weights, through the engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from parlando.core.stages import FrameSampler, TokenLM
from parlando.core.types import Prompt
from parlando.engine.engine import Engine
from parlando.engine.scheduler import Policy

Samplers = Callable[[int], FrameSampler]


class EngineGenerator:
    """Sessions of one engine that has as many rows as the batch: whoever waits takes the row of whoever is done.

    ``samplers`` makes one that never ends for each seed.
    """

    name = "parlando"

    def __init__(
        self, lm: TokenLM, prompt: Prompt, samplers: Samplers, tokens_per_frame: int = 1, is_compiled: bool = False
    ) -> None:
        self._lm, self._prompt, self._samplers = lm, prompt, samplers
        self.tokens_per_frame, self.is_compiled = tokens_per_frame, is_compiled
        self._engines: dict[tuple[int, int], Engine] = {}

    def generate(self, batch: int, lengths: Sequence[int]) -> int:
        """Continue the prompt once for each of ``lengths`` frames, ``batch`` at a time; returns the frames made."""
        engine = self._engine(batch, len(self._prompt) + max(lengths))
        sessions = [engine.submit(self._prompt, self._samplers(seed), n) for seed, n in enumerate(lengths)]
        while engine.step():
            pass
        return sum(len(list(session)) for session in sessions)

    def _engine(self, rows: int, length: int) -> Engine:
        """One that is kept, as engines are: its cache is made once, before anything is timed."""
        if (rows, length) not in self._engines:
            # All rows start at once, as the peer's do.
            self._engines[rows, length] = Engine(self._lm, rows, length, Policy(prefills_per_turn=rows))
        return self._engines[rows, length]
