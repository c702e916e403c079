"""Work that is recorded where it can be."""

from __future__ import annotations

import logging

import torch

from parlando.nn import replay
from parlando.nn.replay import Replayed


def test_without_a_device_for_it_a_function_is_called_as_it_is():
    calls = []
    twice = Replayed(lambda given: calls.append(1) or given * 2)
    assert [twice(torch.tensor(value)).item() for value in (1, 2)] == [2, 4]
    assert len(calls) == 2


def test_what_was_recorded_is_replayed(monkeypatch):
    recordings = []
    monkeypatch.setattr(replay, "recorded", lambda work, given: recordings.append(given) or (lambda other: other + 1))
    step = Replayed(lambda given: given * 2)
    assert [step(torch.tensor(value)).item() for value in (1, 2)] == [2, 3]
    assert len(recordings) == 1


def test_what_cannot_be_recorded_is_called_and_the_log_says_so_once(monkeypatch, caplog):
    def fail(work, given):
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(replay, "recorded", fail)
    step = Replayed(lambda given: given * 2)
    with caplog.at_level(logging.WARNING, "parlando.nn"):
        assert [step(torch.tensor(value)).item() for value in (1, 2)] == [2, 4]
    assert len(caplog.messages) == 1
    assert "not permitted" in caplog.text
