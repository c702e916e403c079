"""The Higgs LM against the reference's tensors, its cache against whole sequences, and batches against single rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from parlando.core.errors import GenerationError, PromptTooLongError
from parlando.core.types import Frame, Prompt, SamplingOptions
from parlando.models.higgs.config import LMConfig
from parlando.models.higgs.lm import HiggsLM
from parlando.models.higgs.lm_inference import HiggsTokenLM, Logits
from parlando.models.higgs.lm_weights import load_published_lm
from parlando.models.higgs.sampler import HiggsSampler
from parlando.nn.sampling import Ranking

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "higgs" / "lm_tiny"
IO = load_file(GOLDEN / "io.safetensors")
TOKENS = IO["input_ids"]
AUDIO = torch.isin(TOKENS, torch.tensor([194, 198]))
CODES = torch.zeros(*TOKENS.shape, 8, dtype=torch.int64)
CODES[AUDIO] = IO["delayed_codes"].T
GOLDEN_PROMPT = Prompt(tuple(TOKENS[0].tolist()), AUDIO[0].numpy(), IO["delayed_codes"].T.contiguous().numpy())

TINY = LMConfig(
    vocab_size=40,
    hidden_size=32,
    num_layers=2,
    num_heads=4,
    num_kv_heads=2,
    head_dim=8,
    intermediate_size=48,
    num_codebooks=3,
    codebook_size=10,
    context_length=64,
    audio_out_id=1,
    audio_out_bos_id=2,
    eot_id=3,
    end_of_text_id=4,
    audio_eos_id=5,
)


@pytest.fixture(scope="module")
def golden_lm() -> HiggsLM:
    return load_published_lm(GOLDEN)


@pytest.fixture(scope="module")
def tiny() -> HiggsTokenLM:
    torch.manual_seed(0)
    lm = HiggsLM(TINY)
    for parameter in lm.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return HiggsTokenLM(lm.eval())


def frames_of(prompt: Prompt) -> list[Frame]:
    codes = iter(prompt.codes.tolist())
    is_audio = prompt.audio_mask.tolist()
    return [
        Frame(token, tuple(next(codes)) if audio else ()) for token, audio in zip(prompt.tokens, is_audio, strict=True)
    ]


def random_prompt(length: int, seed: int) -> Prompt:
    rng = np.random.default_rng(seed)
    mask = rng.random(length) < 0.5
    tokens = np.where(mask, TINY.audio_out_id, rng.integers(6, 40, length))
    return Prompt(tuple(tokens.tolist()), mask, rng.integers(0, 12, (int(mask.sum()), 3)))


def audio_frame(seed: int) -> Frame:
    return Frame(1, tuple(np.random.default_rng(seed).integers(0, 12, 3).tolist()))


def expected_logits(audio: torch.Tensor, text: torch.Tensor | None) -> Logits:
    return Logits(Ranking(audio[None]), 0, text)


def assert_equal_logits(got: Logits | None, expected: Logits | None, atol: float = 1e-4) -> None:
    assert got is not None
    assert expected is not None
    torch.testing.assert_close(got.audio, expected.audio, atol=atol, rtol=0)
    assert (got.text is None) == (expected.text is None)
    if got.text is not None:
        torch.testing.assert_close(got.text, expected.text, atol=atol, rtol=0)


def test_training_forward_equals_the_reference(golden_lm):
    with torch.no_grad():
        hidden = golden_lm(TOKENS, CODES, AUDIO)
    torch.testing.assert_close(golden_lm.audio_logits(hidden), IO["audio_logits"], atol=1e-4, rtol=0)
    torch.testing.assert_close(golden_lm.text_logits(hidden), IO["text_logits"], atol=1e-4, rtol=0)


def test_training_forward_ignores_padding_on_the_right(golden_lm):
    padded = torch.nn.functional.pad
    with torch.no_grad():
        hidden = golden_lm(padded(TOKENS, (0, 5)), padded(CODES, (0, 0, 0, 5)), padded(AUDIO, (0, 5)))
        torch.testing.assert_close(hidden[:, :-5], golden_lm(TOKENS, CODES, AUDIO), atol=1e-5, rtol=0)


def test_training_forward_of_one_kind_only(tiny):
    lm = tiny._lm
    text = torch.randint(6, 40, (2, 7))
    codes = torch.randint(0, 12, (2, 7, 3))
    for audio in (False, True):
        assert lm(text, codes, torch.full((2, 7), audio)).shape == (2, 7, 32)


def test_gradients_equal_finite_differences():
    torch.manual_seed(0)
    lm = HiggsLM(replace(TINY, num_layers=1)).double()
    for parameter in lm.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    prompt = random_prompt(9, 0)
    tokens, mask = torch.tensor([prompt.tokens]), torch.from_numpy(prompt.audio_mask)[None]
    codes = torch.zeros(1, 9, 3, dtype=torch.int64)
    codes[mask] = torch.from_numpy(prompt.codes)
    direction = [torch.randn_like(parameter) for parameter in lm.parameters()]

    def loss() -> torch.Tensor:
        return lm(tokens, codes, mask).square().mul(torch.arange(32)).sum()

    loss().backward()
    slope = sum((p.grad * d).sum() for p, d in zip(lm.parameters(), direction, strict=True) if p.grad is not None)
    step, values = 1e-6, []
    with torch.no_grad():
        for sign in (1, -2):
            for parameter, d in zip(lm.parameters(), direction, strict=True):
                parameter += sign * step * d
            values.append(float(loss()))
    assert float(slope) == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-4)


def test_a_few_updates_learn_one_sequence():
    torch.manual_seed(0)
    lm = HiggsLM(TINY)
    optimizer = torch.optim.AdamW(lm.parameters(), lr=1e-2)
    prompt = random_prompt(24, 1)
    tokens, mask = torch.tensor([prompt.tokens]), torch.from_numpy(prompt.audio_mask)[None]
    codes = torch.zeros(1, 24, 3, dtype=torch.int64)
    codes[mask] = torch.from_numpy(prompt.codes)
    losses = []
    for _ in range(40):
        logits = lm.audio_logits(lm(tokens, codes, mask))[:, :-1][mask[:, 1:]]
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), codes[:, 1:][mask[:, 1:]].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[0] == pytest.approx(np.log(12), abs=0.1), "uniform over the 12 rows at first"
    assert losses[-1] < 0.5


@pytest.mark.parametrize("length", [1, 7, 26, 37])
def test_prefill_equals_the_reference(golden_lm, length):
    token_lm = HiggsTokenLM(golden_lm)
    count = int(AUDIO[0, :length].sum())
    prompt = Prompt(GOLDEN_PROMPT.tokens[:length], GOLDEN_PROMPT.audio_mask[:length], GOLDEN_PROMPT.codes[:count])
    cache = token_lm.new_cache(1, 64)
    logits = token_lm.prefill(prompt, cache, 0)
    assert cache.length(0) == length
    text = None if AUDIO[0, length - 1] else IO["text_logits"][0, length - 1]
    assert_equal_logits(logits, expected_logits(IO["audio_logits"][0, length - 1], text))


def test_steps_equal_the_reference_at_every_position(golden_lm):
    token_lm = HiggsTokenLM(golden_lm)
    cache = token_lm.new_cache(1, 64)
    for position, frame in enumerate(frames_of(GOLDEN_PROMPT)):
        (logits,) = token_lm.step([frame], cache)
        text = None if frame.codes else IO["text_logits"][0, position]
        assert_equal_logits(logits, expected_logits(IO["audio_logits"][0, position], text))


def test_greedy_frames_equal_the_reference(golden_lm):
    token_lm = HiggsTokenLM(golden_lm)
    options = SamplingOptions(temperature=0.0, repetition_window=None)
    sampler = HiggsSampler(golden_lm.config, GOLDEN_PROMPT, options, "transformers")
    cache = token_lm.new_cache(1, 64)
    logits, frames = token_lm.prefill(GOLDEN_PROMPT, cache, 0), []
    while (frame := sampler.next(logits)) is not None:
        frames.append(frame)
        (logits,) = token_lm.step([frame], cache)
    assert [frame.codes for frame in frames] == [tuple(column) for column in IO["greedy_frames"].T.tolist()]
    assert [frame.token for frame in frames][1:] == [*IO["greedy_text_ids"][0, 1:-1].tolist(), 194]


def test_batched_steps_of_different_lengths_equal_single_runs(tiny):
    prompts = [random_prompt(length, length) for length in (5, 17, 9)]
    continuations = [[audio_frame(row * 10 + step) for step in range(4)] for row in range(3)]
    together = tiny.new_cache(3, 64)
    for row, prompt in enumerate(prompts):
        tiny.prefill(prompt, together, row)
    batched = [tiny.step([frames[step] for frames in continuations], together) for step in range(4)]
    for row, prompt in enumerate(prompts):
        alone = tiny.new_cache(1, 64)
        tiny.prefill(prompt, alone, 0)
        for step in range(4):
            assert_equal_logits(batched[step][row], tiny.step([continuations[row][step]], alone)[0])


def test_mixed_text_and_audio_rows_equal_single_runs(tiny):
    prompts = [random_prompt(6, 1), random_prompt(11, 2), random_prompt(8, 3)]
    steps = [[Frame(7), audio_frame(1), Frame(8)], [audio_frame(2), Frame(9), audio_frame(3)]]
    together = tiny.new_cache(3, 64)
    for row, prompt in enumerate(prompts):
        tiny.prefill(prompt, together, row)
    batched = [tiny.step(frames, together) for frames in steps]
    for row, prompt in enumerate(prompts):
        alone = tiny.new_cache(1, 64)
        tiny.prefill(prompt, alone, 0)
        for frames, results in zip(steps, batched, strict=True):
            assert_equal_logits(results[row], tiny.step([frames[row]], alone)[0])


def test_idle_rows_stay_as_they_are(tiny):
    cache, alone = tiny.new_cache(2, 64), tiny.new_cache(1, 64)
    tiny.prefill(random_prompt(6, 1), cache, 0)
    tiny.prefill(random_prompt(20, 2), cache, 1)
    tiny.prefill(random_prompt(20, 2), alone, 0)
    for step in range(3):
        first, second = tiny.step([audio_frame(step), None], cache)
        assert first is not None
        assert second is None
    assert [cache.length(0), cache.length(1)] == [9, 20]
    assert tiny.step([None, None], cache) == [None, None]
    assert_equal_logits(tiny.step([None, audio_frame(7)], cache)[1], tiny.step([audio_frame(7)], alone)[0])


def test_freed_row_starts_anew(tiny):
    cache, fresh = tiny.new_cache(2, 64), tiny.new_cache(1, 64)
    tiny.prefill(random_prompt(30, 1), cache, 1)
    tiny.step([None, audio_frame(0)], cache)
    cache.free(1)
    assert cache.length(1) == 0
    tiny.prefill(random_prompt(4, 5), cache, 1)
    tiny.prefill(random_prompt(4, 5), fresh, 0)
    assert_equal_logits(tiny.step([None, audio_frame(1)], cache)[1], tiny.step([audio_frame(1)], fresh)[0])


def test_prefill_replaces_what_a_row_held(tiny):
    cache, fresh = tiny.new_cache(1, 64), tiny.new_cache(1, 64)
    tiny.prefill(random_prompt(30, 1), cache, 0)
    assert_equal_logits(tiny.prefill(random_prompt(5, 2), cache, 0), tiny.prefill(random_prompt(5, 2), fresh, 0))
    assert cache.length(0) == 5


@pytest.mark.parametrize("start", [1, 8, 19])
def test_a_prompt_goes_on_after_its_beginning_read_now_or_resumed(tiny, start):
    prompt, cache = random_prompt(20, 2), tiny.new_cache(3, 64)
    whole = tiny.prefill(prompt, cache, 0)
    tiny.prefill(prompt.until(start), cache, 1)
    held = cache.copy(1)
    read = tiny.prefill(prompt, cache, 1, start)
    for _ in range(2):
        cache.free(2)
        cache.resume(2, held)
        resumed = tiny.prefill(prompt, cache, 2, start)
        assert torch.equal(resumed.audio, read.audio), "what is kept is not written to"
    assert_equal_logits(read, whole)
    steps = tiny.step([audio_frame(1)] * 3, cache)
    assert torch.equal(steps[1].audio, steps[2].audio)
    assert_equal_logits(steps[1], steps[0])


def test_prompt_longer_than_the_cache_is_refused(tiny):
    assert tiny.new_cache(1, 1000).capacity == tiny.context_length == 64
    with pytest.raises(PromptTooLongError, match="9 positions and the context 8"):
        tiny.prefill(random_prompt(9, 0), tiny.new_cache(1, 8), 0)


def test_step_beyond_a_full_row_is_refused_and_a_full_idle_row_is_not(tiny):
    cache = tiny.new_cache(2, 8)
    tiny.prefill(random_prompt(8, 0), cache, 0)
    tiny.prefill(random_prompt(3, 0), cache, 1)
    with pytest.raises(GenerationError, match="row 0 is full at 8"):
        tiny.step([audio_frame(0), audio_frame(0)], cache)
    assert cache.length(1) == 3
    tiny.step([None, audio_frame(0)], cache)
    assert [cache.length(0), cache.length(1)] == [8, 4]


def test_model_without_text_head_gives_no_text_logits():
    lm = HiggsTokenLM(HiggsLM(replace(TINY, text_head=False)))
    cache = lm.new_cache(1, 8)
    assert lm.prefill(random_prompt(3, 0), cache, 0).text is None
    assert lm.step([Frame(7)], cache)[0].text is None


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_stays_close_and_gives_float32_logits(dtype):
    half = HiggsTokenLM(load_published_lm(GOLDEN).to(dtype))
    cache = half.new_cache(1, 64)
    assert cache.keys.dtype == dtype
    logits = half.prefill(GOLDEN_PROMPT, cache, 0)
    assert logits.audio.dtype == logits.text.dtype == torch.float32
    expected = IO["audio_logits"][0, -1]
    assert (logits.audio - expected).norm() < 0.05 * expected.norm()


def test_weights_do_not_change_while_running(tiny):
    before = {key: value.clone() for key, value in tiny._lm.state_dict().items()}
    cache = tiny.new_cache(1, 64)
    tiny.prefill(random_prompt(6, 1), cache, 0)
    tiny.step([audio_frame(0)], cache)
    assert all(torch.equal(value, before[key]) for key, value in tiny._lm.state_dict().items())


def test_packing_keeps_one_copy_of_the_weights(tiny):
    for layer in tiny._lm.layers:
        q, k = layer.self_attn.q_proj.weight, layer.self_attn.k_proj.weight
        assert q.untyped_storage().data_ptr() == k.untyped_storage().data_ptr()
