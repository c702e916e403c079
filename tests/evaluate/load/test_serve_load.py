"""The load's client and its numbers, against a server of a few lines that answers badly on purpose."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from itertools import islice, pairwise

import pytest
from typer.testing import CliRunner

from canned_server import answering
from parlando.cli.app import build_app
from parlando.core.errors import ConfigError, MissingDependencyError
from parlando.evaluate.load.http_stream import Target, exchange
from parlando.evaluate.load.load_report import draw_load, load_markdown, percentile, summarise
from parlando.evaluate.load.prompts import prompts
from parlando.evaluate.load.serve_load import Ask, Heard, Level, LevelResult, ask, run_level

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: audio/pcm;rate=8000\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def heard_from(answer, **more):
    async def run():
        async with answering(answer) as url:
            return await ask(Ask(url, **more), "Hello.", time.perf_counter())

    return asyncio.run(run())


SOUND = b"\x00\x40" * 800
PIECES = b"190\r\n" + SOUND[:400] + b"\r\n4b0\r\n" + SOUND[400:] + b"\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [CHUNKED + PIECES, HEAD + b"Content-Length: 1600\r\n\r\n" + SOUND, HEAD + b"\r\n" + SOUND],
    ids=["chunked", "counted", "until the end"],
)
def test_every_way_of_framing_is_understood(answer):
    heard = heard_from(answer)
    assert (heard.outcome, heard.audio_seconds, heard.error) == ("done", pytest.approx(0.1), "")
    assert heard.first_byte_seconds <= heard.playable_seconds <= heard.audible_seconds <= heard.total_seconds


def test_a_wav_is_heard_without_its_header_at_its_own_rate():
    header = bytearray(44)
    header[24:28] = (16000).to_bytes(4, "little")
    heard = heard_from(HEAD + b"\r\n" + bytes(header) + SOUND, format="wav")
    assert heard.audio_seconds == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("answer", "outcome", "status"),
    [
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "refused", 503),
        (b"HTTP/1.1 429 Slow\r\nContent-Length: 0\r\n\r\n", "refused", 429),
        (b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", "failed", 500),
        (CHUNKED + PIECES[:-5], "failed", 200),
        (HEAD + b"Content-Length: 9999\r\n\r\n" + SOUND, "failed", 200),
        (HEAD + b"Content-Length: 0\r\n\r\n", "failed", 200),
        (b"", "failed", 0),
        (b"what?\r\n\r\n", "failed", 0),
    ],
)
def test_what_is_not_whole_has_failed_and_what_is_refused_has_not(answer, outcome, status):
    heard = heard_from(answer)
    assert (heard.outcome, heard.status) == (outcome, status)


def test_nobody_there_and_a_server_that_hangs_are_failures():
    heard = asyncio.run(ask(Ask("http://127.0.0.1:1"), "Hello.", 0.0))
    assert heard.error.startswith(("ConnectionRefusedError", "OSError"))

    async def hang():
        async with answering(CHUNKED + b"ffff\r\n") as url, exchange(Target(url), "/", {}) as answer:
            return [data async for data in answer.body()]

    with pytest.raises(EOFError):
        asyncio.run(hang())


@pytest.mark.parametrize("url", ["localhost:50000", "ftp://x", "http://"])
def test_what_is_no_address_is_refused(url):
    with pytest.raises(ConfigError, match="is no address"):
        Target(url)


def test_texts_are_said_once_and_are_the_same_for_a_seed():
    first = list(islice(prompts(1), 3000))
    assert len(set(first)) == 3000
    assert first == list(islice(prompts(1), 3000))
    assert all(text[0].isupper() and text.endswith(".") for text in first)


def test_arrivals_are_those_of_a_poisson_process():
    arrivals = list(Level("rate", 50.0, 100.0, seed=3).arrivals())
    assert len(arrivals) == pytest.approx(5000, rel=0.05)
    gaps = [later - earlier for earlier, later in pairwise(arrivals)]
    assert sum(gaps) / len(gaps) == pytest.approx(0.02, rel=0.05)
    assert sum(gap < 0.02 for gap in gaps) / len(gaps) == pytest.approx(0.632, abs=0.03)
    with pytest.raises(ConfigError, match="is none"):
        Level("rate", 0.0)


def test_an_open_loop_asks_by_the_clock_and_a_closed_one_again_and_again():
    running, most, duration = [0], [0], 0.05

    async def request(due_seconds):
        running[0] += 1
        most[0] = max(most[0], running[0])
        await asyncio.sleep(duration)
        running[0] -= 1
        return Heard(200, 0.0, 0.05, audio_seconds=1.0)

    level = Level("rate", 100.0, 0.3, seed=1)
    assert len(asyncio.run(run_level(level, request))) == len(list(level.arrivals()))
    assert most[0] > 3
    running[0], most[0], duration = 0, 0, 0.01
    assert 3 < len(asyncio.run(run_level(Level("concurrency", 3, 1.0), request))) <= 303
    assert most[0] == 3


def a_report():
    spoken = [Heard(200, 0.001, 1.0, "", 0.1 * n, 0.2, 0.3, 2.0, 0.5 if n == 2 else 0.0, 1) for n in range(1, 5)]
    heard = (*spoken, Heard(503, 0.0, 0.1), Heard(0, 0.0, 0.1, "OSError: gone"), Heard(500, 0.0, 0.1))
    return summarise(LevelResult(Level("rate", 2.0), heard, 4.0))


def test_a_report_counts_what_was_spoken_refused_interrupted_and_failed(tmp_path):
    report = a_report()
    assert (report.requests, report.done, report.refused, report.failed, report.interrupted) == (7, 4, 1, 2, 1)
    assert report.moments["first byte"] == (pytest.approx(0.2), pytest.approx(0.4), None)
    assert (report.audio_per_second, report.worst_underrun_seconds) == (2.0, 0.5)
    assert report.errors == {"OSError: gone": 1, "status 500": 1}
    table = load_markdown([report])
    assert "| rate 2 | 7        | 1       | 2      | 1           | 0.500            | 200 / 400 / – " in table
    assert draw_load([report, report], tmp_path / "load.png").stat().st_size > 10_000


def test_percentiles_are_values_that_were_there_and_the_99th_needs_a_hundred():
    assert percentile(list(range(1, 101)), 50) == 50
    assert percentile(list(range(1, 101)), 99) == 99
    assert percentile([5.0], 95) == 5.0
    assert percentile([5.0], 99) is None
    assert percentile([], 50) is None


def test_the_command_says_what_is_wrong_and_leaves_the_old_one_as_it_was():
    runner = CliRunner()
    assert runner.invoke(build_app(), ["bench", "serve", "--format", "mp3"]).exit_code == 2
    assert "--no-peer" in runner.invoke(build_app(), ["bench", "--help"]).output
    with pytest.raises(ConfigError, match="does not speak"):
        runner.invoke(build_app(), ["bench", "serve", "http://127.0.0.1:1"], catch_exceptions=False)


@pytest.mark.parametrize("bench", ["serve", "stream"])
def test_a_picture_that_cannot_be_drawn_is_refused_before_anything_is_measured(monkeypatch, bench):
    monkeypatch.setattr("parlando.evaluate.load.serve_load.run_load", lambda *_, **__: pytest.fail("it measured"))
    monkeypatch.setattr("parlando.evaluate.speed.stream.run_stream_bench", lambda *_: pytest.fail("it measured"))
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingDependencyError, match=r"'matplotlib' is needed .*\[plots\]"):
        CliRunner().invoke(build_app(), ["bench", bench, "--plot", "load.png"], catch_exceptions=False)
    with pytest.raises(ConfigError, match="names no format of pictures"):
        CliRunner().invoke(build_app(), ["bench", bench, "--plot", "load.tune"], catch_exceptions=False)


def test_a_report_of_several_loads_is_json(tmp_path):
    from parlando.evaluate.report import save_json

    save_json([a_report()], tmp_path / "load.json")
    assert json.loads((tmp_path / "load.json").read_text())[0]["load"] == "rate 2"
