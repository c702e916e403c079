from __future__ import annotations

import pytest

from parlando.engine.slots import Slots


def test_the_lowest_free_slot_goes_first():
    slots = Slots(3)
    assert [slots.take() for _ in range(3)] == [0, 1, 2]
    slots.give(2)
    slots.give(0)
    assert (slots.take(), slots.take(), slots.free) == (0, 2, 0)


def test_taking_from_none_is_an_error():
    with pytest.raises(IndexError):
        Slots(0).take()


@pytest.mark.parametrize("slot", [0, 1, 2, -1])
def test_giving_back_what_nobody_holds_is_an_error(slot):
    slots = Slots(2)
    slots.give(slots.take())
    with pytest.raises(ValueError, match=f"slot {slot} of 2"):
        slots.give(slot)
    assert slots.free == 2
