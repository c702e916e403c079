"""The CosyVoice LM against the reference's tensors, alone and in the engine, its cache, and batches against rows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from parlando.core.errors import GenerationError, PromptTooLongError
from parlando.core.types import Frame, SamplingOptions, Voice
from parlando.engine.engine import Engine
from parlando.models.cosyvoice.config import LMConfig
from parlando.models.cosyvoice.lm import CosyVoiceLM
from parlando.models.cosyvoice.lm_inference import CosyVoiceTokenLM, Logits
from parlando.models.cosyvoice.lm_weights import load_published_lm
from parlando.models.cosyvoice.parts.interleave import ArrivingText, Interleaver
from parlando.models.cosyvoice.prompt import CosyVoicePromptBuilder, SpeechPrompt
from parlando.models.cosyvoice.sampler import CosyVoiceSampler
from parlando.nn.sampling import Ranking

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "cosyvoice"
IO = load_file(GOLDEN / "llm_io.safetensors")
SIZES = json.loads((GOLDEN / "llm.json").read_text())
CONFIG = LMConfig(
    vocab_size=SIZES["vocab_size"],
    hidden_size=SIZES["hidden_size"],
    num_layers=SIZES["num_hidden_layers"],
    num_heads=SIZES["num_attention_heads"],
    num_kv_heads=SIZES["num_key_value_heads"],
    head_dim=SIZES["hidden_size"] // SIZES["num_attention_heads"],
    intermediate_size=SIZES["intermediate_size"],
    codebook_size=SIZES["speech_token_size"],
    context_length=256,
)
PROMPT_TEXT, TEXT, SPEECH, GREEDY_TOKENS = (
    tuple(IO[name].flatten().tolist()) for name in ("prompt_text", "text", "prompt_speech", "greedy_tokens")
)
BISTREAM = IO["bistream_first_tokens"].tolist()
# The model asks for text by itself after 1, 16 and 29 codes; 15 of its 16 tokens of text are then fed.
BEFORE_FEEDING_TWICE = 29
GREEDY = SamplingOptions(temperature=0.0, repetition_window=None)


@pytest.fixture(scope="module")
def lm() -> CosyVoiceLM:
    return load_published_lm(GOLDEN / "llm.safetensors", CONFIG)


@pytest.fixture(scope="module")
def token_lm(lm) -> CosyVoiceTokenLM:
    return CosyVoiceTokenLM(lm)


class Numbers:
    """A tokenizer whose text is its ids."""

    end_of_prompt = 1

    def encode(self, text, spell=None):
        return [int(word) for word in text.split()]

    def measure(self, text):
        return len(text.split()), 0

    def unread(self, text):
        return ""


class GoldenDraw:
    """The rule of the golden tokens around a sampler: what was drawn in the last 12 steps is out, and so are others.

    ``feeds_twice``: like the reference, feed the last code once more before the last of a text that arrives.
    """

    def __init__(self, sampler, forbidden, feeds_twice=False):
        self.sampler, self.forbidden, self.feeds_twice = sampler, forbidden, feeds_twice
        self.drawn, self.delayed, self.ended = [], [], False

    def next(self, logits):
        if self.delayed:
            return self.delayed.pop()
        masked = logits.ranking.logits[logits.row : logits.row + 1].clone()
        masked[..., [*self.forbidden, *self.drawn[-12:]]] = float("-inf")
        frame = self.sampler.next(Logits(Ranking(masked), 0))
        self.ended = self.sampler.ended
        if isinstance(frame, Frame) and frame.codes:
            self.drawn += frame.codes
        elif self.drawn and self.drawn[-1] != CONFIG.fill:
            self.drawn.append(CONFIG.fill)
        if self.feeds_twice and self.sampler._turns.is_last and isinstance(frame, Frame):
            self.feeds_twice = False
            self.delayed.append(frame)
            return Frame(CONFIG.speech_id, (self.drawn[-2],))
        return frame


def words(ids):
    return " ".join(map(str, ids))


def golden_prompt(text=TEXT, speech=SPEECH) -> SpeechPrompt:
    values = [CONFIG.sos_id, *PROMPT_TEXT, *text, CONFIG.task_id]
    tokens = (*values, *[CONFIG.speech_id] * len(speech))
    return SpeechPrompt(
        tokens,
        np.array(tokens) == CONFIG.speech_id,
        np.array([speech], dtype=np.int64).T,
        text_tokens=len(text),
        voice=None,
    )


def arriving_prompt() -> SpeechPrompt:
    """Token by token, as golden: every piece is one id, after the text of the prompt."""
    text = ArrivingText([f"{token} " for token in TEXT], lambda part: Numbers().encode(part))
    turns = Interleaver(text, PROMPT_TEXT, CONFIG.task_id, *SIZES["mix_ratio"])
    opening, _ = turns.opening(())
    tokens = (CONFIG.sos_id, *opening)
    return SpeechPrompt(tokens, np.zeros(len(tokens), bool), np.zeros((0, 1), np.int64), turns=turns)


def golden_sampler(prompt, feeds_twice=False) -> GoldenDraw:
    fills = () if prompt.turns else (CONFIG.fill,)
    sampler = CosyVoiceSampler(CONFIG, prompt, replace(GREEDY, max_frames=len(BISTREAM)))
    return GoldenDraw(sampler, (CONFIG.eos + 1, *fills), feeds_twice)


def codes_of(frames) -> list[int]:
    return [frame.codes[0] for frame in frames if frame.codes]


def random_prompt(length: int, seed: int) -> SpeechPrompt:
    rng = np.random.default_rng(seed)
    mask = rng.random(length) < 0.5
    tokens = np.where(mask, CONFIG.speech_id, rng.integers(0, CONFIG.vocab_size + 2, length))
    return SpeechPrompt(tuple(tokens.tolist()), mask, rng.integers(0, 81, (int(mask.sum()), 1)))


def frames_of(prompt) -> list[Frame]:
    codes = iter(prompt.codes[:, 0].tolist())
    return [
        Frame(token, (next(codes),) if speech else ())
        for token, speech in zip(prompt.tokens, prompt.audio_mask, strict=True)
    ]


def inputs_of(prompt) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    frames = frames_of(prompt)
    tokens = torch.tensor([[frame.token for frame in frames]])
    codes = torch.tensor([[frame.codes[0] if frame.codes else -7 for frame in frames]])
    return tokens, codes, torch.from_numpy(prompt.audio_mask)[None]


def row_of(logits: Logits) -> torch.Tensor:
    return logits.ranking.logits[logits.row, 0]


def assert_close(got: Logits | None, expected: Logits | None) -> None:
    assert got is not None
    assert expected is not None
    torch.testing.assert_close(row_of(got), row_of(expected), atol=1e-4, rtol=0)


WHOLE = golden_prompt(speech=(*SPEECH, *GREEDY_TOKENS[:-1]))


def test_teacher_forced_logits_equal_the_reference(lm):
    with torch.no_grad():
        logits = lm.speech_logits(lm(*inputs_of(WHOLE)))
    torch.testing.assert_close(logits, IO["teacher_forced_logits"], atol=1e-4, rtol=0)


@pytest.mark.parametrize("length", [1, 6, 17, 18, 50, 71])
def test_prefill_equals_the_reference(token_lm, length):
    count = int(WHOLE.audio_mask[:length].sum())
    prompt = SpeechPrompt(WHOLE.tokens[:length], WHOLE.audio_mask[:length], WHOLE.codes[:count])
    cache = token_lm.new_cache(1, 128)
    logits = row_of(token_lm.prefill(prompt, cache, 0))
    assert cache.length(0) == length
    torch.testing.assert_close(logits, IO["teacher_forced_logits"][0, length - 1], atol=1e-4, rtol=0)


def test_steps_equal_the_reference_at_every_position(token_lm):
    cache = token_lm.new_cache(1, 128)
    steps = torch.stack([row_of(token_lm.step([frame], cache)[0]) for frame in frames_of(WHOLE)])
    torch.testing.assert_close(steps, IO["teacher_forced_logits"][0], atol=1e-4, rtol=0)


def test_greedy_tokens_equal_the_reference_through_the_engine(token_lm):
    with Engine(token_lm, rows=1, length=128) as engine:
        prompt = golden_prompt()
        frames = list(engine.submit(prompt, golden_sampler(prompt), len(GREEDY_TOKENS)))
    assert codes_of(frames) == list(GREEDY_TOKENS)


def test_bistream_tokens_equal_the_reference_until_it_feeds_a_code_twice(token_lm):
    with Engine(token_lm, rows=1, length=128) as engine:
        prompt = arriving_prompt()
        frames = list(engine.submit(prompt, golden_sampler(prompt)))
    assert codes_of(frames)[:BEFORE_FEEDING_TWICE] == BISTREAM[:BEFORE_FEEDING_TWICE]
    fed = [frame.token for frame in frames if not frame.codes]
    assert (*prompt.tokens, *fed) == (CONFIG.sos_id, *PROMPT_TEXT, *TEXT, CONFIG.task_id), "each text position once"


def test_all_56_bistream_tokens_equal_the_reference_if_a_code_is_fed_twice(token_lm):
    with Engine(token_lm, rows=1, length=128) as engine:
        prompt = arriving_prompt()
        codes = codes_of(engine.submit(prompt, golden_sampler(prompt, feeds_twice=True)))
    codes.pop(BEFORE_FEEDING_TWICE)
    assert codes == BISTREAM


def test_greedy_and_bistream_tokens_are_the_same_beside_other_requests(token_lm):
    prompts = [golden_prompt(TEXT[3:]), golden_prompt(), arriving_prompt(), golden_prompt(speech=())]
    with Engine(token_lm, rows=3, length=128) as engine:
        sessions = [engine.submit(prompt, golden_sampler(prompt), 60) for prompt in prompts]
        results = [codes_of(session) for session in sessions]
    assert results[1][: len(GREEDY_TOKENS)] == list(GREEDY_TOKENS)
    assert results[2][:BEFORE_FEEDING_TWICE] == BISTREAM[:BEFORE_FEEDING_TWICE]
    assert results[0] != results[1]


def test_sampled_frames_are_the_same_beside_other_requests(token_lm):
    builder = CosyVoicePromptBuilder(Numbers(), CONFIG)
    options = SamplingOptions(1.0, 25, 0.8, repetition_window=10, repetition_limit=1, max_frames=30)
    asked = [(words(TEXT[:size]), seed) for seed, size in enumerate((5, 11, 8, 3))]

    def submit(engine, text, seed, arriving):
        pieces = [f"{word} " for word in text.split()]
        prompt = builder.build_arriving(pieces, Voice("a")) if arriving else builder.build(text, Voice("a"))
        return engine.submit(prompt, CosyVoiceSampler(CONFIG, prompt, replace(options, seed=seed)))

    with Engine(token_lm, rows=4, length=200) as engine:
        sessions = [submit(engine, *each, arriving=index % 2 > 0) for index, each in enumerate(asked)]
        together = [list(session) for session in sessions]
        alone = [list(submit(engine, *each, arriving=index % 2 > 0)) for index, each in enumerate(asked)]
        assert engine.free_rows == 4
    assert together == alone
    assert len({tuple(codes_of(frames)) for frames in together}) == 4


def test_training_forward_ignores_padding_on_the_right_and_codes_of_text(lm):
    tokens, codes, is_speech = inputs_of(random_prompt(12, 0))
    padded = torch.nn.functional.pad
    with torch.no_grad():
        hidden = lm(padded(tokens, (0, 5)), padded(codes, (0, 5)), padded(is_speech, (0, 5)))
        other = lm(tokens, torch.where(is_speech, codes, 80), is_speech)
    torch.testing.assert_close(hidden[:, :-5], other, atol=1e-5, rtol=0)


def test_a_few_updates_learn_one_sequence():
    torch.manual_seed(0)
    lm = CosyVoiceLM(replace(CONFIG, hidden_size=32, head_dim=8))
    builder = CosyVoicePromptBuilder(Numbers(), lm.config)
    codes = np.random.default_rng(0).integers(0, 81, (1, 40))
    example = builder.build_training(words(TEXT), Voice("a"), codes, arriving=True)
    inputs, labels = inputs_of(example.prompt), torch.from_numpy(example.labels)[None]
    optimizer = torch.optim.AdamW(lm.parameters(), lr=1e-2)
    losses = []
    for _ in range(30):
        loss = torch.nn.functional.cross_entropy(lm.speech_logits(lm(*inputs)).flatten(0, 1), labels.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[0] == pytest.approx(np.log(84), abs=0.1), "uniform over the 84 rows at first"
    assert losses[-1] < 1.0


def test_every_parameter_of_a_sequence_gets_a_gradient():
    lm = CosyVoiceLM(CONFIG)
    lm.set_dropout(0.1)
    lm.speech_logits(lm.train()(*inputs_of(WHOLE))).square().sum().backward()
    assert [name for name, parameter in lm.named_parameters() if not parameter.grad.any()] == []


def test_batched_steps_of_both_kinds_and_different_lengths_equal_single_runs(token_lm):
    prompts = [random_prompt(length, length) for length in (5, 17, 9)]
    steps = [[frames_of(random_prompt(4, 40 + row))[step] for row in range(3)] for step in range(4)]
    together = token_lm.new_cache(3, 64)
    for row, prompt in enumerate(prompts):
        token_lm.prefill(prompt, together, row)
    batched = [token_lm.step(frames, together) for frames in steps]
    for row, prompt in enumerate(prompts):
        alone = token_lm.new_cache(1, 64)
        token_lm.prefill(prompt, alone, 0)
        for frames, results in zip(steps, batched, strict=True):
            assert_close(results[row], token_lm.step([frames[row]], alone)[0])


def test_idle_rows_stay_as_they_are_and_freed_rows_start_anew(token_lm):
    cache, alone = token_lm.new_cache(2, 64), token_lm.new_cache(1, 64)
    code = Frame(CONFIG.speech_id, (7,))
    token_lm.prefill(random_prompt(6, 1), cache, 0)
    token_lm.prefill(random_prompt(20, 2), cache, 1)
    token_lm.prefill(random_prompt(20, 2), alone, 0)
    for _ in range(3):
        assert token_lm.step([code, None], cache)[1] is None
    assert [cache.length(0), cache.length(1)] == [9, 20]
    assert token_lm.step([None, None], cache) == [None, None]
    assert_close(token_lm.step([None, code], cache)[1], token_lm.step([code], alone)[0])
    cache.free(0)
    assert_close(token_lm.prefill(random_prompt(5, 3), cache, 0), token_lm.prefill(random_prompt(5, 3), alone, 0))


@pytest.mark.parametrize("start", [1, 8, 19])
def test_a_prompt_goes_on_after_its_beginning_read_now_or_resumed(token_lm, start):
    prompt, cache = random_prompt(20, 2), token_lm.new_cache(3, 64)
    whole = token_lm.prefill(prompt, cache, 0)
    token_lm.prefill(prompt.until(start), cache, 1)
    held = cache.copy(1)
    read = token_lm.prefill(prompt, cache, 1, start)
    for _ in range(2):
        cache.free(2)
        cache.resume(2, held)
        resumed = token_lm.prefill(prompt, cache, 2, start)
        assert torch.equal(row_of(resumed), row_of(read)), "what is kept is not written to"
    assert_close(read, whole)
    steps = token_lm.step([Frame(CONFIG.speech_id, (7,))] * 3, cache)
    assert torch.equal(row_of(steps[1]), row_of(steps[2]))
    assert_close(steps[1], steps[0])


def test_what_does_not_fit_is_refused(token_lm):
    assert token_lm.new_cache(1, 1000).capacity == token_lm.context_length == 256
    cache = token_lm.new_cache(2, 8)
    with pytest.raises(PromptTooLongError, match="9 positions and the context 8"):
        token_lm.prefill(random_prompt(9, 0), cache, 0)
    token_lm.prefill(random_prompt(8, 0), cache, 0)
    token_lm.prefill(random_prompt(3, 0), cache, 1)
    with pytest.raises(GenerationError, match="row 0 is full at 8"):
        token_lm.step([Frame(1), Frame(1)], cache)
    token_lm.step([None, Frame(1)], cache)
    assert [cache.length(0), cache.length(1)] == [8, 4]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_stays_close_and_gives_float32_logits(dtype):
    half = CosyVoiceTokenLM(load_published_lm(GOLDEN / "llm.safetensors", CONFIG).to(dtype))
    cache = half.new_cache(1, 128)
    assert cache.keys.dtype == dtype
    logits = row_of(half.prefill(WHOLE, cache, 0))
    expected = IO["teacher_forced_logits"][0, -1]
    assert logits.dtype == torch.float32
    assert (logits - expected).norm() < 0.05 * expected.norm()


def test_weights_do_not_change_while_running_and_are_packed_once(lm, token_lm):
    before = {key: value.clone() for key, value in lm.state_dict().items()}
    cache = token_lm.new_cache(1, 64)
    token_lm.prefill(random_prompt(6, 1), cache, 0)
    token_lm.step([Frame(3)], cache)
    assert all(torch.equal(value, before[key]) for key, value in lm.state_dict().items())
    attention = lm.layers[0].self_attn
    pointers = {layer.weight.untyped_storage().data_ptr() for layer in (attention.q_proj, attention.v_proj)}
    assert len(pointers) == 1
