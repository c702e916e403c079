"""The compiled step against the same step in PyTorch."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from parlando.core.types import Frame, Prompt
from parlando.models.higgs import lm_inference
from parlando.models.higgs.config import LMConfig, ReadingHead
from parlando.models.higgs.lm import HiggsLM
from parlando.models.higgs.lm_inference import HiggsTokenLM
from parlando.nn.native import kernel
from parlando.nn.native.build import library_name

CONFIG = LMConfig(
    vocab_size=40, hidden_size=48, num_layers=2, num_heads=3, num_kv_heads=1, head_dim=32, intermediate_size=80,
    num_codebooks=3, codebook_size=11, context_length=64, audio_out_id=1, audio_out_bos_id=2, eot_id=3,
    end_of_text_id=4, audio_in_id=5, text_head=True, audio_eos_id=6,
)  # fmt: skip
needs_kernel = pytest.mark.skipif(kernel.library() is None, reason="no compiled kernel for this processor")


def make_lm(config=CONFIG, dtype=torch.float32):
    torch.manual_seed(0)
    lm = HiggsLM(config)
    for parameter in lm.parameters():
        torch.nn.init.normal_(parameter, mean=float(parameter.ndim == 1), std=0.2)
    return lm.to(dtype).eval()


def prompt(length, seed=0):
    tokens = np.random.default_rng(seed).integers(7, 40, length).tolist()
    return Prompt(tuple(tokens), np.zeros(length, bool), np.zeros((0, 3), np.int64))


def frames(rows, seed):
    """Audio, text and idle rows in some order; at least one is live."""
    generator = np.random.default_rng(seed)
    kinds = generator.permutation([0, *generator.integers(0, 3, rows - 1)])
    audio = [Frame(1, tuple(generator.integers(0, 11, 3).tolist())) for _ in range(rows)]
    return [(audio[i], Frame(int(generator.integers(7, 40))), None)[kind] for i, kind in enumerate(kinds)]


def start(lm, rows, compiled):
    token_lm = HiggsTokenLM(lm, compiled=compiled)
    cache = token_lm.new_cache(rows, 64)
    for row in range(rows):
        token_lm.prefill(prompt(3 + 2 * row, row), cache, row)
    return token_lm, cache


@needs_kernel
@pytest.mark.parametrize("rows", [1, 2, 5, 8, 11])
@pytest.mark.parametrize("is_half", [False, True])
def test_steps_equal_those_in_torch(rows, is_half):
    lm = make_lm()
    if is_half:
        lm = lm.half().float()
    (fast, fast_cache), (slow, slow_cache) = start(lm, rows, True), start(lm, rows, False)
    assert (fast.is_compiled, slow.is_compiled) == (True, False)
    for seed in range(12):
        given = frames(rows, seed)
        for got, expected in zip(fast.step(given, fast_cache), slow.step(given, slow_cache), strict=True):
            assert (got is None) == (expected is None)
            if got is not None:
                torch.testing.assert_close(got.audio, expected.audio, atol=2e-5, rtol=1e-4)
                assert (got.text is None) == (expected.text is None)
                if got.text is not None:
                    torch.testing.assert_close(got.text, expected.text, atol=2e-5, rtol=1e-4)
    lengths = [[cache.length(row) for row in range(rows)] for cache in (fast_cache, slow_cache)]
    assert lengths[0] == lengths[1]


@needs_kernel
@pytest.mark.parametrize("rows", [1, 3, 9])
def test_what_a_head_looks_at_equals_that_in_torch(rows):
    lm = make_lm(replace(CONFIG, reading_head=ReadingHead(1, 2)))
    pairs = [start(lm, rows, compiled) for compiled in (True, False)]
    for step in range(4):
        fed = frames(rows, step)
        places = [[one and one.place for one in token_lm.step(fed, cache)] for token_lm, cache in pairs]
        assert places[0] == places[1]
        compiled, in_torch = (cache.looks for _, cache in pairs)
        for row in (row for row, frame in enumerate(fed) if frame is not None):
            length = pairs[0][1].length(row)
            assert torch.allclose(compiled[row, :length], in_torch[row, :length], atol=1e-5)
            assert float(compiled[row, :length].sum()) == pytest.approx(1.0, abs=1e-5)


@needs_kernel
@pytest.mark.parametrize("kinds", [[0] * 3, [0] * 50, [1] * 9, [0, 1, 1, 0], [0] * 5 + [1] * 20 + [0] * 11 + [1]])
def test_a_prompt_equals_one_in_torch(kinds):
    mask, generator = np.array(kinds, bool), np.random.default_rng(0)
    tokens = np.where(mask, CONFIG.audio_out_id, generator.integers(7, 40, len(mask))).tolist()
    given = Prompt(tuple(tokens), mask, generator.integers(0, 11, (int(mask.sum()), 3)))
    results = []
    for compiled in (True, False):
        token_lm = HiggsTokenLM(make_lm(), compiled=compiled)
        cache = token_lm.new_cache(3, 64)
        token_lm.prefill(prompt(60), cache, 1)
        logits = token_lm.prefill(given, cache, 1)
        results.append((logits, token_lm.step([None, Frame(1, (1, 2, 3))], cache)[1], cache.length(1)))
    (fast, fast_next, fast_length), (slow, slow_next, slow_length) = results
    assert fast_length == slow_length == len(mask) + 1
    for got, expected in ((fast, slow), (fast_next, slow_next)):
        torch.testing.assert_close(got.audio, expected.audio, atol=5e-5, rtol=1e-4)
    assert (fast.text is None) == (slow.text is None) == bool(mask[-1])
    if fast.text is not None:
        torch.testing.assert_close(fast.text, slow.text, atol=5e-5, rtol=1e-4)


@needs_kernel
@pytest.mark.parametrize("start", [1, 13, 24, 47, 59])
def test_a_prompt_is_the_same_bit_by_bit_in_two_pieces(start):
    kinds, generator = np.arange(60) % 11 > 6, np.random.default_rng(0)
    tokens = np.where(kinds, CONFIG.audio_out_id, generator.integers(7, 40, len(kinds))).tolist()
    given = Prompt(tuple(tokens), kinds, generator.integers(0, 11, (int(kinds.sum()), 3)))
    token_lm = HiggsTokenLM(make_lm())
    cache = token_lm.new_cache(2, 64)
    whole = token_lm.prefill(given, cache, 0)
    token_lm.prefill(given.until(start), cache, 1)
    assert torch.equal(token_lm.prefill(given, cache, 1, start).audio, whole.audio)
    assert torch.equal(cache.pairs[:, :, 0], cache.pairs[:, :, 1])


@needs_kernel
def test_an_interrupt_in_a_prefill_leaves_nobody_waiting(monkeypatch):
    (broken, cache), (whole, other) = start(make_lm(), 2, True), start(make_lm(), 2, True)
    advance, threads = kernel.Kernel._advance, []

    def interrupted(self, *arguments, ahead=None, **more):
        threads.extend(each for each in threading.enumerate() if each.name == "parlando-prefill")
        if ahead is not None:
            raise KeyboardInterrupt
        advance(self, *arguments, ahead=ahead, **more)

    monkeypatch.setattr(kernel.Kernel, "_advance", interrupted)
    with pytest.raises(KeyboardInterrupt):
        broken.prefill(prompt(60), cache, 1)
    monkeypatch.undo()
    got, expected = (lm.prefill(prompt(60), held, 1) for lm, held in ((broken, cache), (whole, other)))
    assert torch.equal(got.audio, expected.audio)
    assert threads, "a second thread has half of it"
    assert not any(thread.is_alive() for thread in threads)


@needs_kernel
def test_a_prefill_needs_no_second_thread(monkeypatch):
    (alone, cache), (helped, other) = start(make_lm(), 2, True), start(make_lm(), 2, True)
    expected = helped.prefill(prompt(60), other, 1)
    monkeypatch.setattr(threading.Thread, "start", lambda _: (_ for _ in ()).throw(RuntimeError("no more threads")))
    assert torch.equal(alone.prefill(prompt(60), cache, 1).audio, expected.audio)


@needs_kernel
def test_what_half_of_a_prefill_raises_is_raised(monkeypatch):
    token_lm, cache = start(make_lm(), 2, True)
    advance = kernel.Kernel._advance

    def failing(self, *arguments, done=None, **more):
        if done is not None:
            raise MemoryError("no room")
        advance(self, *arguments, done=done, **more)

    monkeypatch.setattr(kernel.Kernel, "_advance", failing)
    with pytest.raises(MemoryError, match="no room"):
        token_lm.prefill(prompt(60), cache, 1)


@needs_kernel
def test_rooms_are_of_32_bits_whatever_the_default():
    expected = HiggsTokenLM(make_lm())
    expected = expected.prefill(prompt(60), expected.new_cache(1, 64), 0)
    lm = make_lm()
    torch.set_default_dtype(torch.bfloat16)
    try:
        token_lm = HiggsTokenLM(lm)
        room = token_lm._kernel._held[-1]
    finally:
        torch.set_default_dtype(torch.float32)
    assert room.dtype == torch.float32
    assert torch.equal(token_lm.prefill(prompt(60), token_lm.new_cache(1, 64), 0).audio, expected.audio)


@needs_kernel
def test_long_prompts_are_left_to_torch(monkeypatch):
    token_lm, compiled = HiggsTokenLM(make_lm()), []
    monkeypatch.setattr(lm_inference, "LONGEST_COMPILED_PROMPT", 9)
    prefill = token_lm._kernel.prefill
    monkeypatch.setattr(token_lm._kernel, "prefill", lambda x, *more: (compiled.append(len(x)), prefill(x, *more)))
    for length in (9, 10):
        token_lm.prefill(prompt(length), token_lm.new_cache(1, 64), 0)
    assert compiled == [9]


@needs_kernel
def test_weights_are_kept_in_half_precision_where_that_is_exact(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(48, 70, generator=generator).half().float()
    x, norm = torch.randn(5, 48, generator=generator), torch.ones(48)
    half, token_lm = kernel.Panels(matrix), HiggsTokenLM(make_lm())
    monkeypatch.setattr(kernel.torch, "equal", lambda a, b: False)
    full = kernel.Panels(matrix)
    monkeypatch.undo()
    assert (half.is_half, full.is_half) == (True, False)
    assert 2 * half.tensor.nbytes == full.tensor.nbytes
    results = [token_lm._kernel.head(x, norm, panels) for panels in (half, full)]
    assert torch.equal(*results)
    torch.testing.assert_close(results[0], torch.nn.functional.rms_norm(x, (48,), eps=CONFIG.rms_norm_eps) @ matrix)


@needs_kernel
@pytest.mark.parametrize("odd", [1 + 2**-12, 1e6, float("nan")])
def test_weights_that_half_precision_would_change_are_kept_whole(odd):
    matrix = torch.ones(48, 3)
    matrix[5, 2] = odd
    panels = kernel.Panels(matrix)
    assert not panels.is_half
    assert panels.tensor.dtype == torch.float32


@needs_kernel
def test_the_numbers_of_a_row_do_not_depend_on_its_neighbours():
    lm = make_lm()
    crowd, crowd_cache = start(lm, 9, True)
    alone = HiggsTokenLM(lm)
    cache = alone.new_cache(1, 64)
    alone.prefill(prompt(3 + 2 * 4, 4), cache, 0)
    for seed in range(6):
        given = frames(9, seed)
        given[4] = Frame(1, (seed, 1, 2))
        assert torch.equal(crowd.step(given, crowd_cache)[4].audio, alone.step([given[4]], cache)[0].audio)


@needs_kernel
def test_two_threads_may_step_two_caches_of_one_model():
    lm, rows = make_lm(), 3
    token_lm, first = start(lm, rows, True)
    caches = [first, *(start(lm, rows, True)[1] for _ in range(3))]
    results = {}

    def run(index):
        steps = [token_lm.step(frames(rows, seed), caches[index]) for seed in range(20)]
        results[index] = [[logits and logits.audio.tolist() for logits in step] for step in steps]

    threads = [threading.Thread(target=run, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results[0] == results[1] == results[2] == results[3]


@pytest.mark.parametrize("change", [{"head_dim": 20}, {"intermediate_size": 84}, {"hidden_size": 44}])
def test_odd_sizes_are_left_to_torch(change):
    assert not HiggsTokenLM(make_lm(replace(CONFIG, **change))).is_compiled


def test_other_dtypes_are_left_to_torch():
    assert not HiggsTokenLM(make_lm(dtype=torch.bfloat16)).is_compiled


def test_large_models_are_left_to_torch(monkeypatch):
    monkeypatch.setattr(kernel, "LARGEST_BYTES", 1000)
    assert not HiggsTokenLM(make_lm()).is_compiled


def test_without_a_library_everything_runs_in_torch(monkeypatch, tmp_path):
    monkeypatch.setattr("parlando.nn.native.library.FOLDER", tmp_path)
    kernel.library.cache_clear()
    try:
        assert kernel.library() is None
        assert kernel.top(torch.zeros(2, 3), 1) is None
        assert not HiggsTokenLM(make_lm()).is_compiled
    finally:
        kernel.library.cache_clear()


@needs_kernel
def test_a_library_of_another_source_is_none(monkeypatch):
    monkeypatch.setattr("parlando.nn.native.library.source_mark", lambda: 1)
    kernel.library.cache_clear()
    try:
        assert kernel.library() is None
    finally:
        kernel.library.cache_clear()


def test_a_library_that_does_not_load_is_none(monkeypatch, tmp_path):
    (tmp_path / library_name(torch.backends.cpu.get_cpu_capability())).write_bytes(b"not a library")
    monkeypatch.setattr("parlando.nn.native.library.FOLDER", tmp_path)
    kernel.library.cache_clear()
    try:
        assert kernel.library() is None
    finally:
        kernel.library.cache_clear()


@needs_kernel
def test_the_largest_are_those_of_torch_and_the_first_wins_a_tie():
    numbers = torch.randn(7, 3, 130, generator=torch.Generator().manual_seed(1))
    values, indices = kernel.top(numbers, 9)
    expected = numbers.topk(9)
    assert values.tolist() == expected.values.tolist()
    assert indices.tolist() == expected.indices.tolist()
    assert kernel.top(torch.tensor([[1.0, 2.0, 2.0, 1.0]]), 4)[1].tolist() == [[1, 2, 0, 3]]


@needs_kernel
@pytest.mark.parametrize("place", [0, 3, 7])
def test_not_a_number_is_always_among_the_largest(place):
    numbers = torch.arange(8.0)[None]
    numbers[0, place] = float("nan")
    values, indices = kernel.top(numbers, 2)
    assert np.isnan(values[0, 0])
    assert indices[0, 0] == place


@needs_kernel
def test_numbers_it_does_not_know_are_left_to_torch():
    assert kernel.top(torch.zeros(2, 3, dtype=torch.float64), 1) is None
    assert kernel.top(torch.zeros(4, 3).t(), 1) is None
