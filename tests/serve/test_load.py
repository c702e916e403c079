"""`parlando bench serve` against our own server."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from parlando.cli.app import build_app


def test_a_load_on_a_server_is_a_table_a_file_and_a_picture(patient, tmp_path):
    out, plot = tmp_path / "load.json", tmp_path / "load.png"
    arguments = ["--concurrency", "2", "--rate", "20", "--seconds", "0.5", "--out", str(out), "--plot", str(plot)]
    result = CliRunner().invoke(build_app(), ["bench", "serve", patient.url, *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "| concurrency 2 |" in result.output
    assert "| rate 20       |" in result.output
    for report in json.loads(out.read_text()):
        assert report["done"] == report["requests"] > 0
        assert report["failed"] == 0
        # Whose sound stops depends on what else the machine does.
        assert 0 <= report["interrupted"] <= report["done"]
        assert report["moments"]["audible"][0] >= report["moments"]["first byte"][0] > 0
    assert plot.stat().st_size > 10_000
