"""The head that goes through the text: it never jumps, knows late text, and each row's way is its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from cosyvoice_tiny import LM
from parlando.core.errors import ConfigError
from parlando.core.types import Frame
from parlando.models.cosyvoice.lm import CosyVoiceLM
from parlando.models.cosyvoice.lm_inference import CosyVoiceTokenLM
from parlando.models.cosyvoice.parts.monotonic_attention import MonotonicAttention, MonotonicCache
from parlando.models.cosyvoice.prompt import SpeechPrompt
from parlando.nn.following import AHEAD, BACK, SURE

GUIDED = replace(LM, guided_layer=1)
TEXT = 30


def shown(monotonic: MonotonicAttention, row: int = 0, extent: int = 60) -> list[int]:
    return torch.isfinite(monotonic.mask(row + 1, extent)[row]).nonzero()[:, 0].tolist()


def looking_at(position: int, weight: float = 0.9, extent: int = 60) -> np.ndarray:
    looks = np.full(extent, 0.0)
    looks[position] = weight
    return looks


def following_text(place: int = 0) -> MonotonicAttention:
    """One row whose text is positions 1 to 30 of 60."""
    monotonic = MonotonicAttention(1, 60, torch.zeros(1))
    monotonic.begin(0, range(1, TEXT + 1), place)
    return monotonic


def test_only_the_text_around_its_place_is_shown_and_all_that_is_no_text():
    monotonic = following_text(place=10)
    assert shown(monotonic) == [0, *range(11 - BACK, 11 + AHEAD + 1), *range(TEXT + 1, 60)]


def test_it_goes_on_to_where_the_head_looks_and_never_back_or_far_ahead():
    monotonic = following_text()
    monotonic.follow(0, looking_at(4))
    assert monotonic.place(0) == 3
    monotonic.follow(0, looking_at(3))
    assert monotonic.place(0) == 3, "back"
    monotonic.follow(0, looking_at(20))
    assert monotonic.place(0) == 3, "what is not shown cannot be looked at"
    monotonic.follow(0, looking_at(6, weight=SURE / 2))
    assert monotonic.place(0) == 3, "not sure"
    for _ in range(40):
        monotonic.follow(0, looking_at(min(TEXT, 1 + monotonic.place(0) + AHEAD)))
    assert monotonic.place(0) == TEXT - 1
    assert shown(monotonic) == [0, *range(TEXT - BACK, 60)]


def test_text_that_comes_later_is_shown_when_it_is_due():
    monotonic = MonotonicAttention(1, 60, torch.zeros(1))
    monotonic.begin(0, range(1, 4), 2)
    monotonic.hear(0, 20)
    assert shown(monotonic)[-40:] == list(range(20, 60))
    for position in range(21, 27):
        monotonic.hear(0, position)
    assert 24 not in shown(monotonic)
    monotonic.follow(0, looking_at(20))
    assert monotonic.place(0) == 3
    assert 24 in shown(monotonic)
    monotonic.begin(0, [], 0)
    monotonic.follow(0, looking_at(1))
    assert shown(monotonic) == list(range(60)), "nothing is left of the text before"


@pytest.fixture(scope="module")
def weights() -> CosyVoiceLM:
    torch.manual_seed(0)
    return CosyVoiceLM(GUIDED).eval()


def prompt_of(text: int, lead: int = 0, codes: int = 0) -> SpeechPrompt:
    generator = torch.Generator().manual_seed(text)
    tokens = torch.randint(0, GUIDED.vocab_size, (lead + text,), generator=generator).tolist()
    values = (GUIDED.sos_id, *tokens, GUIDED.task_id, *[GUIDED.speech_id] * codes)
    is_code = np.array(values) == GUIDED.speech_id
    return SpeechPrompt(values, is_code, np.full((codes, 1), 5), text_tokens=text, lead_tokens=lead)


def spoken(lm: CosyVoiceTokenLM, cache: MonotonicCache, rows: int, steps: int = 6) -> list[Tensor]:
    said = []
    for step in range(steps):
        logits = lm.step([Frame(GUIDED.speech_id, (step,))] * rows, cache)
        said.append(torch.stack([each.ranking.logits[each.row, 0] for each in logits if each is not None]))
    return said


def test_rows_of_different_texts_go_their_own_ways(weights):
    lm = CosyVoiceTokenLM(weights)
    prompts = [prompt_of(12), prompt_of(40, lead=9, codes=7), prompt_of(25)]
    together = lm.new_cache(3, 100)
    for row, prompt in enumerate(prompts):
        lm.prefill(prompt, together, row)
    assert [together.monotonic.place(row) for row in range(3)] == [0, 9, 0]
    rows = spoken(lm, together, 3)
    for row, prompt in enumerate(prompts):
        alone = lm.new_cache(1, 100)
        lm.prefill(prompt, alone, 0)
        for one, all_rows in zip(spoken(lm, alone, 1), rows, strict=True):
            assert torch.allclose(one[0], all_rows[row], atol=1e-4)
        assert alone.monotonic.place(0) == together.monotonic.place(row)


def test_what_is_hidden_changes_what_is_said_and_a_model_without_a_guide_hides_nothing(weights):
    prompt = prompt_of(40)
    said = {}
    for name, config in (("guided", GUIDED), ("plain", LM)):
        copy = CosyVoiceLM(config).eval()
        copy.load_state_dict(weights.state_dict())
        lm = CosyVoiceTokenLM(copy)
        cache = lm.new_cache(1, 100)
        assert isinstance(cache, MonotonicCache) is (name == "guided")
        lm.prefill(prompt, cache, 0)
        said[name] = spoken(lm, cache, 1)
    assert (said["guided"][0] - said["plain"][0]).abs().max() > 1e-5


def test_text_that_is_fed_is_text_of_its_row(weights):
    lm = CosyVoiceTokenLM(weights)
    cache = lm.new_cache(2, 100)
    for row in range(2):
        lm.prefill(prompt_of(5), cache, row)
    lm.step([Frame(7), Frame(GUIDED.speech_id, (3,))], cache)
    position = cache.length(0) - 1
    assert torch.isinf(cache.monotonic.mask(2, 100)[0, position])
    assert not torch.isinf(cache.monotonic.mask(2, 100)[1, position])


def test_a_layer_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match="no layer 2 among 2"):
        replace(LM, guided_layer=2)
