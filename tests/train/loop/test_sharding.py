"""A training in pieces is the training in one: its curve, its evaluation and what it exports."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from sharded import EXACT, MAKERS, STEPS, join, make, train, write_sources

from parlando.core.errors import ConfigError
from parlando.nn.checkpoint import read_tensors
from parlando.train.loop import sharding
from parlando.train.loop.parallel import ALONE
from parlando.train.loop.sharding import ParallelConfig, make_mesh
from parlando.train.loop.step import Stepper
from parlando.train.loop.trainer import Budget, Trainer

SECOND = "import sys; from pathlib import Path; from sharded import join; join(1, Path(sys.argv[1]))"


@pytest.fixture(scope="module")
def sources_of(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sharded")
    write_sources(folder)
    return folder


@pytest.fixture(scope="module")
def trained(root, sources_of):
    """Both families' language models: whole in one process, and moved from two to one to two."""
    folder = sources_of
    for family in MAKERS:
        train(family, folder, folder / family / "whole", ALONE, EXACT)
    here = Path(__file__).parent.parent
    places = (root / "src", root / "tests", root / "tests" / "data", here, os.environ.get("PYTHONPATH", ""))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, places))}
    command = [sys.executable, "-c", SECOND, str(folder)]
    second = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        join(0, folder)
        assert second.wait(timeout=120) == 0, second.stderr.read()
    finally:
        second.kill()
        second.wait()
        second.stderr.close()
    return folder


def curve(run):
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in ("minutes", "audio_seconds_per_second")} for line in lines]


@pytest.mark.slow
@pytest.mark.parametrize("family", MAKERS)
def test_a_run_that_moved_from_two_processes_to_one_and_back_is_the_one_that_did_not(trained, family):
    whole, moved = curve(trained / family / "whole"), curve(trained / family / "moved")
    assert [line["step"] for line in moved] == [*range(1, STEPS + 1), STEPS]
    for one, other in zip(whole[:-1], moved[:-1], strict=True):
        assert other == pytest.approx(one, rel=1e-5, abs=1e-5)
    assert moved[-1]["held_out"] == pytest.approx(whole[-1]["held_out"], rel=1e-5, abs=1e-5)
    assert whole[0]["loss"] - whole[-2]["loss"] > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("family", MAKERS)
def test_what_they_export_is_the_same(trained, family):
    whole, moved = (read_tensors(trained / family / name / "lm.safetensors") for name in ("whole", "moved"))
    assert whole.keys() == moved.keys()
    assert max(float((moved[name] - tensor).abs().max()) for name, tensor in whole.items()) < 1e-5
    begun = make(family, trained).tensors()
    assert max(float((begun[name].detach() - tensor).abs().max()) for name, tensor in whole.items()) > 1e-3


@pytest.mark.slow
def test_a_number_of_processes_that_cannot_share_a_steps_batches_is_refused(trained, monkeypatch):
    folder = trained / "higgs" / "moved"
    monkeypatch.setattr("parlando.train.loop.parallel.size", lambda: 3)
    monkeypatch.setattr("parlando.train.loop.sharding.parallel.share_first", lambda tensors: None)
    with pytest.raises(ConfigError, match="has 2 batches a step, which 3 processes cannot share"):
        Trainer(make("higgs", trained), folder, Budget(steps=9))


@pytest.mark.slow
@pytest.mark.parametrize("family", MAKERS)
def test_recomputing_activations_changes_nothing(sources_of, family):
    plain, again = (
        Stepper(make(family, sources_of), config=replace(EXACT, checkpoint_activations=flag)).step(0, 0.5)
        for flag in (False, True)
    )
    assert again == pytest.approx(plain, rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("family", MAKERS)
def test_packed_examples_are_learned_like_padded_ones(sources_of, family):
    steps = []
    for pack in (False, True):
        task = make(family, sources_of)
        task.sampler.mix = replace(task.sampler.mix, pack=pack)
        # What is dropped is drawn for other shapes.
        task.lm.set_dropout(0.0)
        metrics = Stepper(task, config=EXACT).step(0, 0.5)
        steps.append((metrics, {name: tensor.detach().clone() for name, tensor in task.tensors().items()}))
    (padded, one), (packed, other) = steps
    assert packed.pop("tokens") < padded.pop("tokens")
    assert packed == pytest.approx(padded, rel=1e-5)
    assert max(float((other[name] - tensor).abs().max()) for name, tensor in one.items()) < 1e-5


def test_groups_of_processes_must_be_equal(monkeypatch):
    monkeypatch.setattr(sharding.torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr("parlando.train.loop.parallel.size", lambda: 6)
    with pytest.raises(ConfigError, match="6 processes do not make groups of 4"):
        make_mesh(ParallelConfig("hsdp", shard_size=4), torch.device("cpu"))


@pytest.mark.parametrize(
    ("given", "said"),
    [({"shard_size": 2}, "is for strategy 'hsdp'"), ({"strategy": "hsdp", "shard_size": 0}, "at least 1")],
)
def test_settings_that_contradict_each_other_are_refused(given, said):
    with pytest.raises(ConfigError, match=said):
        ParallelConfig(**given)


def test_one_process_has_no_mesh():
    assert make_mesh(ParallelConfig("fsdp"), torch.device("cpu")) is None


@pytest.mark.parametrize(
    ("precision", "on", "expected"),
    [("float32", ("cpu",), torch.float32), ("bfloat16", ("cpu",), torch.bfloat16), ("bfloat16", (), torch.float32)],
)
def test_products_are_as_wide_as_task_and_recipe_say(precision, on, expected):
    assert ParallelConfig(precision=precision).products(torch.device("cpu"), on) is expected
