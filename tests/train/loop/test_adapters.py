"""Only what is trainable moves and is kept; a resumed run goes the very way that it would have gone."""

import pytest
import torch
from lines import OPTIM, Line
from torch import nn

from parlando.core.errors import CheckpointError, ConfigError
from parlando.nn.checkpoint import read_tensors
from parlando.nn.lora import LoRAConfig, merged_state
from parlando.train.loop.adapters import choose_trainable
from parlando.train.loop.task import Learner
from parlando.train.loop.trainer import Budget, Trainer

MODEL = "modules/model/"
LORA = LoRAConfig(2, targets=("gate",))


class Adapted(Line):
    """A line through two layers, of which not all learns."""

    def __init__(self, stops=None, **choice):
        super().__init__(stops=stops)
        torch.manual_seed(98)
        self.model = nn.Sequential()
        self.model.add_module("gate", nn.Linear(2, 4))
        self.model.add_module("out", nn.Linear(4, 1))
        choose_trainable(self.model, **choice)

    @property
    def modules(self):
        return {"model": self.model}

    @property
    def learners(self):
        return {"model": Learner(self.model, OPTIM)}


CHOICES = [({"adapter": LORA}, {"gate.weight"}), ({"patterns": ("out.*",)}, {"out.weight", "out.bias"})]


@pytest.mark.parametrize(("choice", "moved"), CHOICES)
def test_only_what_was_chosen_moves(choice, moved, tmp_path):
    before, task = Adapted(**choice), Adapted(**choice)
    Trainer(task, tmp_path, Budget(steps=3)).run()
    states = merged_state(before.model), merged_state(task.model)
    assert {name for name, tensor in states[0].items() if not torch.equal(tensor, states[1][name])} == moved


@pytest.mark.parametrize(("choice", "moved"), CHOICES)
def test_it_alone_is_kept_and_resumed_exactly(choice, moved, tmp_path):
    whole, stopped, again = (Adapted(stops, **choice) for stops in (None, 1, None))
    Trainer(whole, tmp_path / "whole", Budget(steps=5)).run()
    assert not Trainer(stopped, tmp_path / "two", Budget(steps=5)).run()
    names = read_tensors(next((tmp_path / "two").glob("checkpoint-*/*.safetensors")))
    kept = {name.removeprefix(MODEL) for name in names if name.startswith(MODEL)}
    assert kept == {name for name, p in stopped.model.named_parameters() if p.requires_grad}
    assert Trainer(again, tmp_path / "two", Budget(steps=5)).run()
    states = (merged_state(task.model) for task in (whole, again))
    assert all(torch.equal(a, b) for a, b in zip(*(state.values() for state in states), strict=True))


def test_a_whole_checkpoint_resumes_and_that_of_another_choice_does_not(tmp_path):
    Trainer(Adapted(stops=0), tmp_path, Budget(steps=2)).run()
    kept = read_tensors(next(tmp_path.glob("checkpoint-*/*.safetensors")))
    again = Adapted(patterns=("*",))
    Trainer(again, tmp_path, Budget(steps=2))
    assert torch.equal(again.model.out.weight, kept[f"{MODEL}out.weight"])
    with pytest.raises(CheckpointError, match=r"does not fit this training: missing \S*gate\.lora_A\.weight"):
        Trainer(Adapted(adapter=LORA), tmp_path, Budget(steps=2))


def test_a_checkpoint_in_one_file_that_has_what_is_frozen_now_resumes(tmp_path):
    task = Adapted(patterns=("out.*",))
    whole = {name: torch.full_like(tensor, 0.5) for name, tensor in task.model.state_dict().items()}
    saved = {"step": 1, "seconds": 1.0, "batches_per_step": 1, "modules": {"model": whole}}
    torch.save({**saved, "optimizers": {"model": {"state": {}}}}, tmp_path / "last.pt")
    before = task.model.gate.weight.clone()
    assert Trainer(task, tmp_path, Budget(steps=2)).step == 1
    assert bool((task.model.out.weight == 0.5).all())
    assert torch.equal(task.model.gate.weight, before)


def test_a_name_that_is_nowhere_or_two_ways_at_once_are_refused():
    with pytest.raises(ConfigError, match=r"trainable: nothing is called 'outer\.\*'"):
        Adapted(patterns=("outer.*",))
    with pytest.raises(ConfigError, match=r"with an adapter only that learns; name further modules in adapter\.whole"):
        Adapted(patterns=("out.*",), adapter=LORA)
