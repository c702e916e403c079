"""The head that reads along is found by what it looks at, and none where none does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from parlando.core.types import Prompt
from parlando.models.higgs.config import LMConfig, ReadingHead
from parlando.models.higgs.lm import HiggsLM
from parlando.train.higgs.reading_head import find_reading_head

SIZES = LMConfig(
    vocab_size=40, hidden_size=32, num_layers=2, num_heads=4, num_kv_heads=2, head_dim=8, intermediate_size=48,
    num_codebooks=3, codebook_size=30, context_length=64, audio_out_id=1, audio_out_bos_id=2, eot_id=3,
    end_of_text_id=4, audio_eos_id=5,
)  # fmt: skip
FIRST, TOKENS, FRAMES = 6, 6, 21
SHARPNESS = 1.4


def spoken(seed):
    """A sentence of six tokens, each said in three frames, and three more that are forced."""
    tokens = FIRST + np.random.default_rng(seed).permutation(TOKENS)
    said = np.repeat(tokens, 3)[:, None] * np.ones((1, 3), np.int64)
    codes = np.concatenate((said, np.full((FRAMES - len(said), 3), SIZES.stream_eos)))
    mask = np.arange(1 + TOKENS + FRAMES) > TOKENS
    prompt = Prompt((0, *tokens.tolist(), *[1] * FRAMES), mask, codes)
    return replace(prompt, sentence_positions=(1, 1 + TOKENS))


@pytest.fixture
def lm():
    torch.manual_seed(0)
    return HiggsLM(SIZES).eval()


def teach(lm, layer, head):
    """Have a head look where the token stands that a frame says: a token is an angle, to whose cosine and sine the two
    components belong that hardly turn over a short sentence."""
    size, slow = SIZES.head_dim, (SIZES.head_dim // 2 - 1, SIZES.head_dim - 1)
    with torch.no_grad():
        for name, parameter in lm.named_parameters():
            if "norm" not in name:
                parameter.zero_()
        for token in range(TOKENS):
            angle = torch.tensor(2 * torch.pi * token / TOKENS)
            point = torch.stack((angle.cos(), angle.sin()))
            lm.embed_tokens.weight[FIRST + token, :2] = point
            lm.embed_audio_tokens.weight[FIRST + token, 2:4] = point
        attention = lm.layers[layer].self_attn
        for index, component in enumerate(slow):
            attention.q_proj.weight[head * size + component, 2 + index] = SHARPNESS
            attention.k_proj.weight[head // 2 * size + component, index] = SHARPNESS


def test_an_untrained_model_has_none(lm):
    assert find_reading_head(lm, [spoken(seed) for seed in range(3)]) is None
    assert find_reading_head(lm, []) is None


@pytest.mark.parametrize(("layer", "head"), [(0, 1), (1, 2)])
def test_a_head_that_looks_at_what_is_said_is_found(lm, layer, head):
    teach(lm, layer, head)
    assert find_reading_head(lm, [spoken(seed) for seed in range(3)]) == ReadingHead(layer, head)
