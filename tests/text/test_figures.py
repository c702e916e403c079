"""Number words as figures: every way to say the same digits is the same text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parlando.text.figures import in_figures
from parlando.text.numbers import cardinal, digits


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("one seven two one", "1721"),
        ("Seventeen twenty-one", "1721"),
        ("one thousand seven hundred and twenty one", "1721"),
        ("nineteen hundred years", "1900 years"),
        ("a hundred and five days", "105 days"),
        ("a hundredth", "a hundredth"),
        ("two million three thousand and four", "2003004"),
        ("one hundred thousand", "100000"),
        ("one, three, five, seven, nine, eleven, thirteen", "135791113"),
        ("call me at zero two, two nine, four two.", "call me at 022942."),
        ("room four oh one", "room 401"),
        ("Oh, someone told the tenants of a wonder.", "oh, someone told the tenants of a wonder."),
        ("twenty second", "20 second"),
        ("twenty and thirty", "2030"),
        ("a thousand thousand", "1000000"),
        ("It was 5 hundred.", "it was 5 100."),
        ("", ""),
    ],
)
def test_numbers_are_figures(said, written):
    assert in_figures(said) == written


@given(st.integers(0, 10**15))
def test_a_number_in_full_and_by_its_digits_is_the_same(number):
    assert in_figures(cardinal(number)) == in_figures(digits(str(number))) == str(number)
