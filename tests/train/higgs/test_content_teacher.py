"""A small HuBERT from a corpus alone: what is hidden, what it learns, and that it becomes a tokenizer's teacher."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from stepping import hand_on, stepper

from hubert_published import TINY_HUBERT, write_hubert
from parlando.core.errors import ConfigError
from parlando.data.sampler import CropConfig
from parlando.models.higgs.parts.hubert import Hubert
from parlando.models.higgs.parts.hubert_weights import load_hubert, read_hubert_config
from parlando.train.higgs.content_teacher import ContentTeacherTask, ContentTeacherTrainConfig
from parlando.train.loop.optim import OptimConfig
from parlando.train.loop.sharding import ParallelConfig
from parlando.train.loop.step import Stepper

CROPS = CropConfig(batch=2, frames=5, held_out_batch=2, warp_share=0.0)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def small_task(packed, **changes):
    usual = ContentTeacherTrainConfig(hubert=TINY_HUBERT, crops=CROPS, clusters=6, span_frames=3)
    return ContentTeacherTask(packed, replace(usual, **changes))


def copied(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def test_a_step_reports_its_losses_and_every_tensor_learns(packed):
    task = small_task(packed, optim=OptimConfig(warmup=0.0))
    next(task.objectives(task.batch(0), 0.0)).loss.backward()
    still = [n for n, p in task.trained.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert still == []
    task.trained.zero_grad()
    clusters = copied(task.targets)
    metrics = stepper(task).step(0, 0.0)
    assert set(metrics) == {"loss", "cluster", "phone", "norm", "audio_seconds", "tokens"}
    assert metrics["loss"] == pytest.approx(metrics["cluster"] + metrics["phone"], rel=1e-5)
    assert all(torch.equal(tensor, clusters[name]) for name, tensor in task.targets.state_dict().items())


def test_clusters_tell_pitches_apart(packed):
    """The corpus is of sines of 12 pitches; frames of one clip are of few clusters, all together of most."""
    task = small_task(packed)
    batches = [task.targets(task._heard(task.batch(number).wave)) for number in range(6)]
    clusters = torch.cat(batches)
    assert clusters.shape == (12, 10)
    assert len(clusters.unique()) >= 4
    assert all(bool(row.bincount().max() >= 4) for row in clusters)


def test_spans_are_hidden_and_at_least_one_of_every_clip(packed):
    task = small_task(packed)
    hidden = task._spans(torch.zeros(400, 30, dtype=torch.long))
    assert 0.3 < float(hidden.float().mean()) < 0.55
    assert bool(hidden.any(1).all())
    edges = torch.diff(torch.nn.functional.pad(hidden.long(), (1, 1)))
    starts, ends = (edges == 1).nonzero()[:, 1], (edges == -1).nonzero()[:, 1]
    assert int((ends - starts).min()) >= 3
    few = small_task(packed, masked=0.0)._spans(torch.zeros(50, 10, dtype=torch.long))
    assert few.sum(1).tolist() == [3] * 50


def test_what_is_hidden_is_not_heard(packed):
    task = small_task(packed)
    task.trained.eval()
    wave = task._heard(task.batch(0).wave)
    everything = torch.ones(2, 10, dtype=torch.bool)
    told, said = task.trained(wave, everything)
    other, spoken = task.trained(torch.randn_like(wave), everything)
    assert torch.equal(told, other)
    assert torch.equal(said, spoken)
    assert told.shape == (2, 10, 6)


def test_one_batch_is_learnt_by_heart(packed):
    task = small_task(packed, optim=OptimConfig(rate=1e-2, warmup=0.0))
    batch = task.batch(0)
    task.batch = lambda number: batch
    steps = [stepper(task).step(number, number / 50) for number in range(50)]
    stepper(task).close()
    assert steps[-1]["phone"] < 0.5 * steps[0]["phone"]
    assert sum(step["cluster"] for step in steps[-5:]) < 0.8 * sum(step["cluster"] for step in steps[:5])


def test_a_restored_task_goes_on_as_if_nothing_had_happened(packed):
    first, second = small_task(packed), small_task(packed)
    stepper(first).step(0, 0.1)
    hand_on(first, second)
    assert torch.equal(first.targets.codebook.embed, second.targets.codebook.embed)
    assert stepper(first).step(1, 0.2) == stepper(second).step(1, 0.2)
    metrics = stepper(first).evaluate()
    assert stepper(second).evaluate() == metrics
    assert set(metrics) == {"phone_accuracy", "cluster", "phone"}


def test_products_may_be_in_bfloat16(packed):
    losses = []
    for precision in ("float32", "bfloat16"):
        torch.manual_seed(0)
        losses.append(Stepper(small_task(packed), config=ParallelConfig(precision=precision)).step(0, 0.5)["loss"])
    assert losses[1] != losses[0]
    assert losses[1] == pytest.approx(losses[0], rel=0.03)


def test_the_export_is_a_hubert_checkpoint(packed, tmp_path):
    task = small_task(packed)
    stepper(task).step(0, 0.5)
    task.export(tmp_path)
    assert read_hubert_config(tmp_path) == TINY_HUBERT
    found, expected = load_hubert(tmp_path).state_dict(), task.trained.hubert.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_a_checkpoint_goes_on_at_its_own_size(packed, tmp_path):
    narrow = replace(TINY_HUBERT, num_layers=1)
    hubert = Hubert(narrow)
    write_hubert(tmp_path / "hubert", hubert.state_dict(), narrow)
    task = small_task(packed, start_from=str(tmp_path / "hubert"))
    assert task.sizes == narrow
    assert all(torch.equal(task.trained.hubert.state_dict()[n], t) for n, t in hubert.state_dict().items())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"span_frames": 11}, "a span of 11 frames is longer than a crop of 10"),
        ({"hubert": replace(TINY_HUBERT, conv_strides=(5, 2, 2, 2, 2, 2, 3))}, "not a whole number of the teacher's"),
        ({"crops": replace(CROPS, frames=40)}, "as long as a crop of 40 frames"),
    ],
)
def test_crops_that_do_not_fit_are_refused(packed, changes, message):
    with pytest.raises(ConfigError, match=message):
        small_task(packed, **changes)
