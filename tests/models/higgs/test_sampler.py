"""The sampler against tables, against a plain model of the published rules, and its modes, history and seeds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from parlando.core.errors import ConfigError, GenerationError
from parlando.core.types import NOWHERE, Frame, Prompt, SamplingOptions
from parlando.models.higgs.config import LMConfig
from parlando.models.higgs.parts.delay import Undelay, build_delay
from parlando.models.higgs.sampler import HiggsSampler, Ramp
from parlando.nn.sampling import Ranking

K, SIZE = 4, 8
BOS, EOS = SIZE, SIZE + 1
VOCAB = 12
TEXT, AUDIO_IN, AUDIO_OUT, DELAY, OUT_BOS, AUDIO_EOS, EOT, PAD = 0, 4, 5, 6, 7, 8, 9, 10
CONFIG = LMConfig(
    vocab_size=VOCAB, hidden_size=8, num_layers=1, num_heads=1, num_kv_heads=1, head_dim=8, intermediate_size=8,
    num_codebooks=K, codebook_size=SIZE, context_length=64, audio_out_id=AUDIO_OUT, audio_out_bos_id=OUT_BOS,
    eot_id=EOT, end_of_text_id=PAD, audio_in_id=AUDIO_IN, audio_bos_id=3, audio_eos_id=AUDIO_EOS, delay_id=DELAY,
)  # fmt: skip
GREEDY = SamplingOptions(temperature=0.0, top_k=None, top_p=None, repetition_window=None, seed=0)


class FakeLogits:
    """The logits of a step with one row."""

    def __init__(self, audio: torch.Tensor, text: torch.Tensor | None = None) -> None:
        self.ranking, self.row, self.text = Ranking(audio[None]), 0, text
        self.place = NOWHERE


def wanting(codes, token: int | None = None) -> FakeLogits:
    """Logits whose greedy choice is these codes and that token."""
    audio = torch.nn.functional.one_hot(torch.tensor(codes), SIZE + 2).float()
    text = None if token is None else torch.nn.functional.one_hot(torch.tensor(token), VOCAB).float()
    return FakeLogits(audio, text)


def prompt(*tokens: int, codes=None) -> Prompt:
    codes = np.zeros((0, K), dtype=np.int64) if codes is None else np.asarray(codes)
    mask = np.isin(tokens, (AUDIO_IN, AUDIO_OUT, DELAY))
    return Prompt(tokens, mask, codes)


def run(draws, layout="original", options=GREEDY) -> list[tuple[int, ...]]:
    """The frames of a speech-only request that wants these codes, one row per step after the BOS frame."""
    sampler = HiggsSampler(CONFIG, prompt(OUT_BOS), options, layout)
    logits = [wanting([0] * K), *(wanting(row) for row in draws)]
    frames = [sampler.next(step) for step in logits]
    made = [frame for frame in frames if frame is not None]
    assert frames[: len(made)] == made
    return [frame.codes for frame in made]


def test_first_frame_is_forced_and_codebooks_begin_one_by_one():
    assert run([[1, 2, 3, 4]] * 4) == [
        (BOS, BOS, BOS, BOS),
        (1, BOS, BOS, BOS),
        (1, 2, BOS, BOS),
        (1, 2, 3, BOS),
        (1, 2, 3, 4),
    ]


def eos_at(codebook: int) -> list[list[int]]:
    """Four frames of ramp, then EOS in one codebook, then codes for ever."""
    first = [1, 1, 1, 1]
    first[codebook] = EOS
    return [[1, 1, 1, 1]] * K + [first] + [[2, 2, 2, 2]] * 10


@pytest.mark.parametrize(
    ("codebook", "tail"),
    [
        (0, [(EOS, 1, 1, 1), (EOS, 2, 2, 2), (EOS, EOS, 2, 2), (EOS, EOS, EOS, 2)]),
        (1, [(EOS, EOS, 1, 1), (EOS, EOS, 2, 2), (EOS, EOS, EOS, 2)]),
        (2, [(EOS, EOS, EOS, 1), (EOS, EOS, EOS, 2)]),
        (3, [(EOS, EOS, EOS, EOS)]),
    ],
)
def test_original_ending_starts_at_the_lowest_codebook_that_says_eos(codebook, tail):
    assert run(eos_at(codebook))[K + 1 :] == tail


@pytest.mark.parametrize(
    ("codebook", "first"),
    [(0, (EOS, 1, 1, 1)), (1, (1, EOS, 1, 1)), (2, (1, 1, EOS, 1)), (3, (1, 1, 1, EOS))],
)
def test_transformers_ending_always_unwinds_from_codebook_0_to_one_frame_of_eos(codebook, first):
    unwinding = [(EOS, 2, 2, 2), (EOS, EOS, 2, 2), (EOS, EOS, EOS, 2), (EOS, EOS, EOS, EOS)]
    assert run(eos_at(codebook), "transformers")[K + 1 :] == [first, *unwinding]


def test_lowest_of_several_eos_counts():
    draws = [[1, 1, 1, 1]] * K + [[1, EOS, EOS, 1]] + [[2, 2, 2, 2]] * 9
    assert run(draws)[K + 1 :] == [(EOS, EOS, EOS, 1), (EOS, EOS, 2, 2), (EOS, EOS, EOS, 2)]


@pytest.mark.parametrize("layout", ["original", "transformers"])
@pytest.mark.parametrize("num_frames", [0, 1, 2, 3, 7])
def test_a_model_that_says_a_delayed_clip_gets_exactly_that_clip(layout, num_frames):
    codes = np.random.default_rng(num_frames).integers(0, SIZE, (K, num_frames))
    delayed = build_delay(codes, BOS, EOS)
    assert run([*delayed.T[1:].tolist(), *[[0] * K] * 5], layout) == [tuple(frame) for frame in delayed.T.tolist()]
    assert np.array_equal(Undelay(K, BOS, EOS).push_all(delayed.T), codes)


def published_rules(draws: list[list[int]], ending: str) -> list[list[int]]:
    """The published audio step, written as the two generators state it."""
    frames: list[list[int]] = []
    num_delay, remaining, countdown = 0, None, None
    for drawn in draws:
        frame = list(drawn)
        if num_delay + 1 < len(frame):
            for codebook in range(num_delay + 1, len(frame)):
                frame[codebook] = BOS
            num_delay += 1
        if ending == "original":
            if remaining is not None:
                for codebook in range(len(frame) - remaining):
                    frame[codebook] = EOS
                remaining -= 1
            elif EOS in frame:
                lowest = min(codebook for codebook, code in enumerate(frame) if code == EOS)
                for codebook in range(lowest):
                    frame[codebook] = EOS
                remaining = len(frame) - lowest - 1
            frames.append(frame)
            if remaining is not None and remaining <= 0:
                return frames
        else:
            if countdown is not None:
                countdown = [count - 1 for count in countdown]
                frame = [EOS if count <= 0 else code for count, code in zip(countdown, frame, strict=True)]
            frames.append(frame)
            if countdown is None and EOS in frame:
                countdown = list(range(1, len(frame) + 1))
            if all(code == EOS for code in frame):
                return frames
    return frames


@given(
    ending=st.sampled_from(["original", "transformers"]),
    draws=st.integers(1, 9).flatmap(
        lambda k: st.lists(
            st.lists(st.sampled_from([0, 1, 2, 3, 4, 5, 6, BOS, EOS]), min_size=k, max_size=k), max_size=25
        )
    ),
)
@settings(max_examples=300, deadline=None)
def test_ramp_equals_the_published_rules(ending, draws):
    ramp = Ramp(len(draws[0]) if draws else 1, BOS, EOS, ending)
    frames = []
    for drawn in draws:
        frames.append(ramp.constrain(drawn))
        if ramp.over:
            break
    assert frames == published_rules(draws, ending)


@pytest.mark.parametrize("ending", ["original", "transformers"])
@pytest.mark.parametrize("cut", range(2, 12))
def test_ramp_resumes_in_the_middle_of_a_clip(ending, cut):
    delayed = build_delay(np.ones((K, 6), dtype=np.int64), BOS, EOS).T.tolist()
    ramp = Ramp(K, BOS, EOS, ending)
    ramp.resume(delayed[cut - 1])
    rest = []
    for _ in delayed[cut:]:
        if ramp.over:
            break
        rest.append(ramp.constrain(delayed[cut + len(rest)]))
    assert rest == delayed[cut:]


def test_resumed_request_goes_on_without_a_bos_frame_or_ends_at_once():
    delayed = build_delay(np.ones((K, 3), dtype=np.int64), BOS, EOS).T
    cut = prompt(OUT_BOS, *[AUDIO_OUT] * 3, codes=delayed[:3])
    assert HiggsSampler(CONFIG, cut, GREEDY).next(wanting([7] * K)) == Frame(AUDIO_OUT, (7, 7, 7, BOS))
    whole = prompt(OUT_BOS, *[AUDIO_OUT] * len(delayed), codes=delayed)
    assert HiggsSampler(CONFIG, whole, GREEDY).next(wanting([7] * K)) is None


def test_transformers_layout_marks_ending_frames_with_the_delay_token():
    sampler = HiggsSampler(CONFIG, prompt(OUT_BOS), GREEDY, "transformers")
    tokens = [sampler.next(wanting(row)).token for row in [[1] * K] * (K + 1) + [[1, 1, EOS, 1], [1] * K]]
    assert tokens == [AUDIO_OUT] * (K + 1) + [DELAY, DELAY]


def test_speech_only_request_ends_with_its_clip_and_stays_ended():
    sampler = HiggsSampler(CONFIG, prompt(OUT_BOS), GREEDY)
    steps = [wanting([1] * K)] * (K + 1) + [wanting([1, 1, 1, EOS])]
    assert [sampler.next(step) is None for step in steps] == [False] * len(steps)
    assert sampler.ended
    assert sampler.next(steps[0]) is None
    assert sampler.next(steps[0]) is None


def test_text_mode_speaks_a_clip_and_returns_to_text_until_a_stop_token():
    sampler = HiggsSampler(CONFIG, prompt(TEXT), GREEDY, speech_only=False)
    clip = [wanting([1] * K)] * K + [wanting([1, 1, 1, EOS])]
    steps = [wanting([1] * K, 2), wanting([1] * K, OUT_BOS), wanting([1] * K, 2), *clip]
    steps += [wanting([1] * K, 2), wanting([1] * K, 1), wanting([1] * K, EOT), wanting([1] * K, 1)]
    frames = [sampler.next(step) for step in steps]
    assert frames[:3] == [Frame(2), Frame(OUT_BOS), Frame(AUDIO_OUT, (BOS,) * K)]
    assert frames[7] == Frame(AUDIO_OUT, (EOS,) * K)
    assert frames[8:] == [Frame(AUDIO_EOS), Frame(1), None, None]


@pytest.mark.parametrize("placeholder", [AUDIO_IN, AUDIO_OUT, DELAY])
def test_text_mode_never_says_a_placeholder(placeholder):
    text = torch.zeros(VOCAB)
    text[placeholder], text[1] = 9.0, 5.0
    sampler = HiggsSampler(CONFIG, prompt(TEXT), GREEDY, speech_only=False)
    assert sampler.next(FakeLogits(torch.zeros(K, SIZE + 2), text)) == Frame(1)


def test_text_without_text_logits_is_explained():
    with pytest.raises(GenerationError, match="speaks only"):
        HiggsSampler(CONFIG, prompt(TEXT), GREEDY).next(wanting([1] * K))


def test_max_frames_cuts():
    options = SamplingOptions(temperature=0.0, repetition_window=None, max_frames=3)
    assert len(run([[1] * K] * 9, options=options)) == 3


def test_options_out_of_range_are_refused():
    with pytest.raises(ConfigError, match=r"sampling\.top_p"):
        HiggsSampler(CONFIG, prompt(OUT_BOS), SamplingOptions(top_p=0.0))


def random_frames(seed: int | None, count: int = 30) -> list[tuple[int, ...]]:
    sampler = HiggsSampler(CONFIG, prompt(OUT_BOS), SamplingOptions(temperature=1.0, seed=seed))
    logits = FakeLogits(torch.zeros(K, SIZE + 2).index_fill(1, torch.tensor([BOS, EOS]), float("-inf")))
    return [sampler.next(logits).codes for _ in range(count)]


def test_equal_seeds_give_equal_frames_and_no_seed_gives_others():
    assert random_frames(7) == random_frames(7)
    assert random_frames(7) != random_frames(8)
    assert random_frames(None) != random_frames(None)
    assert HiggsSampler(CONFIG, prompt(OUT_BOS), SamplingOptions(seed=7)).seed == 7


def test_history_is_the_last_spoken_frames_of_prompt_and_clip():
    spoken = build_delay(np.full((K, 2), 3), BOS, EOS).T
    heard = build_delay(np.full((K, 2), 5), BOS, EOS).T
    given_prompt = prompt(
        *[AUDIO_OUT] * len(spoken), *[AUDIO_IN] * len(heard), OUT_BOS, codes=np.concatenate([spoken, heard])
    )
    options = SamplingOptions(repetition_window=3, seed=0)
    sampler = HiggsSampler(CONFIG, given_prompt, options)
    assert sampler._history.tolist() == spoken[-3:].tolist()
    sampler.next(wanting([1] * K))
    assert sampler._history.tolist() == [*spoken[-2:].tolist(), [BOS] * K]
    counted = HiggsSampler(CONFIG, given_prompt, options, "transformers")._history
    assert not (counted >= BOS).any()
    assert (counted == 3).sum() == (spoken[-3:] == 3).sum() > 0


def test_repetition_is_redrawn_from_the_whole_distribution():
    sharp = torch.zeros(K, SIZE + 2).index_fill(1, torch.tensor([BOS, EOS]), float("-inf"))
    sharp[:, 2] = 0.1
    options = SamplingOptions(temperature=1.0, top_k=1, repetition_window=4, repetition_limit=2, seed=1)
    sampler = HiggsSampler(CONFIG, prompt(OUT_BOS), options)
    first_codebook = [sampler.next(FakeLogits(sharp)).codes[0] for _ in range(20)]
    assert first_codebook[:3] == [BOS, 2, 2]
    assert len(set(first_codebook[3:])) > 1


def frames_that_stay_at(place: int, patience: int | None) -> list[tuple[int, ...]]:
    """A sentence of three tokens whose model stays at one of them, where one code is far likelier than the others."""
    options = SamplingOptions(
        temperature=0.1, top_k=None, top_p=0.9, repetition_window=None, seed=1, patience_frames=patience
    )
    sampler = HiggsSampler(CONFIG, replace(prompt(1, 2, 11, OUT_BOS), sentence_positions=(0, 3)), options)
    logits = wanting([3] * K)
    logits.ranking.logits[..., SIZE:] = float("-inf")
    logits.place = place
    frames = [sampler.next(logits) for _ in range(40)]
    return [frame.codes for frame in frames[K:] if frame is not None]


def test_a_sound_that_lasts_too_long_is_drawn_from_a_wider_choice():
    steady = [(3,) * K] * (40 - K)
    assert frames_that_stay_at(1, None) == steady
    impatient = frames_that_stay_at(1, 8)
    assert impatient[: 8 - K] == steady[: 8 - K]
    assert impatient != steady


def test_the_end_of_a_sentence_is_not_hurried():
    assert frames_that_stay_at(2, 8) == frames_that_stay_at(2, None)
