"""Two processes learn five samples by heart: in pieces, by an adapter, and by an adapter in pieces; both families."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from by_heart import (
    FAMILIES,
    SHARDED,
    STEPS,
    WAYS,
    cosyvoice_knows,
    higgs_knows,
    join,
    make,
    published_cosyvoice_lm,
    published_higgs_lm,
    write_five,
)
from safetensors.torch import load_file
from torch import distributed

from parlando.models.cosyvoice.lm_weights import ADAPTER_NAMES as COSYVOICE_NAMES
from parlando.models.higgs.lm_weights import ADAPTER_NAMES as HIGGS_NAMES
from parlando.nn.peft import AdapterFolder
from parlando.train.loop.step import Stepper

SECOND = "import sys; from pathlib import Path; from by_heart import join; join(1, Path(sys.argv[1]))"
BASES = {"higgs": (published_higgs_lm, HIGGS_NAMES), "cosyvoice": (published_cosyvoice_lm, COSYVOICE_NAMES)}


@pytest.fixture(scope="module")
def learned(root, tmp_path_factory):
    """The folder in which two processes have learned everything."""
    folder = tmp_path_factory.mktemp("by-heart")
    write_five(folder)
    here = Path(__file__).parent
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


@pytest.mark.parametrize("family", FAMILIES)
def test_an_adapter_that_lies_in_pieces_is_written_whole(family, tmp_path):
    """In a group of one process, whose weights lie as those of many do."""
    write_five(tmp_path)
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    try:
        stepper = Stepper(make(family, tmp_path, True), config=SHARDED)
        stepper.step(0, 0.5)
        stepper.close()
        stepper.export(tmp_path)
    finally:
        distributed.destroy_process_group()
    base, names = BASES[family]
    adapted = AdapterFolder(tmp_path / "adapter").given_to(base(tmp_path / family / "model"), names).state_dict()
    untouched, exported = base(tmp_path / family / "model").state_dict(), load_file(tmp_path / "lm.safetensors")
    assert all(torch.allclose(exported[name], tensor, atol=1e-6) for name, tensor in adapted.items())
    moved = {name.rpartition(".")[0] for name, tensor in adapted.items() if not torch.equal(tensor, untouched[name])}
    assert "layers.1.self_attn.v_proj" in moved


def knows(family, lm, folder):
    if family == "higgs":
        return higgs_knows(lm, folder / family)
    return cosyvoice_knows(lm, folder / family, make(family, folder, False).start.tokenizer)


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("family", FAMILIES)
def test_two_processes_learn_five_samples_by_heart(learned, family, way):
    run = learned / family / way
    losses = [
        line["codes"] for line in map(json.loads, (run / "log.jsonl").read_text().splitlines()) if "codes" in line
    ]
    assert len(losses) == STEPS
    assert losses[0] > 4.0
    assert losses[-1] < 0.05
    base, names = BASES[family]
    lm = base(learned / family / "model")
    exported = load_file(run / "lm.safetensors")
    if WAYS[way][1]:
        lm = AdapterFolder(run / "adapter").given_to(lm, names)
        tensors = lm.state_dict()
        assert all(torch.allclose(exported[name], tensor, atol=1e-6) for name, tensor in tensors.items())
    else:
        assert not (run / "adapter").exists()
        lm.load_state_dict(exported)
    assert knows(family, lm, learned) == 5


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_before_it_learned_a_model_knows_none_of_them(learned, family):
    base, _ = BASES[family]
    assert knows(family, base(learned / family / "model"), learned) == 0


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_an_adapter_in_pieces_is_the_size_of_one_that_is_whole(learned, family):
    whole, pieces = (
        load_file(learned / family / way / "adapter" / "adapter_model.safetensors")
        for way in ("adapter", "sharded adapter")
    )
    assert {name: each.shape for name, each in whole.items()} == {name: each.shape for name, each in pieces.items()}
