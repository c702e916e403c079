"""A language model and samplers of a few lines, strict about what the engine may do with them."""

from __future__ import annotations

import random
from types import SimpleNamespace

import numpy as np
import pytest

from parlando.core.types import Frame, Prompt


class FakeCache:
    """Each row holds the tokens it was fed."""

    position_bytes = 10

    def __init__(self, rows, length):
        self.rows = [[] for _ in range(rows)]
        self.limit = length
        self.freed = []

    def free(self, row):
        self.freed.append(row)
        self.rows[row].clear()

    def length(self, row):
        return len(self.rows[row])

    def copy(self, row):
        return list(self.rows[row])

    def park(self, row):
        parked, self.rows[row] = self.rows[row], []
        return parked

    def resume(self, row, parked):
        assert not self.rows[row], "a session was put back into a row in use"
        self.rows[row] = list(parked)

    def extend(self, row, tokens):
        self.rows[row].extend(tokens)
        assert self.length(row) <= self.limit, "the engine wrote past the end of a cache row"


class FakeLM:
    """The logits of a row are its whole history; a call from two threads at once, or into a used row, is an error."""

    def __init__(self, context_length=64):
        self.context_length = context_length
        self.calls = []
        self.prompts = []
        self.prefilled_positions = 0
        self.failures = []
        self.busy = False
        self.during_step = lambda: None

    def new_cache(self, rows, length):
        self.cache = FakeCache(rows, length)
        return self.cache

    def prefill(self, prompt, cache, row, start=0):
        assert not self.busy, "two threads are in the model"
        assert cache.rows[row] == list(prompt.tokens[:start]), "a row does not hold the prompt's beginning"
        cache.extend(row, prompt.tokens[start:])
        self.calls.append(("prefill", row))
        self.prefilled_positions += len(prompt) - start
        self.prompts.append(prompt)
        if prompt.sentence == "broken":
            raise ValueError("no such prompt")
        return tuple(cache.rows[row])

    def step(self, frames, cache):
        assert not self.busy, "two threads are in the model"
        self.busy = True
        self.calls.append(("step", tuple(row for row, frame in enumerate(frames) if frame)))
        for row, frame in enumerate(frames):
            if frame is not None:
                cache.extend(row, [frame.token])
        try:
            self.during_step()
            if self.failures:
                raise self.failures.pop()
        finally:
            self.busy = False
        return [tuple(cache.rows[row]) for row in range(len(frames))]


class FakeJoiningLM(FakeLM):
    """One that reads several prompts at once; rows count nothing of what fails."""

    joins_prompts = True

    def prefill_all(self, prefills, cache):
        before = [list(row) for row in cache.rows]
        self.calls.append(("prefill_all", tuple(each.row for each in prefills)))
        try:
            return [self.prefill(each.prompt, cache, each.row, each.start) for each in prefills]
        except ValueError:
            cache.rows[:] = before
            raise


class FakeSampler:
    """Frames follow from everything in the row and from a generator of its own; ends after ``frames``."""

    def __init__(self, seed, frames=5, fail_at=None):
        self.random = random.Random(seed)
        self.left = frames
        self.fail_at = fail_at
        self.ended = False

    def next(self, logits):
        if self.left == 0:
            return None
        if self.left == self.fail_at:
            raise ZeroDivisionError("cannot sample")
        self.left -= 1
        weighed = sum(place * token for place, token in enumerate(logits, start=1))
        return Frame(token=(weighed + self.random.randrange(1000)) % 997)


def make_prompt(seed=0, length=4, sentence="", expected_frames=0.0):
    tokens = tuple(random.Random(seed).randrange(997) for _ in range(length))
    return Prompt(tokens, np.zeros(length, bool), np.zeros((0, 1), np.int64), sentence, expected_frames)


def frames_alone(prompt, sampler):
    """What a request must give, computed without any engine."""
    history, frames = list(prompt.tokens), []
    while (frame := sampler.next(tuple(history))) is not None:
        frames.append(frame)
        history.append(frame.token)
    return frames


@pytest.fixture(scope="session")
def fake():
    return SimpleNamespace(
        LM=FakeLM, JoiningLM=FakeJoiningLM, Sampler=FakeSampler, prompt=make_prompt, frames_alone=frames_alone
    )
