from __future__ import annotations

import pytest

from parlando.engine.free_rows import FreeRows


def test_the_lowest_free_row_goes_first():
    rows = FreeRows(3)
    assert [rows.take() for _ in range(3)] == [0, 1, 2]
    rows.give(2)
    rows.give(0)
    assert (rows.take(), rows.take(), rows.free) == (0, 2, 0)


def test_taking_from_none_is_an_error():
    with pytest.raises(IndexError):
        FreeRows(0).take()


@pytest.mark.parametrize("row", [0, 1, 2, -1])
def test_giving_back_what_nobody_holds_is_an_error(row):
    rows = FreeRows(2)
    rows.give(rows.take())
    with pytest.raises(ValueError, match=f"row {row} of 2"):
        rows.give(row)
    assert rows.free == 2
