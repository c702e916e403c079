"""The soak itself, on a server whose model takes no time, and what it says of servers that misbehave."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import time
from dataclasses import replace
from functools import partial
from itertools import repeat
from pathlib import Path

import pytest

from canned_server import answering

STUB = f"{sys.executable} {Path(__file__).with_name('stub_command.py')}"
SOUND = b"\x00\x40" * 24000


@pytest.fixture(scope="module")
def soaks(root):
    """The recipe's modules: itself, its doors, its server and its visits."""
    names = ("soak", "soak_doors", "soak_server", "soak_visit")
    sys.path.insert(0, str(root / "recipes"))
    try:
        yield [__import__(name) for name in names]
    finally:
        sys.path.remove(str(root / "recipes"))
        for name in names:
            del sys.modules[name]


@pytest.mark.slow
def test_every_door_is_visited_and_played_and_nothing_is_left(soaks, tmp_path, capsys, monkeypatch):
    soak, doors, *_ = soaks
    monkeypatch.setattr(soak, "PAUSE_SECONDS", 0.01)
    out = tmp_path / "soak.json"
    status = soak.main(["--seconds", "1", "--warm-up", "1", "--listeners", "1", "--server", STUB, "--out", str(out)])
    report, told = json.loads(out.read_text()), capsys.readouterr().out
    # Sound that stops and memory that grows are for a quiet machine and a long time.
    failing = {check["what"]: check["figure"] for check in report["checks"] if not check["holds"]}
    assert failing.keys() <= {"nobody's sound stopped", "memory"}, failing
    assert status == bool(failing)
    every = {doors.LISTENER.name, *(door.name for door in doors.DOORS)}
    assert {visited["door"] for visited in report["warm_up"]} == every
    assert {row["load"] for row in report["doors"]} == {visited["door"] for visited in report["visits"]} <= every
    for visited in (*report["warm_up"], *report["visits"]):
        silent = visited["door"] in ("unknown voice", "broken JSON", "no such path")
        assert (visited["heard"]["audio_seconds"] > 0.5) is not silent, visited
    assert report["end"]["slots_taken"] == 0
    assert len(report["memory_mebibytes"]) >= 1
    assert f"| {doors.LISTENER.name} " in told
    assert "| all slots are free " in told


@pytest.fixture
def clean(soaks):
    """A soak of which every check holds."""
    soak, doors, server, visit = soaks
    state = server.State(0, 0, 0, 0, open_files=20, threads=9, memory_mebibytes=300.0)
    heard = visit.Heard(200, 0.0, 1.0, audio_seconds=1.0)
    visits = [soak.Visited(doors.LISTENER.name, 0.0, heard)]
    return soak.Soaked(1.0, [], state, state, [], visits, [300.0] * 20, [])


def failing(soaked):
    return [check.what for check in soaked.checks() if not check.holds]


def test_a_clean_soak_has_no_failing_check(clean):
    assert failing(clean) == []


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"open_files": 21}, "open files"),
        ({"threads": 10}, "threads"),
        ({"slots_taken": 1}, "all slots are free"),
        ({"queue": 1}, "all slots are free"),
        ({"streams": 1}, "all slots are free"),
        ({"worker_restarts": 1}, "no worker died"),
    ],
)
def test_what_is_left_at_the_end_fails(clean, change, what):
    assert failing(replace(clean, end=replace(clean.end, **change))) == [what]


def test_memory_may_grow_by_5_percent(clean):
    assert failing(replace(clean, memory_mebibytes=[300.0] * 10 + [314.0] * 10)) == []
    assert failing(replace(clean, memory_mebibytes=[300.0] * 10 + [316.0] * 10)) == ["memory"]


def test_what_the_server_complains_of_fails(clean):
    assert failing(replace(clean, complaints=["Traceback"])) == ["the server's log"]


def test_whoever_is_interrupted_or_fails_is_counted_by_door_and_refusals_are_no_fault(clean, soaks):
    soak, doors, *_ = soaks
    door, heard = doors.DOORS[0].name, clean.visits[0].heard
    refused = soak.Visited(door, 0.0, replace(heard, status=503, audio_seconds=0.0))
    assert failing(replace(clean, visits=[*clean.visits, soak.Visited(door, 0.0, heard), refused])) == []
    assert failing(replace(clean, visits=[*clean.visits, refused])) == ["every door answered"]
    stopped = soak.Visited(door, 3.0, replace(heard, underrun_seconds=0.25, gaps=2))
    broken = soak.Visited(door, 4.0, replace(heard, error="EOFError: half"))
    soaked = replace(clean, visits=[*clean.visits, stopped, broken, refused])
    assert failing(soaked) == ["nothing failed", "nobody's sound stopped"]
    rows = {row.load: (row.requests, row.refused, row.failed, row.interrupted) for row in soaked.doors()}
    assert rows == {doors.LISTENER.name: (1, 0, 0, 0), door: (3, 1, 1, 1)}
    assert f"{door} stood still for 0.250 s in 2 gaps, 3.0 s from the beginning" in soak.told(soaked)


def test_a_door_without_its_clients_package_is_skipped_by_name(soaks):
    _, doors, *_ = soaks
    door = replace(doors.DOORS[0], package="no_such_package")
    assert door.missing
    assert not doors.DOORS[0].missing


def visited(soaks, go, answer):
    """A visit to a server that answers so, whatever it is asked."""
    visit = soaks[3]

    async def run():
        async with answering(answer) as url:
            return await visit.visit(go, visit.Place(url, repeat("Hello.")), time.perf_counter())

    return asyncio.run(run())


HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


def event(**data):
    return b"data: " + json.dumps(data).encode() + b"\n\n"


DELTA = event(type="speech.audio.delta", audio=base64.b64encode(SOUND).decode())
CHUNK = event(choices=[{"delta": {"audio": {"data": base64.b64encode(SOUND).decode()}}}])


@pytest.mark.parametrize(
    ("name", "answer", "outcome"),
    [
        ("speech_events", HEAD + DELTA + event(type="speech.audio.done"), "done"),
        ("speech_events", HEAD + DELTA, "failed"),
        ("speech_events", HEAD + DELTA + event(type="error", error={"code": "x", "message": "y"}), "failed"),
        ("speech_events", b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "refused"),
        ("chat_events", HEAD + CHUNK + b"data: [DONE]\n\n", "done"),
        ("chat_events", HEAD + CHUNK, "failed"),
        ("chat_whole", HEAD + b"{}", "failed"),
        ("tts", HEAD + b'{"audio": "AAAA"}', "failed"),
        ("speech_wav", HEAD, "failed"),
    ],
)
def test_an_answer_that_is_not_whole_has_failed(soaks, name, answer, outcome):
    heard = visited(soaks, getattr(soaks[1], name), answer)
    assert heard.outcome == outcome, heard
    assert outcome != "done" or heard.audio_seconds == 1.0


def test_nonsense_has_to_be_answered_by_the_right_status(soaks):
    go = partial(soaks[1].nonsense, "/v1/nowhere", b"", 404)
    for status, outcome in ((404, "done"), (200, "failed"), (500, "failed"), (429, "refused")):
        answer = b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status
        assert visited(soaks, go, answer).outcome == outcome
