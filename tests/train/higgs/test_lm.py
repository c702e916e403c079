import json

import numpy as np
import pytest
import torch
from stepping import stepper
from tiny_tasks import CODES, example_sampler, lm_config, lm_task

from parlando.core.config import from_mapping
from parlando.core.types import IGNORED_LABEL
from parlando.data.shards import UNKNOWN_PHONE
from parlando.models.higgs.config import LMConfig
from parlando.models.higgs.lm import HiggsLM
from parlando.train.higgs.lm import collate
from parlando.train.loop.checkpoint import load_weights
from parlando.train.loop.optim import OptimConfig

BOS, EOS, PAD = CODES, CODES + 1, 1


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def sampler(codes):
    return example_sampler(codes)


def clips(example, labels):
    """Every clip of an example: the codes read back from its delayed codes, its first position, its frames' phones."""
    books, found, audio = example.prompt.codes.shape[1], [], np.flatnonzero(example.prompt.audio_mask)
    runs = np.split(np.arange(len(audio)), np.flatnonzero(np.diff(audio) > 1) + 1)
    for run in runs:
        delayed, frames = example.prompt.codes[run], len(run) - books - 1
        codes = np.array([[delayed[1 + k + t, k] for t in range(frames)] for k in range(books)])
        found.append((codes, int(audio[run[0]]), labels[run[0] : run[0] + frames]))
    assert len(labels) == len(audio) - books - 1
    return found


def test_labels_stand_where_they_are_predicted(sampler):
    examples = [example for step in range(4) for example in sampler.batch(step)]
    batch = collate(examples, PAD)
    assert {len(clips(*example)) for example in examples} == {1, 2}
    for row, (example, labels) in enumerate(examples):
        expected = np.full_like(batch.targets[row].numpy(), IGNORED_LABEL)
        phones = np.full(len(expected), IGNORED_LABEL)
        for clip, start, names in clips(example, labels):
            for book, line in enumerate(clip):
                for frame, code in enumerate([*line, EOS]):
                    expected[start + book + frame, book] = code
            for frame, phone in enumerate(names):
                phones[start + frame] = IGNORED_LABEL if phone == UNKNOWN_PHONE else phone
        assert np.array_equal(batch.targets[row].numpy(), expected)
        assert np.array_equal(batch.phones[row].numpy(), phones)


def test_the_label_of_a_position_is_the_code_at_the_next(sampler):
    batch = collate(sampler.batch(2), PAD)
    supervised = batch.targets[:, :-1] != IGNORED_LABEL
    following = batch.codes[:, 1:]
    assert supervised.sum() > 50
    assert torch.equal(batch.targets[:, :-1][supervised], following[supervised])
    assert batch.audio_mask[:, 1:][supervised.any(-1)].all()
    assert (batch.codes[batch.audio_mask] == BOS).any()
    assert not (batch.targets == BOS).any()


def test_text_labels_open_and_close_the_answer(sampler):
    examples = sampler.batch(3)
    batch = collate(examples, PAD)
    tokenizer = sampler.builder.tokenizer
    for row, (example, labels) in enumerate(examples):
        answer, start, _ = clips(example, labels)[-1]
        learned = (batch.text_targets[row] != IGNORED_LABEL).nonzero().flatten().tolist()
        end = start + answer.shape[1] + batch.codes.shape[2] + 1
        assert learned == [start - 2, *range(end - 1, len(example.prompt) - 1)]
        assert batch.text_targets[row, start - 2] == tokenizer.audio_out_bos
        assert batch.text_targets[row, learned[-1]] == tokenizer.eot
        assert [batch.tokens[row, p + 1].item() for p in learned] == batch.text_targets[row, learned].tolist()


def test_padding_is_text_that_nobody_learns(sampler):
    examples = sorted(sampler.batch(4), key=lambda e: len(e[0].prompt))
    batch = collate(examples, PAD)
    short = len(examples[0][0].prompt)
    assert short < batch.tokens.shape[1]
    assert (batch.tokens[0, short:] == PAD).all()
    assert not batch.audio_mask[0, short:].any()
    for labels in (batch.targets, batch.phones, batch.text_targets):
        assert (labels[0, short:] == IGNORED_LABEL).all()


def test_a_step_reports_losses_that_add_up(codes):
    task = lm_task(codes, phone_weight=0.5, phone_final=0.1)
    metrics = stepper(task).step(0, 0.5)
    parts = metrics["codes"] + 0.3 * metrics["phone"] + 0.02 * metrics["text"]
    assert metrics["loss"] == pytest.approx(parts, rel=1e-5)
    frames = metrics["audio_seconds"] * 25
    assert frames == pytest.approx(round(frames), abs=1e-6)
    assert metrics["tokens"] > frames > 10
    assert metrics["first"] == pytest.approx(np.log(CODES + 2), abs=0.3)


def test_the_first_codebook_weighs_more(codes):
    task = lm_task(codes, first_weight=4.0)
    batch = task.collate(task.sampler.batch(0))
    losses = task.losses(batch)
    hidden = task.lm(batch.tokens, batch.codes, batch.audio_mask)
    per_book = []
    for book in range(3):
        known = batch.targets[..., book] != IGNORED_LABEL
        logits = task.lm.audio_logits(hidden[known])[:, book]
        per_book.append(float(torch.nn.functional.cross_entropy(logits, batch.targets[..., book][known]).detach()))
    assert float(losses["codes"].detach()) == pytest.approx((4 * per_book[0] + per_book[1] + per_book[2]) / 6, rel=1e-5)
    assert float(losses["last"].detach()) == pytest.approx(per_book[2], rel=1e-5)


def test_one_batch_is_learnt_by_heart(codes, monkeypatch):
    task = lm_task(codes, optim=OptimConfig(rate=2e-2, warmup=0.0))
    examples = task.sampler.batch(0)[:2]
    monkeypatch.setattr(task.sampler, "batch", lambda number: examples)
    losses = [stepper(task).step(step, step / 80)["codes"] for step in range(80)]
    assert losses[-1] < 0.6 * losses[0]


def test_without_a_text_head_no_text_is_learned(codes):
    from dataclasses import replace

    task = lm_task(codes)
    silent = type(task)(task.sampler, replace(task.config, lm=replace(task.config.lm, text_head=False)), task.start)
    assert stepper(silent).step(0, 0.0)["text"] == 0
    assert stepper(task).step(0, 0.0)["text"] > 1


def test_a_corpus_without_phone_times_trains_the_rest(codes, tmp_path):
    for name in ("codes.i16", "codes.json", "index.jsonl"):
        (tmp_path / name).write_bytes((codes / name).read_bytes())
    (tmp_path / "labels.u8").write_bytes(bytes([UNKNOWN_PHONE]) * (codes / "labels.u8").stat().st_size)
    metrics = stepper(lm_task(tmp_path)).step(0, 0.5)
    assert (metrics["phone"], metrics["phone_accuracy"]) == (0, 0)
    assert metrics["codes"] > 1


def test_evaluation_repeats(codes):
    task = lm_task(codes)
    metrics = stepper(task).evaluate()
    assert {"codes", "first", "last", "phone", "phone_accuracy", "text"} == set(metrics)
    assert stepper(task).evaluate() == metrics


def test_a_batch_is_a_function_of_its_number(codes):
    task = lm_task(codes)
    first, again, second = (task.batch(number).tokens for number in (0, 0, 1))
    assert torch.equal(first, again)
    assert first.shape != second.shape or not torch.equal(first, second)


def test_the_export_starts_another_training(codes, tmp_path):
    task = lm_task(codes)
    stepper(task).step(0, 0.5)
    task.export(tmp_path)
    config = from_mapping(LMConfig, json.loads((tmp_path / "lm.json").read_text()))
    assert config == task.config.lm == lm_config(task.sampler.builder.tokenizer)
    lm = HiggsLM(config)
    load_weights(lm, tmp_path / "lm.safetensors")
    again = lm_task(codes, start_from=str(tmp_path))
    for name, tensor in task.lm.state_dict().items():
        assert torch.equal(lm.state_dict()[name], tensor)
        assert torch.equal(again.lm.state_dict()[name], tensor)
