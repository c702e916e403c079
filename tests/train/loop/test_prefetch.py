"""Batches that are made ahead: each once, in order, beside what uses them."""

import threading

import pytest

from parlando.train.loop.prefetch import Prefetcher


@pytest.fixture
def making():
    """A prefetcher of squares, and the numbers that it has made."""
    made = []

    def make(number):
        made.append((number, threading.current_thread().name))
        if number == 13:
            raise ValueError("no thirteenth")
        return number**2

    prefetcher = Prefetcher(make)
    yield prefetcher, made
    prefetcher.close()


def test_the_next_one_is_made_while_one_is_used():
    begun = threading.Event()

    def make(number):
        if number == 1:
            begun.set()
        return number

    prefetcher = Prefetcher(make)
    assert prefetcher.get(0) == 0
    assert begun.wait(10), "nobody has asked for it yet"
    prefetcher.close()


def test_each_is_made_once_in_order_and_in_another_thread(making):
    prefetcher, made = making
    assert [prefetcher.get(number) for number in range(5)] == [0, 1, 4, 9, 16]
    prefetcher.close()
    assert [number for number, _ in made[:5]] == [0, 1, 2, 3, 4]
    assert threading.current_thread().name not in {thread for _, thread in made}


def test_out_of_order_it_is_right_too(making):
    prefetcher, _ = making
    assert [prefetcher.get(number) for number in (3, 3, 7, 2)] == [9, 9, 49, 4]


def test_what_making_raises_comes_with_its_own_batch(making):
    prefetcher, _ = making
    assert prefetcher.get(12) == 144
    with pytest.raises(ValueError, match="thirteenth"):
        prefetcher.get(13)
    assert prefetcher.get(14) == 196
