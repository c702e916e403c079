"""The order of servers for a key."""

from __future__ import annotations

from collections import Counter

from parlando.serve.replicas.rendezvous import ranked

KEYS = [f"voice {number}" for number in range(2000)]


def test_everybody_finds_the_same_order_whatever_theirs_is():
    assert ranked("ada", ["one", "two", "three"]) == ranked("ada", ("three", "one", "two"))
    assert sorted(ranked("ada", ["one", "two", "three"])) == ["one", "three", "two"]
    assert ranked("ada", []) == []
    assert ranked("half \ud800", ["one"]) == ["one"]


def test_keys_are_spread_evenly_at_every_rank():
    names = ["one", "two", "three", "four"]
    for rank in range(len(names)):
        counts = Counter(ranked(key, names)[rank] for key in KEYS)
        assert all(abs(counts[name] - 500) < 80 for name in names)  # four standard deviations


def test_who_goes_takes_nobody_elses_keys_along():
    before = {key: ranked(key, ["one", "two", "three"]) for key in KEYS}
    after = {key: ranked(key, ["one", "three"]) for key in KEYS}
    assert all(after[key] == [name for name in before[key] if name != "two"] for key in KEYS)
    moved = Counter(after[key][0] for key in KEYS if before[key][0] == "two")
    assert min(moved.values()) > 250  # its keys go to both of the others
