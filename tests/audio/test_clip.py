from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parlando.audio.clip import Clip, as_mono, check_sample_rate
from parlando.core.errors import AudioError


def test_duration_is_samples_over_rate():
    assert Clip(np.zeros(12000, np.float32), 24000).duration_seconds == 0.5


@pytest.mark.parametrize(
    ("dtype", "value", "expected"),
    [(np.int16, 16384, 0.5), (np.int32, -(2**30), -0.5), (np.uint8, 192, 0.5), (np.float64, 0.25, 0.25)],
)
def test_numbers_of_every_kind_get_full_scale_one(dtype, value, expected):
    mono = as_mono(np.full(4, value, dtype=dtype))
    assert mono.dtype == np.float32
    assert mono.tolist() == [expected] * 4


@given(st.lists(st.tuples(*[st.floats(-1, 1, width=32)] * 2), min_size=1, max_size=50))
def test_stereo_is_averaged(pairs):
    assert np.allclose(as_mono(np.array(pairs)), [(left + right) / 2 for left, right in pairs], atol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_sample_that_is_not_finite_is_named(bad):
    wave = np.zeros(10)
    wave[7] = bad
    with pytest.raises(AudioError, match=r"my clip: sample 7 is not a number or infinite"):
        as_mono(wave, "my clip")


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros(0), "holds no samples"),
        (np.zeros((2, 2, 2)), r"expected samples \[n\] or \[n, channel\]"),
        (np.zeros((2, 4000)), "transpose it"),
        (np.array(["a"]), "expected samples"),
        (np.zeros(3, dtype=bool), "expected samples"),
        (np.zeros(3, dtype=complex), "expected samples"),
        (None, "expected samples"),
    ],
)
def test_what_is_no_audio_is_refused(samples, message):
    with pytest.raises(AudioError, match=message):
        as_mono(samples)


@pytest.mark.parametrize("rate", [0, -1, 16000.0, "16000", None, True])
def test_a_wrong_rate_is_refused(rate):
    with pytest.raises(AudioError, match="whole number of hertz"):
        check_sample_rate(rate)


def test_a_numpy_rate_becomes_an_int():
    assert type(check_sample_rate(np.int64(16000))) is int
