"""The benchmark of a GPU, at tiny sizes on the CPU: every stage has its figures, and time that is over ends it."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
import torch

from cosyvoice_tiny import FLOW, HIFT, LM, SPEAKER_NET, SPEECH_TOKENIZER
from parlando.cli.app import main
from parlando.evaluate.speed import gpu
from parlando.evaluate.speed.contender import Load
from parlando.evaluate.speed.gpu import Plan, gpu_markdown, read_bytes, run_gpu_bench
from parlando.evaluate.speed.whole import CosyVoiceWhole, HiggsWhole

LOAD = Load((1, 2), 6, 6, 1, prompt_tokens=6, repeats=1, dtype=torch.float32, device="cpu")
COSYVOICE = CosyVoiceWhole(replace(LM, context_length=1024), FLOW, HIFT, SPEECH_TOKENIZER, SPEAKER_NET)


@pytest.fixture
def plan(tiny_model):
    models = {"higgs": HiggsWhole(tiny_model.config.lm, tiny_model.config.codec), "cosyvoice": COSYVOICE}
    return Plan(models, (None, "int8", "fp8"), (1, 3), 30, LOAD, 2**16, peer=False)


@pytest.mark.slow
def test_every_stage_has_its_figures_and_what_a_device_cannot_do_is_named(plan):
    report = run_gpu_bench(plan)
    told = {(figure.of, figure.what): figure for figure in report.figures}
    for name in plan.models:
        for kind in ("plain", "int8"):
            assert told[f"{name}, {kind}", "1 at a time"].value > 0
            assert "× of reading the weights" in told[f"{name}, {kind}", "a step of 2"].against
        for count in plan.streams:
            of = f"{name}, {count} listeners"
            assert told[of, "sound"].value > 0
            assert 0 < told[of, "first audible sound, p50"].value <= told[of, "first audible sound, p95"].value
    assert [name for name, _ in report.missing] == ["higgs, fp8", "cosyvoice, fp8"]
    assert "fp8 needs a GPU" in gpu_markdown(report)


def test_what_there_is_no_time_for_is_named(plan):
    times = iter((0.0, 30.0, *[61.0 * 8] * 20))
    report = run_gpu_bench(replace(plan, models={"cosyvoice": COSYVOICE}), lambda: next(times))
    assert {figure.of for figure in report.figures} == {"device", "cosyvoice, plain"}
    assert [name for name, _ in report.missing] == [
        *("cosyvoice, 1 listeners", "cosyvoice, 3 listeners", "cosyvoice, int8", "cosyvoice, fp8")
    ]
    assert "the 8 minutes were over" in gpu_markdown(report)


def test_a_peer_takes_part_where_there_is_one(plan, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    wanted = replace(plan, models={"cosyvoice": COSYVOICE}, kinds=(None,), streams=(), peer=True)
    report = run_gpu_bench(wanted)
    assert [name for name, _ in report.missing] == ["cosyvoice, transformers"]


def test_a_step_reads_the_published_weights_of_sound_alone():
    # 2.8 billion of 5.8: attention, the layers' half for sound, and its head; of the other model all but tables.
    assert read_bytes(HiggsWhole(), None, torch.bfloat16) == pytest.approx(5.69e9, rel=0.01)
    assert read_bytes(HiggsWhole(), "int8", torch.bfloat16) == pytest.approx(2.85e9, rel=0.01)
    assert read_bytes(CosyVoiceWhole(), None, torch.bfloat16) == pytest.approx(0.73e9, rel=0.03)


def test_the_command_prints_and_writes(plan, monkeypatch, tmp_path, capsys):
    small = replace(plan, models={"cosyvoice2": COSYVOICE}, kinds=(None,), streams=())
    monkeypatch.setattr(gpu, "Plan", lambda **given: replace(small, **given))
    out = tmp_path / "gpu.json"
    with pytest.raises(SystemExit) as ended:
        main(["bench", "gpu", "--device", "cpu", "--no-peer", "-o", str(out)])
    assert not ended.value.code
    assert "| copying memory" in capsys.readouterr().out
    assert out.stat().st_size > 500
    with pytest.raises(SystemExit) as ended:
        main(["bench", "gpu", "--device", "cpu", "--sizes", "gpt"])
    assert ended.value.code == 2
