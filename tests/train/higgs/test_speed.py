"""What the training benchmark compares: equal work, counted as it is, through the trainer's own step."""

import json
from dataclasses import replace

import pytest
import torch

from parlando.cli.app import main
from parlando.models.higgs.lm import HiggsLM
from parlando.train.higgs import speed
from parlando.train.higgs.speed import SHAPES, PlainLM, Plan, Random, Shape, SpeedTask, measure, useful_flops

TINY = Shape(replace(SHAPES["small"].lm, hidden_size=16, num_layers=2, head_dim=4, intermediate_size=24), 2, 12)


def products(model, batch):
    """Operations of matrix products of one pass forward and backward, as torch counts them."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        model.trained(batch)["codes"].backward()
    return counter.get_total_flops()


def test_both_have_the_parts_of_a_position_but_for_the_second_block():
    plain, dual = PlainLM(TINY.lm), HiggsLM(TINY.lm)
    names = dict(plain.named_parameters())
    assert set(names) < set(dict(dual.named_parameters()))
    only = {name.split(".", 2)[-1].split(".")[0] for name, _ in dual.named_parameters() if name not in names}
    assert only == {"audio_mlp", "audio_input_layernorm", "audio_post_attention_layernorm"}


def test_needed_products_are_those_that_are_made_without_padding():
    task, batch = SpeedTask(HiggsLM(TINY.lm), TINY, packed=True), Random.of(TINY)
    made = products(task, batch)
    # Attention is computed for whole squares, of the padded length; half of the true ones is needed.
    assert 0.6 * made < useful_flops(TINY) < made
    padded = products(SpeedTask(HiggsLM(TINY.lm), TINY, packed=False), batch)
    plain = products(SpeedTask(PlainLM(TINY.lm), TINY, packed=False), batch)
    assert padded == plain > made


def test_contenders_take_turns_through_the_step():
    measured = measure(Plan(TINY, steps=2))
    assert [(each.name, each.steps) for each in measured] == [("plain", 2), ("dualffn", 2), ("dualffn packed", 2)]
    assert all(each.tokens_per_second > 0 and 0 < each.mfu < 1 and each.memory_mib > 50 for each in measured)


def test_the_command_prints_ratios_and_writes_them_down(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(speed, "SHAPES", {"small": TINY})
    out = tmp_path / "speed.json"
    with pytest.raises(SystemExit) as ended:
        main(["bench", "train", "--steps", "1", "--contenders", "plain,dualffn", "--out", str(out)])
    assert not ended.value.code
    table = capsys.readouterr().out.splitlines()
    assert table[2].startswith("| plain | 1 |")
    assert "| 1.000 |" in table[2]
    assert [each["name"] for each in json.loads(out.read_text())] == ["plain", "dualffn"]


def test_published_sizes_are_the_published_ones():
    with torch.device("meta"):
        count = sum(p.numel() for p in HiggsLM(SHAPES["published"].lm).parameters())
    assert count == pytest.approx(5.77e9, rel=0.01)
