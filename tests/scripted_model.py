"""A model of plain Python: as loud and as long as a test says, in no time."""

from __future__ import annotations

import re

import numpy as np

from parlando.core.types import NOWHERE, Frame, Notation, Prompt, Reference, SamplingOptions, Voice

RATE, PER_FRAME, LOUD, QUIET = 1000, 100, 1, 0
FRAMES_PER_WORD = 10


class Cache:
    position_bytes = 1

    def __init__(self, rows):
        self.lengths = [0] * rows

    def free(self, row):
        self.lengths[row] = 0

    def length(self, row):
        return self.lengths[row]

    def park(self, row):
        parked, self.lengths[row] = self.lengths[row], 0
        return parked

    def resume(self, row, parked):
        self.lengths[row] = parked


class LM:
    context_length = 500

    def __init__(self):
        self.steps = 0
        self.fail_at = None

    def new_cache(self, rows, length):
        return Cache(rows)

    def prefill(self, prompt, cache, row, start=0):
        cache.lengths[row] = len(prompt)
        return row

    def step(self, frames, cache):
        self.steps += 1
        if self.steps == self.fail_at:
            raise RuntimeError("out of memory")
        for row, frame in enumerate(frames):
            cache.lengths[row] += frame is not None
        return list(range(len(frames)))


class Script:
    """Frames that count up, so that no loop is seen; ``plan`` says how loud each is, and every tenth begins a word."""

    def __init__(self, plan, tells_places=False):
        self.plan, self.tells_places = iter(plan), tells_places
        self.number = 0
        self.ended = False

    def next(self, logits):
        self.number += 1
        loud = next(self.plan, None)
        place = (self.number - 1) // FRAMES_PER_WORD if self.tells_places else NOWHERE
        return None if loud is None else Frame(0, (loud, self.number), place)


class Stream:
    def push(self, frames, final):
        wave = [np.full(PER_FRAME, 0.5 * frame.codes[0] * (-1) ** frame.codes[1], np.float32) for frame in frames]
        return np.concatenate([np.zeros(0, np.float32), *wave])

    def frames_until(self, sounding):
        return sounding


class Decoder:
    sample_rate, samples_per_frame = RATE, PER_FRAME

    def open(self, prompt, speed=1.0):
        return Stream()


class Prompts:
    def build(self, sentence, voice):
        frames = float(len(sentence.split()) * FRAMES_PER_WORD)
        return Prompt((1, 2, 3), np.zeros(3, bool), np.zeros((0, 2), np.int64), sentence, frames)

    def spans(self, sentence):
        return [word.span() for word in re.finditer(r"\S+", sentence)]


class Model:
    """Says ten loud frames per word, unless ``plans`` has something else for a seed; may tell which word that is."""

    name, family, sample_rate, frame_rate = "fake", "fake", RATE, RATE / PER_FRAME
    default_voice, sampling, needs_transcript = "ada", SamplingOptions(), True
    takes_instructions, arriving, converter = False, None, None
    notation = Notation()

    def __init__(self, plans=None, tells_places=False):
        self.tells_places = tells_places
        self.plans = {} if plans is None else plans
        self.seeds = []
        self.lm, self.decoder, self.prompts = LM(), Decoder(), Prompts()
        self.voices = {"ada": Voice("ada"), "bob": Voice("bob")}

    def new_sampler(self, prompt, options):
        self.seeds.append(options.seed)
        normal = [LOUD] * int(prompt.expected_frames)
        plan = self.plans.get(options.seed, normal)
        return Script(plan(prompt) if callable(plan) else plan, self.tells_places)

    def refer(self, text, samples, sample_rate):
        return Reference(text, self.encode(samples, sample_rate))

    def encode(self, samples, sample_rate):
        return np.arange(6).reshape(2, 3)


def always(plan):
    class Everywhere(dict):
        def get(self, key, default=None):
            return plan

    return Everywhere()
