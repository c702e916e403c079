"""Bare lists in groups."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parlando.core.types import Notation
from parlando.text.lists import ITEMS_AT_ONCE, in_groups
from parlando.text.reading import Reading
from parlando.text.sentences import spoken_sentences


@pytest.mark.parametrize(
    ("sentence", "groups"),
    [
        ("one, two, three, four, five, six", ["one, two, three.", "four, five, six"]),
        ("Monday, Tuesday, Wednesday, Thursday, and Friday.", ["Monday, Tuesday, Wednesday.", "Thursday, and Friday."]),
        ("a, b, c, d, e, f, g.", ["a, b, c.", "d, e, f, g."]),
        ("twenty one, twenty two, twenty three, twenty four, five", ["twenty one, twenty two, twenty three.",
                                                                      "twenty four, five"]),
        ("red, green, blue, white.", ["red, green, blue, white."]),
        ("We need eggs, milk, bread, butter, and salt.", ["We need eggs, milk, bread, butter, and salt."]),
        ("The days are Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday.",
         ["The days are Monday, Tuesday, Wednesday.", "Thursday, Friday, Saturday, Sunday."]),
        ("June, July, August, September, October, November and December.",
         ["June, July, August.", "September, October, November and December."]),
        ("one two three four five six seven eight nine", ["one two three.", "four five six.", "seven eight nine"]),
        ("The code is four eight one five one six two three.",
         ["The code is four eight one.", "five one six.", "two three."]),
        ("New York City, Los Angeles, San Francisco, Salt Lake City, Boston.",
         ["New York City, Los Angeles, San Francisco.", "Salt Lake City, Boston."]),
        ("I came, I saw it all, I won, I went away, I slept.", ["I came, I saw it all, I won, I went away, I slept."]),
        ("Call five five five, one two one two.", ["Call five five five, one two one two."]),
        ("Yes, no. Yes, no, yes, no, yes.", ["Yes, no. Yes, no, yes, no, yes."]),
    ],
)  # fmt: skip
def test_only_bare_lists_are_cut(sentence, groups):
    assert in_groups(sentence, 3) == groups
    assert in_groups(sentence, 0) == [sentence]


@pytest.mark.parametrize(
    ("sentence", "groups"),
    [
        ("one, two, three, four, five", ["one.", "two.", "three.", "four.", "five"]),
        ("red, green, blue, white.", ["red, green, blue, white."]),
        ("June, July, August, September and October, November.",
         ["June.", "July.", "August.", "September and October.", "November."]),
        ("The days are Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday.",
         ["The days are Monday.", "Tuesday.", "Wednesday.", "Thursday.", "Friday.", "Saturday.", "Sunday."]),
        ("We need eggs, milk, bread, butter, and salt.", ["We need eggs, milk, bread, butter, and salt."]),
        ("one two three four five six seven", ["one two three.", "four five six seven"]),
    ],
)  # fmt: skip
def test_a_small_model_says_items_one_by_one_and_digits_in_threes(sentence, groups):
    assert in_groups(sentence, ITEMS_AT_ONCE) == groups


@given(st.lists(st.sampled_from(["one", "twenty two", "Ann", "and Ben"]), min_size=1, max_size=14), st.integers(1, 5))
def test_no_word_is_lost_and_no_group_is_too_long(items, most):
    groups = in_groups(", ".join(items), most)
    assert re.findall(r"\w+", " ".join(groups)) == re.findall(r"\w+", ", ".join(items))
    assert max(group.count(",") for group in groups) <= max(most, 3)


def test_a_model_that_loses_items_is_given_few_at_once():
    text = "one, two, three, four, five, six, seven, eight, nine"
    told = [sentence for sentence, _ in spoken_sentences(text, Reading(notation=Notation(list_items=3)))]
    assert told == ["one, two, three.", "four, five, six.", "seven, eight, nine."]
    assert [sentence for sentence, _ in spoken_sentences(text, Reading())] == [f"{text}."]
