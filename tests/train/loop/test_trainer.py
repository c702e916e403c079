import json
import signal

import pytest
import torch
from lines import Line, Points
from tiny_tasks import codec_task, lm_task

from parlando.core.errors import CheckpointError, ConfigError, TrainingError
from parlando.train.loop.parallel import Process
from parlando.train.loop.trainer import Budget, Trainer


def weights(state):
    """Every tensor of a nested state, in order."""
    if isinstance(state, torch.Tensor):
        return [state]
    values = state.values() if isinstance(state, dict) else state if isinstance(state, list | tuple) else []
    return [tensor for value in values for tensor in weights(value)]


def states(task):
    return {name: module.state_dict() for name, module in task.modules.items()}


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def log(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_a_budget_of_steps_is_kept_to_the_step(tmp_path):
    task = Line()
    assert Trainer(task, tmp_path / "run", Budget(steps=5)).run() is True
    assert task.seen == [0.0, 0.2, 0.4, 0.6, 0.8]
    assert (tmp_path / "run" / "line.txt").read_text() == "done"
    assert task.evaluated == 1


def test_a_budget_of_minutes_ends_by_the_clock(tmp_path):
    trainer = Trainer(Line(), tmp_path, Budget(minutes=0.0005))
    assert trainer.run() is True
    assert trainer.seconds >= 0.03
    assert trainer.seconds < 1


def test_the_first_of_two_limits_counts():
    budget = Budget(steps=100, minutes=1)
    assert budget.progress(10, 30) == 0.5
    assert budget.progress(80, 30) == 0.8
    assert budget.progress(300, 0) == 1.0


@pytest.mark.parametrize("nothing", [{}, {"steps": 0}, {"minutes": 0}])
def test_a_training_without_a_budget_is_refused(nothing):
    with pytest.raises(ConfigError, match="needs a budget"):
        Budget(**nothing)


def test_a_line_per_interval_and_one_at_the_end(tmp_path):
    Trainer(Line(), tmp_path, Budget(steps=5, log_every_steps=2)).run()
    rows = log(tmp_path)
    assert [row["step"] for row in rows] == [2, 4, 5]
    assert set(rows[0]) == {"step", "minutes", "loss", "norm", "tokens", "audio_seconds_per_second"}
    assert rows[0]["audio_seconds_per_second"] > 0
    assert rows[2]["held_out"] == {"loss": 0.5}


def test_evaluation_and_checkpoints_come_by_the_minute(tmp_path):
    task = Line()
    Trainer(task, tmp_path, Budget(steps=4, evaluate_every_minutes=0, save_every_minutes=0)).run()
    assert task.evaluated == 5
    assert [row["step"] for row in log(tmp_path)] == [1, 2, 3, 4, 4]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_stops(tmp_path, number):
    before = signal.getsignal(number)
    task = Line(stops=2, number=number)
    assert Trainer(task, tmp_path, Budget(steps=6)).run() is False
    assert signal.getsignal(number) is before
    assert not (tmp_path / "line.txt").exists()
    assert task.evaluated == 0
    again = Line()
    assert Trainer(again, tmp_path, Budget(steps=6)).step == 3
    assert all(torch.equal(a, b) for a, b in zip(again.model.parameters(), task.model.parameters(), strict=True))


def test_a_signal_while_evaluating_stops_after_the_next_step_when_all_can(tmp_path):
    task = Line(evaluation_stops=2)
    budget = Budget(steps=6, evaluate_every_minutes=0, save_every_minutes=100)
    assert Trainer(task, tmp_path, budget).run() is False
    assert len(task.seen) == 3
    assert (tmp_path / "checkpoint-3").is_dir()


def test_a_loss_that_is_no_number_stops_and_keeps_the_checkpoint(tmp_path):
    Trainer(Line(stops=1), tmp_path, Budget(steps=6)).run()
    before = contents(tmp_path / "checkpoint-2")
    with pytest.raises(TrainingError, match=r"not finite at step 4 \(batch 3\); resume from the last checkpoint"):
        Trainer(Line(breaks=1), tmp_path, Budget(steps=6)).run()
    assert contents(tmp_path / "checkpoint-2") == before


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory: you tried"),
        MemoryError(),
    ],
)
def test_out_of_memory_names_the_setting_to_halve(tmp_path, error):
    task = Line()
    task.batch_setting = "mix.tokens_per_batch"

    def objectives(batch, progress):
        raise error
        yield

    task.objectives = objectives
    with pytest.raises(TrainingError, match=r"out of memory at step 1; halve mix\.tokens_per_batch in"):
        Trainer(task, tmp_path, Budget(steps=2)).run()


def test_any_other_error_stays_what_it_is(tmp_path):
    task = Line()
    task.batch = lambda number: Points(torch.ones(2, 3))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        Trainer(task, tmp_path, Budget(steps=2)).run()


def test_a_finished_run_is_not_trained_further(tmp_path):
    Trainer(Line(), tmp_path, Budget(steps=3)).run()
    again = Line()
    assert Trainer(again, tmp_path, Budget(steps=3)).run() is True
    assert again.seen == []


def test_a_spoilt_checkpoint_is_named(tmp_path):
    (tmp_path / "last.pt").write_bytes(b"nothing of use")
    with pytest.raises(CheckpointError, match=r"last\.pt' is not a valid checkpoint; delete it to start again"):
        Trainer(Line(), tmp_path, Budget(steps=3))


def test_only_the_first_process_writes_but_every_one_evaluates(tmp_path):
    task = Line()
    assert Trainer(task, tmp_path, Budget(steps=2, log_every_steps=1), Process(rank=1)).run() is True
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-2.partial"], "its pieces, which nobody finishes"
    assert task.evaluated == 1


def test_steps_that_a_kill_has_undone_are_logged_once(tmp_path):
    budget = Budget(steps=6, log_every_steps=1)
    Trainer(Line(stops=2), tmp_path, budget).run()
    first = log(tmp_path)
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write(
            '{"step": 4, "minutes": 0.0, "loss": 9.0}\n{"step": 4, "minutes": 0.0, "held_out": {}}\n{"step": 5, "m'
        )
    assert Trainer(Line(), tmp_path, budget).run() is True
    assert [row["step"] for row in log(tmp_path)] == [1, 2, 3, 4, 5, 6, 6]
    assert log(tmp_path)[:3] == first
    assert not list(tmp_path.glob("*.partial"))


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_its_log_again(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"step": 1, "minutes": 0.0, "loss": 9.0}\n')
    Trainer(Line(), tmp_path, Budget(steps=1, log_every_steps=1)).run()
    assert [(row["step"], row.get("loss") == 9.0) for row in log(tmp_path)] == [(1, False), (1, False)]


def test_another_trainings_checkpoint_is_refused(tmp_path):
    Trainer(Line(), tmp_path, Budget(steps=1)).run()
    other = Line()
    other.model = torch.nn.Linear(3, 1)
    with pytest.raises(
        CheckpointError, match=r"checkpoint-1' does not fit this training: .*size mismatch.*another folder"
    ):
        Trainer(other, tmp_path, Budget(steps=1))


def stopped_after(task, step):
    """The task, which a signal interrupts after a step."""
    after, seen = task.after_step, []

    def after_step():
        after()
        seen.append(None)
        if len(seen) == step + 1:
            signal.raise_signal(signal.SIGINT)

    task.after_step = after_step
    return task


@pytest.mark.parametrize("kind", ["codec", "lm", "line"])
def test_a_resumed_training_ends_with_the_very_same_weights(tmp_path, request, kind):
    def make():
        torch.manual_seed(5)
        if kind == "line":
            return Line()
        return (
            codec_task(request.getfixturevalue("packed"))
            if kind == "codec"
            else lm_task(request.getfixturevalue("codes"))
        )

    budget = Budget(steps=4, log_every_steps=1)
    whole = make()
    start = [tensor.clone() for tensor in weights(states(whole))]
    assert Trainer(whole, tmp_path / "whole", budget).run() is True
    assert Trainer(stopped_after(make(), 1), tmp_path / "parts", budget).run() is False
    resumed = make()
    assert Trainer(resumed, tmp_path / "parts", budget).run() is True
    ends = list(zip(weights(states(whole)), weights(states(resumed)), strict=True))
    assert len(ends) >= 2
    assert all(torch.equal(a, b) for a, b in ends)
    assert not all(torch.equal(a, b) for a, (b, _) in zip(start, ends, strict=False))
    assert [r.get("loss") for r in log(tmp_path / "whole")] == [r.get("loss") for r in log(tmp_path / "parts")]
