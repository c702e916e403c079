"""Prompts that are read in one pass: bit by bit as alone where products keep rows apart, and nearly so elsewhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from parlando.core.stages import JoiningLM
from parlando.core.types import Frame, Prefill, Prompt
from parlando.engine.engine import Engine
from parlando.engine.scheduler import Policy
from parlando.models.cosyvoice import config as cosyvoice_config
from parlando.models.cosyvoice.lm import CosyVoiceLM
from parlando.models.cosyvoice.lm_inference import CosyVoiceTokenLM
from parlando.models.higgs import config as higgs_config
from parlando.models.higgs.lm import HiggsLM
from parlando.models.higgs.lm_inference import HiggsTokenLM
from parlando.nn.native.tiles import Tiled, has_tiles
from parlando.nn.quantized import quantize

SIZES = {"vocab_size": 40, "hidden_size": 64, "num_layers": 2, "num_heads": 4, "num_kv_heads": 2, "head_dim": 16}
SIZES |= {"intermediate_size": 96, "context_length": 128}
IDS = {"audio_out_id": 1, "audio_out_bos_id": 2, "eot_id": 3, "end_of_text_id": 4, "audio_eos_id": 5}
KINDS = ("bfloat16", "int8", "int4")
LENGTHS = (5, 40, 17, 33)
SHARED = 9
needs_tiles = pytest.mark.skipif(not has_tiles(), reason="this processor has no matrix units")


def higgs():
    return HiggsLM(higgs_config.LMConfig(**SIZES, num_codebooks=3, codebook_size=10, **IDS)), HiggsTokenLM, 3


def cosyvoice():
    return CosyVoiceLM(cosyvoice_config.LMConfig(**SIZES, codebook_size=10)), CosyVoiceTokenLM, 1


@pytest.fixture(params=[higgs, cosyvoice], ids=lambda family: family.__name__)
def family(request):
    return request.param


def token_lm(family, kind):
    torch.manual_seed(0)
    lm, wrapper, codebooks = family()
    for parameter in lm.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    lm.eval()
    if kind in ("int8", "int4"):
        quantize(lm, kind)
    return wrapper(lm.to(torch.float32 if kind == "float32" else torch.bfloat16)), codebooks


def prompts(codebooks):
    rng = np.random.default_rng(0)
    masks = [rng.random(length) < 0.5 for length in LENGTHS]
    return [
        Prompt(tuple(rng.integers(6, 40, len(mask)).tolist()), mask, rng.integers(0, 10, (int(mask.sum()), codebooks)))
        for mask in masks
    ]


def read(lm, prompts_, joined):
    """Logits and the cache after prompts of which the second's beginning is there, and after a step of all."""
    cache = lm.new_cache(len(prompts_), 60)
    lm.prefill(prompts_[1].until(SHARED), cache, 1)
    prefills = [Prefill(prompt, row, SHARED if row == 1 else 0) for row, prompt in enumerate(prompts_)]
    if joined:
        results = lm.prefill_all(prefills, cache)
    else:
        results = [lm.prefill(each.prompt, cache, each.row, each.start) for each in prefills]
    stepped = lm.step([Frame(7)] * len(prompts_), cache)
    logits = [each.ranking.logits[each.row].clone() for each in (*results, *stepped)]
    return torch.stack(logits), cache.pairs


@needs_tiles
@pytest.mark.parametrize("kind", KINDS)
def test_each_is_bit_by_bit_what_it_is_alone(family, kind):
    lm, codebooks = token_lm(family, kind)
    assert isinstance(lm, JoiningLM)
    assert lm.joins_prompts
    together, alone = (read(lm, prompts(codebooks), joined) for joined in (True, False))
    assert together[0].isfinite().all()
    for found, expected in zip(together, alone, strict=True):
        assert torch.equal(found, expected)


@needs_tiles
@pytest.mark.parametrize("kind", KINDS)
def test_a_step_of_many_rows_is_what_each_is_alone(family, kind):
    lm, codebooks = token_lm(family, kind)
    found = []
    for rows in (20, 1):
        cache = lm.new_cache(rows, 60)
        for row in range(rows):
            lm.prefill(prompts(codebooks)[0], cache, row)
        result = lm.step([Frame(7)] * rows, cache)[0]
        found.append(result.ranking.logits[0].clone())
    assert torch.equal(*found)


def test_other_products_give_nearly_the_same_and_are_not_joined(family):
    lm, codebooks = token_lm(family, "float32")
    assert not lm.joins_prompts
    together, alone = (read(lm, prompts(codebooks), joined) for joined in (True, False))
    for found, expected in zip(together, alone, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_without_matrix_units_prompts_are_read_one_by_one(family, kind, monkeypatch):
    monkeypatch.setattr(Tiled, "fits", lambda *_: False)
    assert not token_lm(family, kind)[0].joins_prompts


@needs_tiles
def test_requests_that_come_together_get_what_they_get_one_after_the_other(family, monkeypatch):
    """Through the engine, by the last bits; steps have the same batch, since attention rounds by its longest row."""
    lm, codebooks = token_lm(family, "int8")
    voices = (0, 30, 9, 10)
    monkeypatch.setattr("parlando.engine.engine.JOINED_POSITIONS", 128)
    asked = [replace(each, voice_positions=voice) for each, voice in zip(prompts(codebooks), voices, strict=True)]

    def frames(policy):
        with Engine(lm, 4, 60, policy) as engine:
            sessions = [engine.submit(prompt, Fussy(), 6) for prompt in asked]
            made = [list(session) for session in sessions]
            assert engine.metrics().batch_sizes == {4: 5}, "they did not begin in one turn"
        return made

    together = frames(Policy())
    monkeypatch.setattr(type(lm), "joins_prompts", False)
    assert together == frames(Policy(prefills_per_turn=4))
    assert len({tuple(each) for each in together}) == 4


class Fussy:
    """Frames follow from the last bits of the logits."""

    ended = False

    def next(self, logits):
        sums = logits.ranking.logits[logits.row].double().sum(dim=-1)
        return Frame(7, tuple(int(1e5 * each) % 10 for each in sums.tolist()))
