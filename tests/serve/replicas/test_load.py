"""Who takes a request, and how many servers there are to be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from parlando.serve.replicas.load import BUSY, FREE, FULL, Load, load_of, preferred, read_load, wanted_servers
from parlando.serve.replicas.rendezvous import ranked

IDLE = Load(rows=8, streams=0, feeds=4.0, wait_seconds=0.0, full=0)


def test_a_server_tells_its_load(stub):
    load = load_of(stub.service)
    assert (load.rows, load.streams, load.wait_seconds, load.full) == (8, 0, 0.0, 0)
    assert load.level() == FREE
    assert read_load(load.figures()) == load
    stub.model.lm.step_seconds = 0.02
    with stub.http.stream("POST", "/v1/audio/speech", json={"input": "An endless one.", "response_format": "pcm"}):
        assert load_of(stub.service).streams == 1


def test_a_server_that_drains_is_full(fresh):
    fresh.service.draining = True
    assert load_of(fresh.service).level() == FULL


@pytest.mark.parametrize(
    ("load", "requests", "level"),
    [
        (IDLE, 0, FREE),
        (IDLE, 7, FREE),
        (IDLE, 8, BUSY),  # sent, and not told yet
        (replace(IDLE, streams=8), 0, BUSY),
        (replace(IDLE, wait_seconds=0.1), 0, BUSY),
        (replace(IDLE, full=1), 0, FULL),
        (read_load({}), 0, FREE),
        (read_load({}), 1, BUSY),
    ],
)
def test_levels(load, requests, level):
    assert load.level(requests) == level


def test_a_voice_stays_with_its_server_until_that_is_busy():
    first, second, third = ranked("ada", ["one", "two", "three"])
    assert preferred("ada", {first: FREE, second: FREE, third: FREE}) == [first, second, third]
    assert preferred("ada", {first: BUSY, second: FREE, third: FREE}) == [second, third, first]
    assert preferred("ada", {first: FULL, second: BUSY, third: BUSY}) == [second, third, first]
    assert preferred("ada", {first: BUSY, second: BUSY, third: FULL}) == [first, second, third]


@pytest.mark.parametrize(
    ("loads", "wanted"),
    [
        ([], 1),
        ([IDLE], 1),
        ([IDLE, IDLE, IDLE], 1),
        ([replace(IDLE, streams=3)], 1),
        ([replace(IDLE, streams=4)], 2),  # of four that are fed, three are to be there
        ([replace(IDLE, streams=9), replace(IDLE, streams=3)], 4),
        ([replace(IDLE, wait_seconds=0.5)], 2),
        ([replace(IDLE, wait_seconds=0.5), IDLE], 1),  # the other one would take it
        ([replace(IDLE, streams=1, full=1), replace(IDLE, wait_seconds=2.0)], 3),
    ],
)
def test_as_many_servers_as_feed_everybody(loads, wanted):
    assert wanted_servers(loads) == wanted
