"""The benchmark of published language models, at tiny sizes: who takes part, and what the table says."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch

from cosyvoice_tiny import LM
from parlando.cli.app import main
from parlando.core.config import read_json
from parlando.core.errors import ConfigError
from parlando.evaluate.speed import published
from parlando.evaluate.speed.contender import Load, as_loaded
from parlando.evaluate.speed.published_lm import Contestant, lm_markdown, run_lm_bench
from parlando.models.cosyvoice.lm import CosyVoiceLM
from parlando.nn.quantized import is_quantized

LOAD = Load(batches=(1, 2), shortest=4, longest=4, rounds=1, prompt_tokens=6, repeats=1)


def test_contestants_by_name():
    assert Contestant.of("float32", torch.bfloat16) == Contestant("float32", torch.float32)
    assert Contestant.of("int8", torch.bfloat16) == Contestant("int8", torch.bfloat16, "int8")
    peer = Contestant.of("transformers:bfloat16", torch.float32)
    assert (peer.is_peer, peer.dtype, peer.quantize) == (True, torch.bfloat16, None)
    for wrong in ("float64", "transformers", "transformers:int8", "other:float32", ":float32x"):
        with pytest.raises(ConfigError, match=f"'{wrong}' is not one of float32, bfloat16, float16, int8"):
            Contestant.of(wrong, torch.float32)


def test_the_table_has_a_row_for_each_and_ratios_to_the_first():
    contestants = [Contestant.of(name, torch.bfloat16) for name in ("float32", "int8", "int4")]
    report = run_lm_bench("tiny", "cosyvoice", LM, contestants, LOAD)
    assert [each.batch for each in report.figures["int8"]] == [1, 2]
    head, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lm_markdown(report).splitlines()[:5]]
    assert head == ["tiny, tokens/s", "1 at a time", "2 at a time"]
    assert [row[0] for row in rows] == ["float32", "int8", "int4"]
    assert all(cell.endswith("(1.00 ×)") for cell in rows[0][1:])


def test_weights_are_kept_as_the_load_says():
    for kind in (None, "int8"):
        lm = as_loaded(partial(CosyVoiceLM, LM), replace(LOAD, dtype=torch.bfloat16, quantize=kind))
        assert is_quantized(lm) == (kind is not None)
        assert (
            lm.embed(*(torch.zeros(1, dtype=torch.long) for _ in range(2)), torch.tensor([True])).dtype
            == torch.bfloat16
        )


def test_the_command_prints_and_writes(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(published.LANGUAGE_MODELS, "cosyvoice2", lambda: LM)
    out = tmp_path / "lm.json"
    asked = ["--who", "float32", "--who", "int8", "--batch", "1", "--frames", "3", "--repeats", "1", "-o", str(out)]
    with pytest.raises(SystemExit) as ended:
        main(["bench", "lm", *asked])
    assert not ended.value.code
    assert "| int8" in capsys.readouterr().out
    assert set(read_json(out)["figures"]) == {"float32", "int8"}
    with pytest.raises(SystemExit) as ended:
        main(["bench", "lm", "--sizes", "gpt"])
    assert ended.value.code == 2
