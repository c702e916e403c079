"""Training of the flow in miniature: what it is shown, what it learns, that it resumes and exports."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from stepping import hand_on, stepper

from parlando.audio.fbank import MirroredMel
from parlando.core.config import from_mapping
from parlando.core.errors import ConfigError
from parlando.data.tokens import EncodedUtterance, TokenCorpus
from parlando.models.cosyvoice.parts.features import flow_mel_config
from parlando.models.cosyvoice.parts.flow import FlowConfig
from parlando.models.cosyvoice.parts.part_weights import load_flow
from parlando.train.cosyvoice.flow import FlowTask, FlowTrainConfig
from parlando.train.cosyvoice.flow_examples import FlowMixConfig, FlowSampler
from parlando.train.loop.optim import OptimConfig

DIM, CODES = 5, 20
SMALL = from_mapping(
    FlowConfig,
    {
        "vocab_size": CODES,
        "speaker_dim": DIM,
        "solver_steps": 3,
        "encoder": {
            "input_dim": 12, "dim": 12, "num_heads": 2, "inner_dim": 16, "num_layers": 1, "num_up_layers": 1,
            "chunk_tokens": 4, "dropout": 0.0,
        },
        "estimator": {"dim": 12, "num_heads": 2, "head_dim": 4, "num_mid_stages": 1, "layers_per_stage": 1},
    },
)  # fmt: skip
MIX = FlowMixConfig(tokens_per_batch=60, candidates=4, longest_tokens=60, join_share=0.5)


def write_codes(packed, folder, speaker_dim=DIM):
    """Random codes of every utterance, one speed more for the first, and embeddings that count the utterances."""
    folder.mkdir()
    generator, start, rows = np.random.default_rng(0), 0, []
    for entry in packed.entries:
        for speed in (1.0, 0.9) if entry is packed.entries[0] else (1.0,):
            frames = int(entry.samples / speed) // packed.config.frame_samples
            split = "validation" if entry is packed.entries[-1] else "train"
            rows.append(EncodedUtterance(entry.id, entry.speaker, speed, "en", entry.text, split, start, frames))
            start += frames
    generator.integers(CODES, size=start).astype(np.int16).tofile(folder / "codes.i16")
    np.zeros(start, dtype=np.uint8).tofile(folder / "labels.u8")
    np.repeat(np.arange(len(rows), dtype=np.float32), speaker_dim).tofile(folder / "speakers.f32")
    (folder / "index.jsonl").write_text("".join(json.dumps(asdict(row)) + "\n" for row in rows))
    described = {"num_codebooks": 1, "codebook_size": CODES, "speaker_dim": speaker_dim}
    (folder / "codes.json").write_text(json.dumps(described))
    return TokenCorpus(folder)


@pytest.fixture(scope="module")
def tokens(packed, tmp_path_factory):
    return write_codes(packed, tmp_path_factory.mktemp("flow") / "codes")


def small_task(packed, tokens, **changes):
    torch.manual_seed(0)
    return FlowTask(FlowSampler(packed, tokens, MIX), FlowTrainConfig(flow=SMALL, mix=MIX, **changes))


def test_a_batch_holds_codes_and_the_mel_that_they_stand_for(packed, tokens):
    sampler = FlowSampler(packed, tokens, replace(MIX, join_share=0.0, other_share=0.0))
    examples = sampler.batch(0)
    assert examples.mel.shape == (len(examples.lengths), 2 * int(examples.lengths.max()), 80)
    mel = MirroredMel(flow_mel_config())
    for row, length in enumerate(examples.lengths.tolist()):
        spoken = tokens.utterances[int(examples.speaker[row, 0])]
        codes = tokens.codes(spoken)[0]
        assert examples.tokens[row, :length].tolist() == codes.tolist()
        if spoken.speed == 1.0:
            wave = torch.from_numpy(packed.samples(sampler.entries[spoken.id]))
            assert torch.equal(examples.mel[row, : 2 * length], mel(wave[None])[0].T)


def test_joined_utterances_are_of_one_voice_and_not_too_long(packed, tokens):
    sampler = FlowSampler(packed, tokens, replace(MIX, join_share=1.0))
    plans = [sampler._plan(np.random.default_rng(seed)) for seed in range(40)]
    assert all(len({spoken.voice for spoken in plan}) == 1 for plan in plans)
    assert max(sum(spoken.frames for spoken in plan) for plan in plans) <= MIX.longest_tokens
    assert any(len(plan) > 1 for plan in plans)


def test_a_step_reports_its_losses_and_moves_every_tensor(packed, tokens):
    task = small_task(packed, tokens, optim=OptimConfig(warmup=0.0), mean_weight=0.5)
    before = {name: tensor.clone() for name, tensor in task.flow.state_dict().items()}
    for step in range(4):
        metrics = stepper(task).step(step, 0.0)
    assert set(metrics) == {"loss", "velocity", "mean", "norm", "audio_seconds", "tokens"}
    assert metrics["loss"] == pytest.approx(metrics["velocity"] + 0.5 * metrics["mean"], rel=1e-5)
    assert not [name for name, tensor in task.flow.state_dict().items() if torch.equal(tensor, before[name])]


def test_it_begins_with_the_mean_mel_and_learns_from_there(packed, tokens):
    task = small_task(packed, tokens, optim=OptimConfig(rate=1e-2, warmup=0.0))
    assert task.flow.decoder.estimator.final_proj.bias.mean() < -1
    losses = [stepper(task).step(0, step / 40)["velocity"] for step in range(40)]
    assert losses[-1] < 0.8 * losses[0]


def test_held_out_numbers_are_the_same_every_time(packed, tokens):
    task = small_task(packed, tokens)
    assert stepper(task).evaluate() == stepper(task).evaluate()
    assert set(stepper(task).evaluate()) == {"velocity", "mean", "mel"}
    assert task.solved_distance(1, steps=1) > 0


def test_it_resumes_where_it_was(packed, tokens):
    whole, cut, resumed = (small_task(packed, tokens) for _ in range(3))
    for task in (whole, cut):
        stepper(task).step(0, 0.3)
    hand_on(cut, resumed)
    for task in (whole, resumed):
        stepper(task).step(1, 0.4)
    assert all(torch.equal(a, b) for a, b in zip(whole.flow.parameters(), resumed.flow.parameters(), strict=True))


def test_an_export_loads_as_it_was_and_starts_another(packed, tokens, tmp_path):
    task = small_task(packed, tokens)
    stepper(task).step(0, 0.5)
    task.export(tmp_path)
    loaded = load_flow(tmp_path)
    started = small_task(packed, tokens, start_from=str(tmp_path)).flow
    assert loaded.config == task.config.flow
    for name, tensor in task.flow.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)
        assert torch.equal(started.state_dict()[name], tensor)


def test_the_encoder_learns_first_and_the_rest_later(packed, tokens):
    told = replace(SMALL, prior="mean", speaker_in_encoder=True)
    sampler = FlowSampler(packed, tokens, MIX)
    optim = OptimConfig(rate=1e-2, warmup=0.0)
    task = FlowTask(sampler, FlowTrainConfig(flow=told, mix=MIX, optim=optim, mean_weight=1.0, velocity_after=0.5))
    assert task.flow.decoder.estimator.final_proj.bias.abs().max() < 1
    assert task.flow.encoder_proj.bias.mean() < -1
    estimator = {name: tensor.clone() for name, tensor in task.flow.decoder.state_dict().items()}
    early = stepper(task).step(0, 0.4)
    assert set(early) == {"loss", "mean", "norm", "audio_seconds", "tokens"}
    assert all(torch.equal(tensor, estimator[name]) for name, tensor in task.flow.decoder.state_dict().items())
    assert "velocity" in stepper(task).step(1, 0.6)
    assert not all(torch.equal(tensor, estimator[name]) for name, tensor in task.flow.decoder.state_dict().items())
    with pytest.raises(ConfigError, match="give mean_weight too"):
        FlowTrainConfig(velocity_after=0.5)


def test_codes_with_a_digit_in_common_share_what_they_learn(packed, tokens, tmp_path, monkeypatch):
    """A code that was never seen is known by its digits, and an export is a plain table again."""
    flow = replace(SMALL, vocab_size=32)
    sampler = FlowSampler(packed, tokens, MIX)
    monkeypatch.setattr(sampler.tokens, "codebook_size", 32)
    torch.manual_seed(0)
    task = FlowTask(sampler, FlowTrainConfig(flow=flow, mix=MIX, code_levels=2, optim=OptimConfig(warmup=0.0)))
    before = task.flow.input_embedding.weight.detach().clone()
    for step in range(3):
        stepper(task).step(step, 0.0)
    task.export(tmp_path)
    exported = load_flow(tmp_path).input_embedding.weight
    assert torch.equal(exported, task.flow.input_embedding.weight)
    assert "velocity" in stepper(task).evaluate(), "an export leaves the training as it was"
    never_seen = exported[CODES:] - before[CODES:]
    assert never_seen.abs().max() > 1e-4
    with pytest.raises(ConfigError, match="code_levels = 3"):
        FlowTask(sampler, FlowTrainConfig(flow=flow, mix=MIX, code_levels=3))


def test_codes_of_another_tokenizer_or_without_speakers_are_refused(packed, tokens, tmp_path):
    with pytest.raises(ConfigError, match="one of 21"):
        FlowTask(FlowSampler(packed, tokens, MIX), FlowTrainConfig(flow=replace(SMALL, vocab_size=CODES + 1)))
    with pytest.raises(ConfigError, match="speaker"):
        FlowSampler(packed, write_codes(packed, tmp_path / "codes", speaker_dim=0), MIX)
