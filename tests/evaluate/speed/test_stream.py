"""The benchmark of a long stream, on tiny sizes: what it times is right; how long that takes is not tested."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from cosyvoice_tiny import FLOW, HIFT
from parlando.cli.app import main
from parlando.core.config import read_json
from parlando.evaluate.speed import stream as stream_bench
from parlando.evaluate.speed.stream import StreamLoad, draw_stream, run_stream_bench, stream_markdown
from parlando.models.cosyvoice.parts.flow import Flow
from parlando.models.cosyvoice.parts.hift import HiFT

LOAD = StreamLoad(seconds=1.8, hops=(5, 10, 20), solver_steps=2, flow=FLOW, hift=HIFT)


def test_chunks_grow_to_the_last_hop_and_end_with_the_stream():
    assert LOAD.num_tokens == 45
    assert LOAD.ends() == [5, 15, 35, 45]


def test_both_ways_compute_the_same_frames(monkeypatch):
    pushed, computed = [], []
    push, synthesise = Flow.push, Flow.synthesise

    def watched_push(self, *arguments):
        pushed.append(push(self, *arguments))
        return pushed[-1]

    def watched_synthesise(self, *arguments, **options):
        computed.append(synthesise(self, *arguments, **options)[0])
        return [computed[-1]]

    monkeypatch.setattr(Flow, "push", watched_push)
    monkeypatch.setattr(Flow, "synthesise", watched_synthesise)
    monkeypatch.setattr(HiFT, "forward", lambda self, mel, noise: mel)
    monkeypatch.setattr("parlando.evaluate.speed.stream.FIRST_ROUNDS", 1)
    report = run_stream_bench(LOAD)
    assert len(report.chunks) == 4
    assert [mel.shape[1] for mel in computed] == [2 * tokens for tokens in (8, 18, 38, 45)]
    whole = torch.cat([mel[0] for mel in pushed], dim=1)
    assert torch.allclose(whole, computed[-1], atol=1e-4)


def test_the_report_is_a_table_and_a_picture(tmp_path):
    report = run_stream_bench(LOAD)
    table = stream_markdown(report)
    assert table.count("\n| ") == 5
    assert "recomputation's time" in table
    pytest.importorskip("matplotlib")
    assert draw_stream(report, tmp_path / "stream.png").stat().st_size > 5_000


def test_without_a_peer_ours_is_measured_alone():
    report = run_stream_bench(replace(LOAD, peer=False))
    assert [chunk.recomputed_seconds for chunk in report.chunks] == [0.0] * len(report.chunks)
    assert all(chunk.ours_seconds > 0 for chunk in report.chunks)
    lines = stream_markdown(report).splitlines()
    assert [cell.strip() for cell in lines[0].split("|")[1:-1]] == [
        "chunk ends at",
        "audio",
        "ours",
        "per second of audio",
    ]
    assert len(lines) == 2 + len(report.chunks) + 2


def test_the_command_follows_the_flow_as_asked(monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(stream_bench, "run_stream_bench", lambda load, *_: asked.append(load) or run_stream_bench(LOAD))
    with pytest.raises(SystemExit) as ended:
        main(["bench", "stream", "--no-peer", "--flow", "left_chunks=4", "--flow", "first_tokens=8"])
    assert not ended.value.code
    assert not asked[0].peer
    assert (asked[0].flow.encoder.left_chunks, asked[0].flow.first_tokens) == (4, 8)
    with pytest.raises(SystemExit) as ended:
        main(["bench", "stream", "--flow", "left_chunks"])
    assert ended.value.code == 2
    assert "'left_chunks' is not NAME=NUMBER" in capsys.readouterr().err


def test_the_command_prints_draws_and_writes(monkeypatch, tmp_path, capsys):
    asked = []

    def small(load, device, seed):
        asked.append((load.seconds, load.hops, load.solver_steps, device, seed))
        return run_stream_bench(LOAD)

    monkeypatch.setattr(stream_bench, "run_stream_bench", small)
    files = "-o", str(tmp_path / "r.json"), "--plot", str(tmp_path / "p.png")
    with pytest.raises(SystemExit) as ended:
        main(["bench", "stream", "--seconds", "4", "--hops", "5", "--hops", "10", "--seed", "3", *files])
    assert not ended.value.code
    assert asked == [(4.0, (5, 10), 10, "cpu", 3)]
    assert "ours takes" in capsys.readouterr().out
    assert len(read_json(tmp_path / "r.json")["chunks"]) == 4
    assert (tmp_path / "p.png").is_file()
