"""Requests whose sampler waits for outside input: they sit out, others go on, and errors are the consumer's."""

from __future__ import annotations

import threading

import pytest

from parlando.core.errors import CancelledError, GenerationError
from parlando.core.types import Awaited
from parlando.engine.engine import Engine
from waiting import HANG_SECONDS


class Patient:
    """A sampler that needs a delivery before each of some frames, and else decides as another one does."""

    def __init__(self, sampler, fetches, fetch=lambda: None, broken=False):
        self.sampler, self.fetches, self.outer_fetch, self.broken = sampler, set(fetches), fetch, broken
        self.made, self.asked = 0, []
        self.ended = False

    def fetch(self):
        self.outer_fetch()
        self.fetches.discard(self.made)

    def next(self, logits):
        self.asked.append(logits)
        if self.made in self.fetches:
            return Awaited(self.fetch)
        if self.broken:
            raise ZeroDivisionError("cannot sample")
        self.made += 1
        return self.sampler.next(logits)


def submit(engine, fake, seed, sampler):
    return engine.submit(fake.prompt(seed, 4 + seed), sampler)


def alone(fake, seed):
    return fake.frames_alone(fake.prompt(seed, 4 + seed), fake.Sampler(seed))


@pytest.mark.parametrize("fetches", [{0}, {1}, {0, 1, 2, 4}, {5}], ids=str)
def test_waiting_changes_no_frame_and_asks_again_with_the_same_logits(fake, fetches):
    with Engine(fake.LM(), rows=1) as engine:
        sampler = Patient(fake.Sampler(1), fetches)
        assert list(submit(engine, fake, 1, sampler)) == alone(fake, 1)
    repeats = [first for first, second in zip(sampler.asked, sampler.asked[1:], strict=False) if first == second]
    assert len(repeats) == len(fetches)


def test_others_go_on_while_one_waits_and_its_row_is_idle(fake):
    lm = fake.LM()
    with Engine(lm, rows=3) as engine:
        patient = submit(engine, fake, 1, Patient(fake.Sampler(1), {2}))
        other = submit(engine, fake, 2, fake.Sampler(2))
        assert list(other) == alone(fake, 2)
        assert patient.awaiting
        assert patient.frame_count == 2
        assert engine.step() is False, "who waits gives the engine nothing to do"
        assert lm.cache.length(0) == 5 + 2
        assert list(patient) == alone(fake, 1)


def test_a_request_that_waits_before_its_first_frame_is_not_stepped(fake):
    with Engine(fake.LM(), rows=2) as engine:
        patient = submit(engine, fake, 1, Patient(fake.Sampler(1), {0}))
        other = submit(engine, fake, 2, fake.Sampler(2))
        assert list(other) == alone(fake, 2)
        assert patient.last_frame is None
        assert list(patient) == alone(fake, 1)


def test_the_worker_goes_on_when_a_delivery_has_come(fake):
    with Engine(fake.LM(), rows=2).start() as engine:
        sessions = {seed: submit(engine, fake, seed, Patient(fake.Sampler(seed), {0, 3})) for seed in (1, 2)}
        results = {}
        threads = [
            threading.Thread(target=lambda s=seed: results.update({s: list(sessions[s])}), daemon=True)
            for seed in sessions
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(HANG_SECONDS)
        assert results == {seed: alone(fake, seed) for seed in sessions}


def test_what_a_fetch_raises_is_the_consumers_and_frees_the_row(fake):
    def fail():
        raise OSError("the line went dead")

    with Engine(fake.LM(), rows=1) as engine:
        session, made = submit(engine, fake, 1, Patient(fake.Sampler(1), {2}, fail)), []
        with pytest.raises(OSError, match="the line went dead"):
            made.extend(frame for frame in session)
        assert session.finish == "cancelled"
        assert engine.free_rows == 1


def test_a_sampler_that_fails_after_a_delivery_fails_as_the_model(fake):
    with Engine(fake.LM(), rows=1) as engine, pytest.raises(GenerationError, match="cannot sample"):
        list(submit(engine, fake, 1, Patient(fake.Sampler(1), {0}, broken=True)))


def test_one_that_waits_can_be_cancelled_and_leaves_its_row(fake):
    with Engine(fake.LM(), rows=1) as engine:
        session = submit(engine, fake, 1, Patient(fake.Sampler(1), {1}))
        while engine.step():
            pass
        assert session.awaiting
        session.cancel()
        assert not session.awaiting
        assert engine.free_rows == 1
        with pytest.raises(CancelledError):
            list(session)
