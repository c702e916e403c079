"""A step that does not fit into memory is told with the setting to halve; other errors are what they were."""

import pytest
import torch
from lines import Line

from parlando.core.errors import TrainingError
from parlando.train.loop.checkpoint import newest_checkpoint
from parlando.train.loop.memory import naming_what_to_halve
from parlando.train.loop.trainer import Budget, Trainer

HOST = "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate"


@pytest.mark.parametrize(
    "error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"), RuntimeError(HOST)]
)
def test_the_setting_to_halve_is_named(error):
    with (
        pytest.raises(TrainingError, match=r"out of memory at step 8; halve mix\.tokens_per_batch in the recipe"),
        naming_what_to_halve("mix.tokens_per_batch", 7),
    ):
        raise error


def test_other_errors_pass():
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"), naming_what_to_halve("x", 0):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")


def test_a_training_says_it_and_keeps_its_checkpoint(tmp_path):
    class Large(Line):
        batch_setting = "train.crops.batch"

        def objectives(self, batch, progress):
            if self.seen:
                raise MemoryError
            return super().objectives(batch, progress)

    trainer = Trainer(Large(), tmp_path, Budget(steps=3, save_every_minutes=0.0))
    with pytest.raises(TrainingError, match=r"at step 2; halve train\.crops\.batch"):
        trainer.run()
    assert newest_checkpoint(tmp_path).name == "checkpoint-1"
