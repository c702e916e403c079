"""Language models of tiny published layouts, trained in pieces: what two processes do, one of them in a test."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from tiny_corpus import SENTENCES
from tiny_tasks import MIX, write_codes
from torch import distributed
from torch.distributed.tensor import DTensor

from cosyvoice_published import write_published
from cosyvoice_tiny import LM as COSYVOICE
from higgs_published import CODEBOOKS, CODES, write_published_lm
from parlando.train.cosyvoice.lm_examples import CosyVoiceMix
from parlando.train.cosyvoice.lm_recipe import CosyVoiceLMRecipe
from parlando.train.cosyvoice.lm_recipe import make_lm_task as make_cosyvoice
from parlando.train.higgs.lm_recipe import LMRecipe
from parlando.train.higgs.lm_recipe import make_lm_task as make_higgs
from parlando.train.loop.optim import OptimConfig
from parlando.train.loop.parallel import Process
from parlando.train.loop.recipe import Sources
from parlando.train.loop.sharding import ParallelConfig
from parlando.train.loop.step import Stepper
from parlando.train.loop.trainer import Budget, Trainer

STEPS, BATCHES = 6, 2
BUDGET = Budget(steps=STEPS, log_every_steps=1, evaluate_every_minutes=100)
OPTIM = OptimConfig(rate=3e-3, ema=0.8)
EXACT = ParallelConfig(precision="float32")
SMALL = {"tokens_per_batch": 160, "candidates": 4}
MAKERS = {
    "higgs": (make_higgs, LMRecipe(BUDGET, replace(MIX, **SMALL), optim=OPTIM, dropout=0.1)),
    "cosyvoice": (
        make_cosyvoice,
        CosyVoiceLMRecipe(
            "cosyvoice",
            BUDGET,
            CosyVoiceMix(clone_share=0.2, **SMALL),
            optim=OPTIM,
            dropout=0.1,
            code_levels=3,
            guide_weight=0.5,
            misread_share=0.1,
        ),
    ),
}


def write_sources(folder: Path) -> None:
    """Published folders of both families, and a corpus for each."""
    rows = [(f"{who}_{i}", who, 1.0, text) for who in ("slt", "rms") for i, text in enumerate(SENTENCES)]
    for family, (books, codes) in {"higgs": (CODEBOOKS, CODES), "cosyvoice": (1, COSYVOICE.codebook_size)}.items():
        (folder / family).mkdir()
        corpus = folder / family / "codes"
        corpus.mkdir()
        write_codes(corpus, rows, np.random.default_rng(0), (books, codes))
    (folder / "higgs" / "model").mkdir()
    write_published_lm(folder / "higgs" / "model", "transformers")
    (folder / "higgs" / "codec").mkdir()
    sizes = {"num_codebooks": CODEBOOKS, "codebook_size": CODES}
    (folder / "higgs" / "codec" / "codec.json").write_text(json.dumps(sizes))
    write_published(folder / "cosyvoice" / "model")


def make(family: str, folder: Path):
    """The task of a family, as it begins."""
    torch.manual_seed(7)
    maker, recipe = MAKERS[family]
    here = folder / family
    sources = Sources(codes=here / "codes", start_from=here / "model")
    if (here / "codec").exists():
        sources["codec"] = here / "codec"
    return maker(recipe, sources)


def train(family: str, folder: Path, run: Path, process: Process, config: ParallelConfig, until: int = STEPS):
    """Begin or go on, on as many processes as there are, until a step; returns the task."""
    task, seen = make(family, folder), []
    size = distributed.get_world_size() if distributed.is_initialized() else 1
    trainer = Trainer(task, run, replace(BUDGET, batches_per_step=BATCHES // size), process, config)
    after = task.after_step

    def after_step():
        after()
        seen.append(None)
        if trainer.step + 1 == until < STEPS:
            signal.raise_signal(signal.SIGINT)

    task.after_step = after_step
    assert trainer.run() is (until == STEPS)
    assert trainer.step == until
    return task


def group(rank: int, folder: Path, name: str):
    distributed.init_process_group("gloo", init_method=f"file://{folder / name}", rank=rank, world_size=2)


def join(rank: int, folder: Path) -> None:
    """Two processes, then (the first alone) one, then two again."""
    torch.set_num_threads(1)
    fsdp, process = replace(EXACT, strategy="fsdp"), Process(rank)
    try:
        group(rank, folder, "first")
        for family in MAKERS:
            in_pieces(family, folder, process)
            train(family, folder, folder / family / "moved", process, fsdp, until=2)
        distributed.destroy_process_group()
        if rank == 0:
            for family in MAKERS:
                train(family, folder, folder / family / "moved", process, EXACT, until=4)
        group(rank, folder, "second")
        for family in MAKERS:
            config = replace(fsdp, checkpoint_activations=True)
            train(family, folder, folder / family / "moved", process, config)
    finally:
        distributed.destroy_process_group()


def in_pieces(family: str, folder: Path, process: Process) -> None:
    """Every process holds its part of the weights, and every way of laying them out takes the same step."""
    steps = {}
    for name, config in {
        "ddp": EXACT,
        "fsdp": replace(EXACT, strategy="fsdp"),
        "hsdp": replace(EXACT, strategy="hsdp", shard_size=1),
        "narrow": ParallelConfig("fsdp", precision="bfloat16"),
    }.items():
        task = make(family, folder)
        stepper = Stepper(task, process, 1, config)
        steps[name] = stepper.step(0, 0.5)
        stepper.close()
        kinds = {isinstance(parameter, DTensor) for parameter in task.trained.parameters()}
        assert kinds == {name != "ddp"}, (name, kinds)
        weight = task.lm.layers[0].mlp.up_proj.weight
        rows = weight.to_local().shape[0] if isinstance(weight, DTensor) else weight.shape[0]
        assert rows == weight.shape[0] // (2 if name in ("fsdp", "narrow") else 1)
        assert weight.dtype == torch.float32
    for name in ("fsdp", "hsdp"):
        assert all(abs(steps[name][key] - value) <= 1e-5 * max(1, abs(value)) for key, value in steps["ddp"].items())
    assert 0 < abs(steps["narrow"]["loss"] - steps["ddp"]["loss"]) < 0.02 * steps["ddp"]["loss"]
