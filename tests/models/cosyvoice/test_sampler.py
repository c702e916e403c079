"""The sampler: lengths by text, stop codes, repetition, and turns of text and speech, by logits that are given."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from parlando.core.errors import ConfigError, GenerationError, PromptTooLongError, TextError
from parlando.core.types import Awaited, Frame, SamplingOptions, Voice
from parlando.engine.engine import Engine
from parlando.models.cosyvoice.config import DRAW_RULES, PUBLISHED_SAMPLING, LMConfig
from parlando.models.cosyvoice.lm import CosyVoiceLM
from parlando.models.cosyvoice.lm_inference import CosyVoiceTokenLM, Logits
from parlando.models.cosyvoice.parts.interleave import TextLimits
from parlando.models.cosyvoice.prompt import CosyVoicePromptBuilder
from parlando.models.cosyvoice.sampler import CosyVoiceSampler
from parlando.nn.sampling import Ranking

CONFIG = LMConfig(
    vocab_size=40, hidden_size=16, num_layers=1, num_heads=2, num_kv_heads=1, head_dim=8, intermediate_size=16,
    codebook_size=20, context_length=400, group_text_tokens=2, group_speech_tokens=3,
)  # fmt: skip
EOS, UNUSED, FILL = CONFIG.stop_codes
GREEDY = SamplingOptions(temperature=0.0, repetition_window=None, seed=0)
VOICE = Voice("a")


class Numbers:
    end_of_prompt = 39

    def encode(self, text, spell=None):
        return [int(word) for word in text.split()]

    def measure(self, text):
        return len(text.split()), 0

    def unread(self, text):
        return ""


BUILDER = CosyVoicePromptBuilder(Numbers(), CONFIG)


def wanting(*codes: int) -> Logits:
    """Logits that want these codes, the first one most."""
    logits = torch.zeros(1, 1, CONFIG.table_rows)
    for rank, code in enumerate(codes):
        logits[..., code] = 30.0 - rank
    return Logits(Ranking(logits, DRAW_RULES), 0)


def pieces(*words):
    return (f"{word} " for word in words)


def run(sampler, wants, limit=200):
    """Frames as S for speech or the token fed, for logits that always want the same."""
    order = []
    while len(order) < limit:
        frame = sampler.next(wants)
        if isinstance(frame, Awaited):
            frame.fetch()
        elif frame is None:
            return order
        else:
            order.append("S" if frame.codes else frame.token)
            if sampler.ended:
                return order
    return order


@pytest.mark.parametrize("stop", [EOS, UNUSED, FILL])
@pytest.mark.parametrize("num_tokens", [1, 4])
def test_no_stop_code_ends_before_2_frames_per_token_and_each_one_does_then(stop, num_tokens):
    prompt = BUILDER.build(" ".join(["7"] * num_tokens), VOICE)
    sampler = CosyVoiceSampler(CONFIG, prompt, GREEDY)
    frames = [sampler.next(wanting(stop, 5)) for _ in range(2 * num_tokens)]
    assert frames == [Frame(CONFIG.speech_id, (5,))] * (2 * num_tokens)
    assert sampler.next(wanting(stop, 5)) is None
    assert sampler.ended
    assert sampler.next(wanting(5)) is None


@pytest.mark.parametrize("num_tokens", [1, 4])
def test_20_frames_per_token_is_the_end(num_tokens):
    sampler = CosyVoiceSampler(CONFIG, BUILDER.build(" ".join(["7"] * num_tokens), VOICE), GREEDY)
    assert len(run(sampler, wanting(5))) == 20 * num_tokens


def test_reference_and_instruction_do_not_count_for_the_lengths():
    directed = replace(VOICE, description="1 2 3 4 5")
    sampler = CosyVoiceSampler(CONFIG, BUILDER.build("7", directed), GREEDY)
    assert len(run(sampler, wanting(EOS, 5))) == 2


def test_max_frames_counts_speech_only():
    prompt = BUILDER.build_arriving(pieces(1, 2, 3, 4, 5), VOICE)
    order = run(CosyVoiceSampler(CONFIG, prompt, replace(GREEDY, max_frames=5)), wanting(5))
    assert order == ["S", "S", "S", 3, 4, "S", "S"]


def test_text_that_arrives_alternates_with_speech_and_ends_as_a_whole_text_does():
    prompt = BUILDER.build_arriving(pieces(1, 2, 3, 4, 5), VOICE)
    assert prompt.tokens == (CONFIG.sos_id, 1, 2)
    order = run(CosyVoiceSampler(CONFIG, prompt, GREEDY), wanting(EOS, UNUSED, 5))
    assert order == ["S", "S", "S", 3, 4, "S", "S", "S", 5, CONFIG.task_id, "S", "S", "S", "S"]


def test_text_that_arrives_has_20_frames_per_token_at_most():
    prompt = BUILDER.build_arriving(pieces(1, 2, 3), VOICE)
    assert run(CosyVoiceSampler(CONFIG, prompt, GREEDY), wanting(5)).count("S") == 60


def test_a_request_for_text_is_no_frame_and_is_answered_with_text():
    prompt = BUILDER.build_arriving(pieces(1, 2, 3, 4, 5), VOICE)
    order = run(CosyVoiceSampler(CONFIG, prompt, GREEDY), wanting(FILL, 5), limit=4)
    assert order == [3, 4, 5, CONFIG.task_id]


def test_a_second_request_for_text_in_10_steps_is_drawn_anew():
    prompt = BUILDER.build_arriving(pieces(*range(1, 30)), VOICE)
    orders = [
        run(CosyVoiceSampler(CONFIG, prompt, replace(PUBLISHED_SAMPLING, seed=seed)), wanting(FILL), limit=8)
        for seed in range(5)
    ]
    assert orders == [[3, 4, "S", "S", "S", 5, 6, "S"]] * 5


@pytest.mark.parametrize("options", [GREEDY, replace(PUBLISHED_SAMPLING, seed=3)], ids=["greedy", "sampled"])
def test_frames_do_not_depend_on_the_pieces(options):
    torch.manual_seed(1)
    lm = CosyVoiceLM(CONFIG)
    for parameter in lm.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    token_lm, words = CosyVoiceTokenLM(lm.eval()), [str(number) for number in range(3, 16)]
    sources = [[" ".join(words)], [f"{word} " for word in words], ["3 4 5 6 ", "", "7 8 9 10 11", " 12 13 14 ", "15"]]
    with Engine(token_lm, rows=2, length=200) as engine:
        prompts = [BUILDER.build_arriving(source, VOICE) for source in sources]
        sessions = [engine.submit(prompt, CosyVoiceSampler(CONFIG, prompt, options), 80) for prompt in prompts]
        results = [(prompt.tokens, list(session)) for prompt, session in zip(prompts, sessions, strict=True)]
        assert engine.free_rows == 2
    assert results[0] == results[1] == results[2]
    assert sum(not frame.codes for frame in results[0][1]) == len(words) + 1 - (len(results[0][0]) - 1)


def test_a_second_sampler_of_a_prompt_says_the_same_text_again():
    prompt = BUILDER.build_arriving(pieces(1, 2, 3, 4, 5), VOICE)
    first, second = (run(CosyVoiceSampler(CONFIG, prompt, GREEDY), wanting(EOS, 5)) for _ in range(2))
    assert first == second


def broken():
    yield from ("1 ", "2 ", "3 ", "4 ")
    raise OSError("the line went dead")


@pytest.mark.parametrize(
    ("source", "kind", "message"),
    [
        (broken, OSError, "the line went dead"),
        (lambda: itertools.repeat("7 "), PromptTooLongError, "more than 12 tokens and has not ended"),
        (lambda: ["1 ", "2 ", "3 ", 4], TextError, "a piece of text is int"),
    ],
    ids=["fails", "never ends", "not text"],
)
@pytest.mark.parametrize("background", [True, False], ids=["worker", "pumped"])
def test_a_bad_source_reaches_its_caller_after_the_frames_before_it_and_nobody_else(source, kind, message, background):
    token_lm = CosyVoiceTokenLM(CosyVoiceLM(CONFIG).eval())
    builder = CosyVoicePromptBuilder(Numbers(), CONFIG, limits=TextLimits(most_tokens=12))
    other = builder.build("1 2 3", VOICE)
    with Engine(token_lm, rows=2, length=100) as engine:
        if background:
            engine.start()
        prompt = builder.build_arriving(source(), VOICE)
        session = engine.submit(prompt, CosyVoiceSampler(CONFIG, prompt, GREEDY))
        neighbour = engine.submit(other, CosyVoiceSampler(CONFIG, other, GREEDY), 9)
        made = []
        with pytest.raises(kind, match=message):
            made.extend(frame for frame in session)
        assert sum(bool(frame.codes) for frame in made) >= 3
        assert len(list(neighbour)) == 9
        assert engine.free_rows == 2


def test_an_empty_source_is_an_error_before_anything_runs():
    with pytest.raises(TextError, match="nothing to pronounce"):
        BUILDER.build_arriving([], VOICE)


def test_published_sampling_never_repeats_within_10_frames():
    sampler = CosyVoiceSampler(CONFIG, BUILDER.build("7 8", VOICE), replace(PUBLISHED_SAMPLING, seed=1))
    codes = [sampler.next(wanting(4)).codes[0] for _ in range(4)]
    assert codes[0] == 4
    assert 4 not in codes[1:]
    assert len(sampler._history) == 4


def test_seeds_and_options():
    prompt = BUILDER.build("7 8 9", VOICE)
    flat = Logits(Ranking(torch.zeros(1, 1, CONFIG.table_rows), DRAW_RULES), 0)

    def drawn(seed):
        sampler = CosyVoiceSampler(CONFIG, prompt, replace(PUBLISHED_SAMPLING, seed=seed))
        return [sampler.next(flat).codes for _ in range(6)]

    assert drawn(7) == drawn(7) != drawn(8)
    assert CosyVoiceSampler(CONFIG, prompt, replace(GREEDY, seed=7)).seed == 7
    with pytest.raises(ConfigError, match=r"sampling\.top_p"):
        CosyVoiceSampler(CONFIG, prompt, SamplingOptions(top_p=0.0))


def test_broken_logits_are_an_error():
    sampler = CosyVoiceSampler(CONFIG, BUILDER.build("7", VOICE), GREEDY)
    with pytest.raises(GenerationError, match="not finite"):
        sampler.next(Logits(Ranking(torch.full((1, 1, CONFIG.table_rows), np.nan)), 0))


AGREEING = replace(CONFIG, codebook_size=27, consensus_draws=64)
DRAWING = SamplingOptions(temperature=1.0, top_k=None, top_p=None, repetition_window=None, seed=3)


def likely(shares: dict[int, float]) -> Logits:
    logits = torch.full((1, 1, AGREEING.table_rows), float("-inf"))
    for code, share in shares.items():
        logits[..., code] = math.log(share)
    return Logits(Ranking(logits, DRAW_RULES), 0)


def said(config, shares, count=100, **options):
    prompt = BUILDER.build(" ".join(["1"] * 30), VOICE)
    sampler = CosyVoiceSampler(config, prompt, replace(DRAWING, **options))
    return [sampler.next(likely(shares)).codes[0] for _ in range(count)]


def test_a_consensus_has_the_digits_that_most_draws_have():
    """111 in base 3 is 13; 112, 121 and 211 differ from it in one digit each, and from each other in two."""
    shares = {13: 0.25, 14: 0.25, 16: 0.25, 22: 0.25}
    assert set(said(AGREEING, shares)) == {13}
    assert set(said(replace(AGREEING, consensus_draws=1), shares)) == {13, 14, 16, 22}
    few = said(replace(AGREEING, consensus_draws=4), shares)
    assert 0.3 < few.count(13) / len(few) < 1.0
    assert few == said(replace(AGREEING, consensus_draws=4), shares), "a seed repeats"
    assert few != said(replace(AGREEING, consensus_draws=4), shares, seed=4)


def test_a_consensus_does_not_repeat_what_was_drawn_anew():
    codes = said(AGREEING, {13: 0.4, 14: 0.3, 16: 0.3}, repetition_window=4, repetition_limit=1)
    assert max(codes.count(code) for code in (13, 14, 16)) < 60


def test_a_consensus_never_overrules_the_end():
    prompt = BUILDER.build("1 2", VOICE)
    sampler = CosyVoiceSampler(replace(AGREEING, min_frames_per_token=0.0), prompt, DRAWING)
    assert sampler.next(likely({AGREEING.eos: 1.0})) is None
    assert sampler.ended


def test_a_sound_that_lasts_too_long_is_drawn_from_a_wider_choice():
    def codes(patience):
        options = replace(GREEDY, temperature=0.1, top_p=0.9, seed=1, patience_frames=patience)
        prompt = replace(BUILDER.build("1 2 3", VOICE), sentence_positions=(0, 3))
        likely = torch.nn.functional.one_hot(torch.tensor([[5]]), CONFIG.table_rows).float()
        logits = Logits(Ranking(likely, DRAW_RULES), 0, place=1)
        sampler = CosyVoiceSampler(CONFIG, prompt, options)
        return [frame.codes for frame in iter(lambda: sampler.next(logits), None)][:40]

    steady = codes(None)
    assert steady == [(5,)] * 40
    assert codes(8)[:8] == steady[:8]
    assert codes(8) != steady
