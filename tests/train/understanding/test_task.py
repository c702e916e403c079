"""Understanding's training: what a batch holds, that every tensor learns, and that a resumed run goes the same way."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from stepping import hand_on, stepper

from parlando.core.errors import ConfigError
from parlando.models.understanding.network import UnderstandingNetwork
from parlando.models.understanding.tokens import END, decode
from parlando.models.understanding.weights import load_network, save_network
from parlando.text.answer import parse_answer
from parlando.train.loop.optim import OptimConfig
from parlando.train.loop.sharding import ParallelConfig
from parlando.train.loop.step import Stepper
from parlando.train.understanding.task import MaskConfig, UnderstandingTask, UnderstandingTrainConfig, greedy, mask

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "models" / "understanding"))
from tiny_understanding import TINY

USUAL = UnderstandingTrainConfig(
    model=TINY,
    scenes=replace(UnderstandingTrainConfig().scenes, longest_seconds=5.0),
    optim=OptimConfig(rate=1e-2, warmup=0.0),
    held_out_scenes=3,
    seconds_per_batch=3.0,
    candidates=6,
)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def small_task(packed, **changes):
    return UnderstandingTask(packed, replace(USUAL, **changes))


def test_a_batch_is_scenes_with_their_answers(packed):
    batch = small_task(packed).batch(0)
    assert batch.wave.shape[1] == int(batch.samples.max())
    for row, spoken in zip(batch.answer.tolist(), batch.spoken.tolist(), strict=True):
        tokens = [token for token in row if token >= 0]
        assert tokens[-1] == END
        answer = parse_answer(decode(tokens))
        said = decode(token for token in spoken if token >= 0)
        assert parse_answer(said).turns == answer.turns
        assert all(turn.text for turn in answer.turns)


def test_a_step_reports_its_losses_and_every_tensor_learns(packed):
    task = small_task(packed, masks=MaskConfig(0, 1, 0, 1))
    next(task.objectives(task.batch(1), 0.0)).loss.backward()
    learned = ((n, p) for n, p in task.network.named_parameters() if p.requires_grad)
    assert [n for n, p in learned if p.grad is None or not p.grad.abs().sum() > 0] == []
    task.network.zero_grad()
    metrics = stepper(task).step(0, 0.0)
    assert set(metrics) == {"loss", "ctc", "answer", "phone", "norm", "audio_seconds", "tokens"}
    assert metrics["loss"] == pytest.approx(metrics["ctc"] + metrics["answer"] + 0.5 * metrics["phone"], rel=1e-5)


def test_one_batch_is_learnt_by_heart(packed):
    task = small_task(packed, masks=MaskConfig(0, 1, 0, 1), smoothing=0.0)
    batch = task.batch(2)
    task.batch = lambda number: batch
    steps = [stepper(task).step(number, number / 60) for number in range(60)]
    stepper(task).close()
    assert steps[-1]["answer"] < 0.6 * steps[0]["answer"]
    assert steps[-1]["ctc"] < 0.6 * steps[0]["ctc"]


def test_a_restored_task_goes_on_as_if_nothing_had_happened(packed):
    first, second = small_task(packed), small_task(packed)
    stepper(first).step(0, 0.1)
    hand_on(first, second)
    assert stepper(first).step(1, 0.2) == stepper(second).step(1, 0.2)
    pairs = zip(first.network.parameters(), second.network.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)
    metrics = stepper(first).evaluate()
    assert stepper(second).evaluate() == metrics
    assert set(metrics) == {"ctc", "answer", "phone", "letter_errors", "word_errors"}


def test_products_may_be_in_bfloat16(packed):
    losses = []
    for precision in ("float32", "bfloat16"):
        torch.manual_seed(0)
        losses.append(Stepper(small_task(packed), config=ParallelConfig(precision=precision)).step(0, 0.5)["loss"])
    assert losses[1] != losses[0]
    assert losses[1] == pytest.approx(losses[0], rel=0.03)


def test_masks_hide_no_more_than_they_may():
    features, mels = torch.ones(50, 20, 40), torch.full((50,), 40)
    hidden = mask(features, mels, MaskConfig(1, 3, 1, 100)) == 0
    bands, frames = hidden.all(2).sum(1), hidden.all(1).sum(1)
    assert (int(bands.max()), int(frames.max())) == (3, 8)
    assert bool((bands == 0).any())
    assert not mask(features, mels, MaskConfig(0, 1, 0, 1)).eq(0).any()


def test_what_is_exported_is_what_a_training_goes_on_with(packed, tmp_path):
    task = small_task(packed)
    stepper(task).step(0, 0.5)
    task.export(tmp_path)
    again = small_task(packed, start_from=str(tmp_path), model=UnderstandingTrainConfig().model)
    assert again.network.config == load_network(tmp_path).config
    pairs = zip(again.network.parameters(), task.network.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_greedy_reading_leaves_blanks_and_repeats_out(packed):
    task = small_task(packed)
    _, heard = task._losses(task.batch(0), masked=False)
    symbols = torch.full_like(heard.symbols, -9.0)
    for slot, symbol in enumerate((104, 104, symbols.shape[2] - 1, 104, 105)):
        symbols[:, slot, symbol] = 1.0
    symbols[:, 5:, -1] = 1.0
    assert all(row == [104, 104, 105] for row in greedy(heard._replace(symbols=symbols)))


def test_scenes_longer_than_the_network_hears_are_refused(packed):
    with pytest.raises(ConfigError, match="14 s are more than the network hears at once; use at most 7.1"):
        small_task(packed, scenes=UnderstandingTrainConfig().scenes)


def test_other_speakers_may_be_held_out_of_a_model_that_goes_on(packed, tmp_path):
    save_network(UnderstandingNetwork(replace(TINY, held_out_speakers=("somebody",))), tmp_path)
    assert small_task(packed, start_from=str(tmp_path)).network.config.held_out_speakers == ()
