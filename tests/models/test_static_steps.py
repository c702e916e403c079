"""Steps in shapes that recur: equal to the others, few, and the same when they are recorded and replayed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from parlando.core.types import Frame, Prompt
from parlando.models.cosyvoice import config as cosyvoice_config
from parlando.models.cosyvoice.lm import CosyVoiceLM
from parlando.models.cosyvoice.lm_inference import CosyVoiceTokenLM
from parlando.models.higgs import config as higgs_config
from parlando.models.higgs.lm import HiggsLM
from parlando.models.higgs.lm_inference import HiggsTokenLM
from parlando.models.options import PLAIN, ModelOptions
from parlando.models.registry import load_model
from parlando.nn import kvcache, replay
from parlando.nn.placement import Placement

SIZES = {"vocab_size": 40, "hidden_size": 32, "num_layers": 2, "num_heads": 4, "num_kv_heads": 2, "head_dim": 8}
SIZES |= {"intermediate_size": 48, "context_length": 64}
IDS = {"audio_out_id": 1, "audio_out_bos_id": 2, "eot_id": 3, "end_of_text_id": 4, "audio_eos_id": 5}


class Higgs:
    codebooks = 3

    def __init__(self):
        config = higgs_config.LMConfig(**SIZES, num_codebooks=3, codebook_size=10, **IDS)
        module = random_weights(HiggsLM(config))
        self.plain = HiggsTokenLM(module, compiled=False, static=False)
        self.static = HiggsTokenLM(module, compiled=False, static=True)


class CosyVoice:
    codebooks = 1

    def __init__(self):
        module = random_weights(CosyVoiceLM(cosyvoice_config.LMConfig(**SIZES, codebook_size=10)))
        self.plain, self.static = CosyVoiceTokenLM(module, static=False), CosyVoiceTokenLM(module, static=True)


def random_weights(module):
    torch.manual_seed(0)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return module.eval()


def traced(work, given):
    """Recorded as CUDA graphs are: what is done later is what was done then, with other contents of ``given``."""
    return make_fx(work)(given)


@pytest.fixture(params=[Higgs, CosyVoice], ids=lambda family: family.__name__)
def family(request, monkeypatch):
    monkeypatch.setattr(kvcache, "LEAST_EXTENT", 8)
    return request.param()


def text_prompt(length):
    nothing = np.zeros((0, 1), np.int64)
    return Prompt(tuple(6 + place % 30 for place in range(length)), np.zeros(length, bool), nothing)


def story(codebooks):
    """What five rows are fed, step by step: they begin and end at different times, and one of them reads text."""
    rng = np.random.default_rng(1)
    for step in range(24):
        frames = [Frame(1, tuple(rng.integers(0, 10, codebooks).tolist())) for _ in range(5)]
        frames[1] = None if step % 3 == 0 else frames[1]
        frames[2] = Frame(7 + step) if step in (4, 5) else frames[2]
        yield frames if step > 7 else frames[:3]


def played(lm, codebooks):
    """The logits of every live row at every step, and the cache at the end."""
    cache = lm.new_cache(6, 64)
    for row in range(5):
        lm.prefill(text_prompt(3 + 4 * row), cache, row)
    steps = [lm.step(frames, cache) for frames in story(codebooks)]
    return [[logits and logits.ranking.logits[logits.row] for logits in step] for step in steps], cache


def assert_equal(got, expected):
    assert [[logits is None for logits in step] for step in got] == [
        [logits is None for logits in step] for step in expected
    ]
    for one, other in zip(got, expected, strict=True):
        for mine, theirs in zip(one, other, strict=True):
            if theirs is not None:
                torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-4)


def test_static_steps_equal_the_others_and_have_few_shapes(family):
    expected, _ = played(family.plain, family.codebooks)
    got, cache = played(family.static, family.codebooks)
    assert_equal(got, expected)
    extents = {kind[0] if isinstance(kind, tuple) else kind for kind, _ in cache.steps}
    assert extents == {16, 24, 32, 40}
    assert {rows for _, rows in cache.steps} == {4, 6}  # three rows, and five, of the six there are
    assert len(cache.steps) <= 8


def test_recorded_steps_equal_the_others_whatever_they_were_recorded_with(family, monkeypatch):
    monkeypatch.setattr(replay, "recorded", traced)
    expected, _ = played(family.plain, family.codebooks)
    got, cache = played(family.static, family.codebooks)
    assert_equal(got, expected)
    assert all(isinstance(step._recorded, torch.fx.GraphModule) for step in cache.steps.values())


def test_a_static_row_is_full_when_it_is_full(family):
    cache = family.static.new_cache(1, 9)
    family.static.prefill(text_prompt(8), cache, 0)
    family.static.step([Frame(1, (0,) * family.codebooks)], cache)
    assert (cache.length(0), cache.extent([True])) == (9, 9)


@pytest.mark.parametrize("folder", ["tiny_folder", "tiny_cosyvoice_folder"])
def test_a_model_records_its_steps_where_that_is_asked_for_and_possible(folder, request, monkeypatch):
    folder = request.getfixturevalue(folder)
    options = ModelOptions.of(cuda_graphs=True)
    on_cuda, on_cpu = (Placement(torch.device(name), torch.float32) for name in ("cuda", "cpu"))
    assert (options.placed(on_cuda).records, options.placed(on_cpu).records) == (True, False)
    assert not PLAIN.placed(on_cuda).records
    monkeypatch.setattr(Placement, "records", property(lambda placement: placement.cuda_graphs))
    kinds = {
        asked: type(load_model(folder, "cpu", None, ModelOptions.of(cuda_graphs=asked)).lm.new_cache(1, 8))
        for asked in (True, False)
    }
    assert kinds == {True: kvcache.StaticCache, False: kvcache.KVCache}
