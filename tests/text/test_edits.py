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


def test_the_distance_is_levenshteins():
    def slow(first, second):
        row = list(range(len(second) + 1))
        for i, a in enumerate(first, 1):
            row, old = [i], row
            for j, b in enumerate(second, 1):
                row.append(min(old[j] + 1, row[-1] + 1, old[j - 1] + (a != b)))
        return row[-1]

    words = ["", "a", "kitten", "sitting", "saturday", "sunday", "aaaa", "baab", "xyzaaaa"]
    assert [edits(a, b) for a in words for b in words] == [slow(a, b) for a in words for b in words]
