"""THE step: accumulation, weights of unequal batches, seeds, turns, and what a bad loss leaves alone."""

import pytest
import torch
from lines import Line, Points
from torch import nn

from parlando.core.errors import ConfigError, TrainingError
from parlando.train.loop.checkpoint import resume, save_checkpoint
from parlando.train.loop.optim import OptimConfig
from parlando.train.loop.sharding import ParallelConfig
from parlando.train.loop.step import Stepper
from parlando.train.loop.task import Extent, Learner, Objective, Task


class Whole(Line):
    """All points of two batches at once."""

    def batch(self, number):
        first, second = super().batch(2 * number), super().batch(2 * number + 1)
        return Points(torch.cat([first.x, second.x]))

    def extent(self, batch):
        return Extent(len(batch.x), 4.0, len(batch.x))


def test_two_unequal_batches_are_one_of_all_their_points():
    parts, whole = Line(sizes=(3, 5), noise=0.0), Whole(sizes=(3, 5), noise=0.0)
    halves, once = Stepper(parts, batches=2), Stepper(whole)
    for number in range(3):
        one, other = halves.step(number, 0.3), once.step(number, 0.3)
        assert one == pytest.approx(other, rel=1e-5)
    assert (one["tokens"], one["audio_seconds"]) == (8, 4.0)
    assert torch.allclose(parts.model.weight, whole.model.weight, atol=1e-7)


def test_a_batch_draws_by_its_number_alone():
    def step(number, batches=1):
        return Stepper(Line(), batches=batches).step(number, 0.0)["loss"]

    assert step(0) == step(0)
    assert step(0) != step(1)
    assert step(0, batches=2) == pytest.approx((step(0) + step(1)) / 2, rel=1e-6)


def test_a_loss_that_is_no_number_moves_nothing_and_names_its_batch():
    task = Line(breaks=1)
    before = task.model.weight.clone()
    with pytest.raises(TrainingError, match=r"not finite at step 4 \(batch 7\); resume"):
        Stepper(task, batches=2).step(3, 0.0)
    assert torch.equal(task.model.weight, before)


class Duel(Task[Points]):
    """Two learners: the second one's loss is what the first one has become."""

    def __init__(self):
        self.first, self.second, self.met, self.modes = nn.Linear(2, 1), nn.Linear(2, 1), [], []

    @property
    def modules(self):
        return {"first": self.first, "second": self.second}

    @property
    def learners(self):
        optim = OptimConfig(rate=0.1, warmup=0.0)
        return {name: Learner(module, optim) for name, module in self.modules.items()}

    def batch(self, number):
        return Points(torch.ones(2, 2))

    def extent(self, batch):
        return Extent(len(batch.x), 0.0, len(batch.x))

    def objectives(self, batch, progress):
        self.modes.append(self.first.training)
        loss = self.first(batch.x).mean()
        yield Objective("first", loss, {"before": loss})
        with torch.no_grad():
            self.met.append(self.first(batch.x).mean())
        yield Objective("second", self.second(batch.x).mean(), {"after": self.met[-1]})

    def evaluate(self, device):
        self.modes.append(self.first.training)
        return {"needs gradients": float(self.second(torch.ones(2)).requires_grad)}

    def export(self, folder):
        raise NotImplementedError


def test_a_learner_has_moved_when_the_next_turn_comes():
    task = Duel()
    numbers = Stepper(task, batches=2).step(0, 0.5)
    assert numbers["after"] < numbers["before"] - 0.01
    assert task.met[0] == task.met[1], "both batches' second turns come after the first learner's step"
    assert set(numbers) == {"before", "after", "loss", "norm", "tokens", "audio_seconds"}


def test_evaluation_is_without_gradients_and_in_the_mode_for_use():
    task = Duel()
    stepper = Stepper(task)
    stepper.step(0, 0.0)
    assert stepper.evaluate() == {"needs gradients": 0.0}
    assert task.modes == [True, False]


def test_gradients_that_are_no_numbers_name_the_batches_of_the_step():
    task = Line()
    task.model.weight.register_hook(lambda gradient: gradient * float("inf"))
    with pytest.raises(TrainingError, match=r"step 4 \(the gradients of batches 6 to 7\)"):
        Stepper(task, batches=2).step(3, 0.0)


def test_the_average_is_what_is_evaluated_and_exported_and_not_what_learns(tmp_path):
    task = Line()
    task.evaluate = lambda device: {"weight": float(task.model.weight.detach()[0, 0])}
    task.export = lambda folder: (folder / "weight").write_text(str(float(task.model.weight.detach()[0, 0])))
    optim = OptimConfig(rate=0.1, warmup=0.0, ema=0.75)
    task.__class__ = type("Averaged", (Line,), {"learners": {"model": Learner(task.model, optim)}})
    first = float(task.model.weight.detach()[0, 0])
    stepper = Stepper(task)
    stepper.step(0, 0.5)
    now = float(task.model.weight.detach()[0, 0])
    expected = first + (now - first) / 4
    assert stepper.evaluate()["weight"] == pytest.approx(expected, abs=1e-6)
    stepper.export(tmp_path)
    assert float((tmp_path / "weight").read_text()) == pytest.approx(expected, abs=1e-6)
    assert float(task.model.weight.detach()[0, 0]) == now != pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("changes", [{"strategy": "fsdp"}, {"compile": True}, {"checkpoint_activations": True}])
def test_a_task_without_blocks_cannot_be_taken_to_pieces(changes):
    with pytest.raises(ConfigError, match="cannot be sharded"):
        Stepper(Line(), config=ParallelConfig(**changes))


def test_a_state_brings_weights_and_moments(tmp_path):
    one, other = Stepper(Line()), Stepper(Line())
    one.step(0, 0.5)
    save_checkpoint(tmp_path, 1, one.state(), {}, leads=True)
    resume(tmp_path / "checkpoint-1", other.state())
    assert one.step(1, 0.6) == other.step(1, 0.6)
    assert torch.equal(one.task.model.weight, other.task.model.weight)
