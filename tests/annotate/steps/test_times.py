"""Word times from recognisers: matched to the joined words, the median of several, gaps filled."""

from __future__ import annotations

import pytest

from parlando.annotate.steps.times import heard_times

FIRST = {"words": [["He", 0.0, 0.2, 0.9], ["paid", 0.2, 0.6, 0.9], ["$5.", 0.6, 1.5, 0.9]]}
SECOND = {"words": [["he", 0.2, 0.4, 0.9], ["prayed", 0.3, 0.6, 0.5], ["five", 0.8, 1.0, 0.9]]}


def test_a_figures_time_is_shared_by_its_words():
    times = heard_times(["he", "paid", "five", "dollars"], [FIRST], "en", 2.0)
    assert [word for word, _, _ in times] == ["he", "paid", "five", "dollars"]
    # Four and seven letters in 0.9 s.
    assert times[2][1:] == pytest.approx((0.6, 0.6 + 0.9 * 4 / 11))
    assert times[3][1:] == pytest.approx((0.6 + 0.9 * 4 / 11, 1.5))


def test_of_several_recognisers_it_is_the_median():
    times = heard_times(["he", "paid", "five"], [FIRST, SECOND, SECOND], "en", 2.0)
    assert times[0][1:] == pytest.approx((0.2, 0.4))
    assert times[1][1:] == pytest.approx((0.2, 0.6))


def test_words_nobody_timed_share_the_gap_between_their_neighbours():
    times = heard_times(["he", "has", "not", "paid", "me"], [FIRST], "en", 1.0)
    assert times[1][1:] == pytest.approx((0.2, 0.2))
    assert times[2][1:] == pytest.approx((0.2, 0.2))
    assert times[4][1:] == pytest.approx((0.6, 1.0))
    assert heard_times(["x"], [{"words": []}], "en", 1.0) == []
    assert heard_times(["x"], [FIRST], "en", 1.0) == []
