from __future__ import annotations

import numpy as np
import pytest

from parlando.evaluate.suite.figures import Figure, average, percentage, ratio
from parlando.evaluate.wer import ErrorRates


def test_a_mean_skips_what_is_missing_and_has_an_interval_around_it():
    figure = average("x", [1.0, None, 3.0, 2.0], "judge", " s")
    assert (figure.value, figure.count, figure.by) == (2.0, 3, "judge")
    assert figure.low is not None
    assert figure.high is not None
    assert 1.0 <= figure.low < 2.0 < figure.high <= 3.0
    assert average("x", [5.0, 5.0]).low == average("x", [5.0, 5.0]).high == 5.0


def test_one_value_has_no_interval():
    assert average("x", [5.0, None]) == Figure("x", 5.0, count=1)
    assert str(percentage("WER", ErrorRates(10, 0.25, 0.1, 0.2, 0.3), 1)) == "25.0 %"


def test_a_median_is_a_median():
    assert average("x", [1.0, 2.0, 30.0], of=np.median).value == 2.0


def test_of_nothing_there_is_no_figure():
    assert str(average("x", [None])) == "–"
    assert ratio("x", [None], [1.0]).value is None


def test_a_ratio_is_of_sums():
    figure = ratio("RTF", [1.0, 1.0, None], [2.0, 6.0, 9.0])
    assert (figure.value, figure.count) == (0.25, 2)


@pytest.mark.parametrize(
    ("value", "text"), [(0.123, "0.12 %"), (12.34, "12.3 %"), (123.4, "123 %"), (2.3e-7, "2.3e-07 %"), (0.0, "0.00 %")]
)
def test_figures_are_shown_as_exactly_as_they_are_known(value, text):
    assert str(Figure("x", value, " %")) == text


def test_an_error_rate_is_a_percentage():
    figure = percentage("WER", ErrorRates(10, 0.25, 0.1, 0.2, 0.3), 4, "j")
    assert str(figure) == "25.0 % (20.0–30.0)"
