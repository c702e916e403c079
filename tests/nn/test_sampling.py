"""Drawing tokens: filters, greedy, seeds and repetition awareness."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from parlando.core.errors import ConfigError, GenerationError
from parlando.core.types import NOWHERE, SamplingOptions
from parlando.nn.sampling import WARMEST, WARMING, Ranking, Widening, check_options, draw, invert

PLAIN = SamplingOptions(temperature=1.0, top_k=None, top_p=None, repetition_window=None)
NO_HISTORY = np.zeros((0, 1), dtype=np.int64)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def frequencies(probabilities: list[float], options: SamplingOptions, draws: int = 4000) -> list[float]:
    logits = torch.tensor(probabilities).log().repeat(draws, 1)
    tokens = draw(Ranking(logits[None]), 0, options, NO_HISTORY, generator())
    return (np.bincount(tokens, minlength=len(probabilities)) / draws).tolist()


def test_rows_that_share_a_ranking_draw_what_they_would_alone():
    logits = torch.randn(3, 4, 30, generator=generator(2))
    options = dataclasses.replace(PLAIN, top_k=5)
    shared = Ranking(logits)
    together = [draw(shared, row, options, NO_HISTORY, generator(row)).tolist() for row in range(3)]
    alone = [draw(Ranking(logits[i : i + 1]), 0, options, NO_HISTORY, generator(i)).tolist() for i in range(3)]
    assert together == alone
    assert shared.kept(options) is shared.kept(dataclasses.replace(options, seed=7))
    assert shared.kept(options).indices[1].tolist() == logits[1].topk(5).indices.tolist()


def test_a_broken_row_is_an_error_of_its_own():
    logits = torch.randn(3, 4, 30, generator=generator(2))
    logits[1, 2, 3] = float("nan")
    ranking = Ranking(logits)
    draw(ranking, 0, PLAIN, NO_HISTORY, generator())
    with pytest.raises(GenerationError, match="not finite"):
        draw(ranking, 1, PLAIN, NO_HISTORY, generator())
    draw(ranking, 2, PLAIN, NO_HISTORY, generator())


def test_plain_draws_follow_the_distribution():
    assert frequencies([0.5, 0.3, 0.2], PLAIN) == pytest.approx([0.5, 0.3, 0.2], abs=0.03)


def test_temperature_half_squares_the_probabilities():
    expected = [0.25 / 0.38, 0.09 / 0.38, 0.04 / 0.38]
    assert frequencies([0.5, 0.3, 0.2], dataclasses.replace(PLAIN, temperature=0.5)) == pytest.approx(
        expected, abs=0.03
    )


def test_top_k_keeps_the_two_likeliest_and_renormalises():
    drawn = frequencies([0.2, 0.5, 0.3], dataclasses.replace(PLAIN, top_k=2))
    assert drawn[0] == 0
    assert drawn[1:] == pytest.approx([0.625, 0.375], abs=0.03)


@pytest.mark.parametrize(("top_p", "kept"), [(0.4, 1), (0.5, 1), (0.6, 2), (0.95, 3), (1.0, 4), (1e-9, 1)])
def test_top_p_keeps_the_token_that_crosses_and_none_after(top_p, kept):
    drawn = frequencies([0.5, 0.25, 0.24, 0.01], dataclasses.replace(PLAIN, top_p=top_p))
    assert sum(share > 0 for share in drawn) == kept


def test_top_p_counts_within_top_k():
    drawn = frequencies([0.4, 0.3, 0.3], dataclasses.replace(PLAIN, top_k=2, top_p=0.55))
    assert drawn == [1.0, 0.0, 0.0], "0.4 of the remaining 0.7 is already more than 0.55"


def test_temperature_zero_is_the_argmax_and_never_redraws():
    logits = torch.randn(8, 50, generator=generator(1))
    history = logits.argmax(-1).repeat(7, 1).numpy()
    options = SamplingOptions(temperature=0.0, repetition_window=7, repetition_limit=1)
    used = generator()
    before = used.get_state()
    assert draw(Ranking(logits[None]), 0, options, history, used).tolist() == logits.argmax(-1).tolist()
    assert torch.equal(used.get_state(), before)


def test_equal_seeds_give_equal_draws_and_others_differ():
    logits = torch.randn(8, 50, generator=generator(1))
    draws = [
        draw(Ranking(logits[None]), 0, SamplingOptions(), NO_HISTORY, generator(seed)).tolist() for seed in (3, 3, 4)
    ]
    assert draws[0] == draws[1] != draws[2]


def test_random_stream_does_not_depend_on_redraws():
    logits = torch.randn(4, 50, generator=generator(1))
    states = []
    for history in (NO_HISTORY, np.arange(50)[:, None].repeat(4, axis=1)):
        used = generator()
        draw(Ranking(logits[None]), 0, SamplingOptions(repetition_window=50, repetition_limit=1), history, used)
        states.append(used.get_state())
    assert torch.equal(*states)


def test_repetition_redraws_only_the_codebook_that_repeats():
    options = SamplingOptions(top_k=1, repetition_window=3, repetition_limit=2)
    logits = torch.zeros(2, 100)
    logits[:, 7] = 0.1
    history = np.array([[7, 0], [7, 7], [0, 1], [1, 7]])
    first, second = np.stack(
        [draw(Ranking(logits[None]), 0, options, history, generator(seed)) for seed in range(30)], axis=1
    )
    assert (first == 7).all(), "only one 7 among the last three frames"
    assert len(set(second.tolist())) > 15, "drawn from the whole distribution, not from the top 1"


def test_forbidden_tokens_are_never_drawn_even_without_filters():
    logits = torch.full((1000, 5), float("-inf"))
    logits[:, 3] = 0.0
    assert (draw(Ranking(logits[None]), 0, PLAIN, NO_HISTORY, generator()) == 3).all()


def test_inverse_reaches_the_ends_and_skips_zero_weights():
    weights = np.array([[0.0, 1.0, 0.0, 3.0, 0.0]]).repeat(4, axis=0)
    uniform = np.array([0.0, 0.2499, 0.25, 1 - 2**-53])
    assert invert(weights.cumsum(axis=-1), uniform).tolist() == [1, 1, 3, 3]


@pytest.mark.parametrize("logits", [torch.tensor([[0.0, float("nan")]]), torch.full((1, 3), float("-inf"))])
def test_broken_logits_are_an_error(logits):
    with pytest.raises(GenerationError, match="not finite"):
        draw(Ranking(logits[None]), 0, PLAIN, NO_HISTORY, generator())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", -0.1),
        ("temperature", float("nan")),
        ("top_k", 0),
        ("top_p", 0.0),
        ("top_p", 1.1),
        ("repetition_window", -1),
        ("repetition_limit", 0),
        ("max_frames", 0),
    ],
)
def test_options_out_of_range_name_the_option(field, value):
    check_options(SamplingOptions())
    with pytest.raises(ConfigError, match=f"sampling.{field}"):
        check_options(dataclasses.replace(SamplingOptions(), **{field: value}))


def test_patience_ends_where_a_model_stays_at_one_place_and_begins_anew_where_it_goes_on():
    options = SamplingOptions(temperature=0.5, top_p=0.9, patience_frames=3)
    widening = Widening(options, 9)
    drawn = [widening.at(place) for place in (4, 4, 4, 4, 4, 5)]
    assert drawn[:3] == [options] * 3
    assert [each.temperature for each in drawn[3:5]] == pytest.approx([0.5 * (1 + WARMING), 0.5 * (1 + 2 * WARMING)])
    assert {each.top_p for each in drawn[3:5]} == {None}
    assert drawn[5] == options
    for _ in range(100):
        warmest = widening.at(5)
    assert warmest.temperature == WARMEST


@pytest.mark.parametrize(
    ("options", "place"),
    [
        (SamplingOptions(temperature=0.5), 4),
        (SamplingOptions(temperature=0.5, patience_frames=3), NOWHERE),
        (SamplingOptions(temperature=0.5, patience_frames=3), 8),
        (SamplingOptions(temperature=2.0, top_p=None, patience_frames=3), 4),
    ],
)
def test_patience_leaves_alone_who_did_not_ask_is_nowhere_at_the_end_or_warm_enough(options, place):
    widening = Widening(options, 9)
    assert {widening.at(place) for _ in range(20)} == {options}


def test_greedy_stays_greedy():
    widening = Widening(SamplingOptions(temperature=0.0, patience_frames=0), 9)
    assert {widening.at(1).temperature for _ in range(20)} == {0.0}
