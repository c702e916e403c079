"""What is kept of voices: found by what it is, bounded, and the frames the same with it and without."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from parlando.core.types import Prompt
from parlando.engine import runner as runner_module
from parlando.engine.engine import Engine
from parlando.engine.prefixes import PrefixCounts, Prefixes


def beginning(*tokens, mask=None, codes=()):
    mask = np.zeros(len(tokens), bool) if mask is None else np.array(mask, bool)
    return Prompt(tokens, mask, np.array(codes, np.int64).reshape(-1, 1))


def test_what_was_kept_is_found_by_what_it_is_and_counted():
    prefixes = Prefixes(1000, 10)
    assert prefixes.find(beginning(1, 2, 3)) is None
    prefixes.keep(beginning(1, 2, 3), "held")
    assert prefixes.find(replace(beginning(1, 2, 3), sentence="another", unread="word")) == "held"
    assert prefixes.counts == PrefixCounts(hits=1, misses=1, held_bytes=30)


@pytest.mark.parametrize(
    "other",
    [
        beginning(1, 2),
        beginning(1, 2, 4),
        beginning(1, 2, 3, mask=[False, False, True], codes=[6]),
        beginning(1, 2, 3, mask=[False, True, False], codes=[5]),
    ],
)
def test_no_other_beginning_is_taken_for_it(other):
    """A voice that replaces one of the same name has other codes, if nothing else."""
    prefixes = Prefixes(1000, 10)
    prefixes.keep(beginning(1, 2, 3, mask=[False, False, True], codes=[5]), "held")
    assert prefixes.find(other) is None


def test_who_was_not_asked_for_the_longest_goes_first():
    prefixes = Prefixes(60, 10)
    for token in (1, 2, 3):
        prefixes.keep(beginning(token, token), token)
    assert prefixes.find(beginning(1, 1)) == 1
    prefixes.keep(beginning(4, 4, 4, 4), 4)
    assert prefixes.counts.held_bytes == 60
    assert [prefixes.find(beginning(token, token)) for token in (1, 2, 3)] == [1, None, None]
    assert prefixes.find(beginning(4, 4, 4, 4)) == 4


def test_memory_is_bounded_whatever_comes():
    prefixes = Prefixes(100, 10)
    for length in (3, 9, 11, 1, 10, 4, 30, 2):
        prefixes.keep(beginning(*range(length)), length)
        assert prefixes.counts.held_bytes <= 100
    assert prefixes.find(beginning(*range(11))) is None, "longer than all that may be kept"
    assert prefixes.find(beginning(*range(2))) == 2


def voiced(fake, seed, shared=8, length=12, voice=7):
    """A sentence of a voice, whose positions are those before ``shared``."""
    tokens = (*fake.prompt(voice, length=shared).tokens, *fake.prompt(seed, length=length - shared).tokens)
    return replace(fake.prompt(seed, length=length), tokens=tokens, voice_positions=shared)


def test_a_voice_is_read_once_for_all_that_it_says(fake):
    lm = fake.LM()
    with Engine(lm, rows=2) as engine:
        prompts = [voiced(fake, seed) for seed in range(4)] * 2
        sessions = [engine.submit(prompt, fake.Sampler(seed)) for seed, prompt in enumerate(prompts)]
        made = [list(session) for session in sessions]
        assert engine.metrics().prefixes == PrefixCounts(hits=7, misses=1, held_bytes=80)
        assert engine.metrics().prefills == 8
    assert made == [fake.frames_alone(prompt, fake.Sampler(seed)) for seed, prompt in enumerate(prompts)]
    assert lm.prefilled_positions == 8 + 8 * 4


def test_a_prompt_without_a_voice_or_with_little_of_it_is_read_as_a_whole(fake):
    lm = fake.LM()
    with Engine(lm, rows=1) as engine:
        for prompt in (voiced(fake, 1, shared=7), voiced(fake, 1, shared=12), fake.prompt(1)):
            assert list(engine.submit(prompt, fake.Sampler(3))) == fake.frames_alone(prompt, fake.Sampler(3))
        assert engine.metrics().prefixes == PrefixCounts()
    assert lm.calls.count(("prefill", 0)) == 3


def test_frames_are_the_same_when_there_is_no_room_to_keep_anything(fake, monkeypatch):
    monkeypatch.setattr(runner_module, "LEAST_PREFIX_BYTES", 0)
    lm = fake.LM()
    with Engine(lm, rows=1, length=24) as engine:
        prompts = [voiced(fake, 1, voice=voice, shared=20, length=22) for voice in (1, 2, 1)]
        made = [list(engine.submit(prompt, fake.Sampler(9, frames=2))) for prompt in prompts]
        assert engine.metrics().prefixes == PrefixCounts(hits=0, misses=3, held_bytes=200)
    assert made == [fake.frames_alone(prompt, fake.Sampler(9, frames=2)) for prompt in prompts]


def test_what_could_not_be_read_is_not_kept(fake):
    lm = fake.LM()
    with Engine(lm, rows=1) as engine:
        broken = engine.submit(replace(voiced(fake, 1), sentence="broken"), fake.Sampler(3))
        with pytest.raises(Exception, match="no such prompt"):
            list(broken)
        prompt = voiced(fake, 1)
        assert list(engine.submit(prompt, fake.Sampler(3))) == fake.frames_alone(prompt, fake.Sampler(3))
        assert engine.metrics().prefixes == PrefixCounts(hits=0, misses=2, held_bytes=80)
