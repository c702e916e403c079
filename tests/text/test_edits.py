"""Edits between sequences."""

import pytest

from parlando.text.edits import edits


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [("", "", 0), ("abc", "", 3), ("", "ab", 2), ("kitten", "sitting", 3), ("abc", "abc", 0), ("ab", "ba", 2)],
)
def test_the_fewest_edits(one, other, expected):
    assert edits(one, other) == expected
    assert edits(list(other), list(one)) == expected
