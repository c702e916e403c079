"""Training of the speech tokenizer in miniature: what a step moves, what it learns, and that it resumes."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from stepping import hand_on, stepper

from parlando.audio.fbank import WhisperMel
from parlando.core.config import from_mapping
from parlando.core.errors import ConfigError
from parlando.data.pitch import measure_pitch
from parlando.data.sampler import CropConfig
from parlando.data.shards import PITCH, PackedCorpus
from parlando.models.cosyvoice.parts.speech_tokenizer import SpeechTokenizer, SpeechTokenizerConfig
from parlando.train.cosyvoice.speech_tokenizer import (
    SpeechTokenizerTask,
    SpeechTokenizerTrainConfig,
    prosody_loss,
)
from parlando.train.loop.optim import OptimConfig
from parlando.train.shared.augment import AugmentConfig

SMALL = SpeechTokenizerConfig(hidden_size=16, num_heads=2, num_layers=1, memory_kernel=5)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def small_task(packed, **changes):
    crops = CropConfig(batch=2, frames=5, held_out_batch=2)
    return SpeechTokenizerTask(
        packed, SpeechTokenizerTrainConfig(tokenizer=SMALL, crops=crops, recogniser_layers=1, **changes)
    )


def copied(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def test_a_step_reports_its_losses_and_moves_every_tensor(packed):
    task = small_task(packed, optim=OptimConfig(warmup=0.0), speaker_weight=0.1)
    before = copied(task.trained)
    metrics = stepper(task).step(0, 0.0)
    assert set(metrics) == {"loss", "phone", "speaker", "codes_used", "norm", "audio_seconds", "tokens"}
    assert metrics["audio_seconds"] == pytest.approx(2 * 5 * 0.04)
    assert metrics["loss"] == pytest.approx(metrics["phone"] + 0.1 * metrics["speaker"], rel=1e-5)
    assert 1 <= metrics["codes_used"] <= 10
    still = [name for name, tensor in task.trained.state_dict().items() if torch.equal(tensor, before[name])]
    assert still == []


def test_one_batch_is_learnt_by_heart_through_the_quantiser(packed, monkeypatch):
    task = small_task(packed, optim=OptimConfig(rate=1e-2, warmup=0.0))
    crops = task.sampler.batch(0)
    monkeypatch.setattr(task.sampler, "batch", lambda *which: crops)
    losses = [stepper(task).step(step, step / 40)["phone"] for step in range(40)]
    assert losses[-1] < 0.5 * losses[0]


def test_without_a_speaker_weight_speakers_teach_the_tokenizer_nothing(packed):
    task = small_task(packed, optim=OptimConfig(warmup=0.0))
    before = copied(task.speaker_head)
    stepper(task).step(0, 0.0)
    weights = {name: tensor for name, tensor in task.speaker_head.state_dict().items() if tensor.ndim == 1}
    assert all(torch.equal(before[name], tensor) for name, tensor in weights.items())


def test_a_restored_task_goes_on_as_if_nothing_had_happened(packed):
    first, second = small_task(packed), small_task(packed)
    stepper(first).step(0, 0.1)
    hand_on(first, second)
    assert stepper(first).step(1, 0.2) == stepper(second).step(1, 0.2)
    assert stepper(first).evaluate() == stepper(second).evaluate()


def test_what_is_exported_is_the_tokenizer_alone(packed, tmp_path):
    task = small_task(packed)
    stepper(task).step(0, 0.1)
    task.export(tmp_path)
    config = from_mapping(SpeechTokenizerConfig, json.loads((tmp_path / "speech_tokenizer.json").read_text()))
    tokenizer = SpeechTokenizer(config).eval()
    tokenizer.load_state_dict(load_file(tmp_path / "speech_tokenizer.safetensors"))
    wave = torch.randn(8_000)
    assert torch.equal(tokenizer.encode([wave])[0], task.tokenizer.eval().encode([wave])[0])
    task = small_task(packed, start_from=str(tmp_path))
    assert all(torch.equal(tensor, tokenizer.state_dict()[name]) for name, tensor in copied(task.tokenizer).items())


def test_held_out_metrics_have_their_ranges(packed):
    metrics = stepper(small_task(packed)).evaluate()
    assert 0 <= metrics["phone_accuracy"] <= 1
    assert 1 <= metrics["code_perplexity"] <= 10
    assert metrics["phone"] > 0


def test_a_corpus_of_another_frame_rate_is_refused(packed):
    slow = replace(SMALL, mel=replace(SMALL.mel, hop_samples=320))
    with pytest.raises(ConfigError, match=r"25 frames a second and the tokenizer 12\.5 tokens"):
        SpeechTokenizerTask(packed, SpeechTokenizerTrainConfig(tokenizer=slow))


def test_a_crop_has_four_mel_frames_a_token(packed):
    task = small_task(packed)
    mel = task._mel(torch.randn(2, 5 * 960))
    assert isinstance(task.tokenizer.log_mel, WhisperMel)
    assert mel.shape == (2, 128, 20)


@pytest.fixture
def pitched(packed, tmp_path, in_this_process):
    """The corpus with its pitch measured, in a folder of its own."""
    for name in ("samples.i16", "labels.u8", "index.jsonl", "pack.json"):
        (tmp_path / name).write_bytes((packed.folder / name).read_bytes())
    measure_pitch(PackedCorpus(tmp_path))
    return PackedCorpus(tmp_path)


def test_prosody_follows_the_phones_and_is_learnt(pitched, monkeypatch):
    faint = AugmentConfig(share=1.0, curve_db=1.0, narrow_share=0.0, loudest_noise_db=40.0)
    task = small_task(pitched, prosody_weight=4.0, augment=faint, optim=OptimConfig(rate=1e-2, warmup=0.0))
    crops = task.sampler.batch(0)
    assert crops.labels.shape == (2, 5, 2 + 2 * 4)
    assert set(crops.labels[..., 6:].ravel()) <= {0.0, 1.0}
    monkeypatch.setattr(task.sampler, "batch", lambda *which: crops)
    steps = [stepper(task).step(step, step / 60) for step in range(60)]
    assert steps[0]["loss"] == pytest.approx(steps[0]["phone"] + 4 * steps[0]["prosody"], rel=1e-5)
    assert steps[-1]["prosody"] < 0.5 * steps[0]["prosody"]
    assert "prosody" in stepper(task).evaluate()


def test_prosody_without_measured_pitch_says_what_to_run(packed, tmp_path):
    unmeasured = shutil.copytree(packed.folder, tmp_path / "unmeasured")
    (unmeasured / PITCH).unlink(missing_ok=True)
    with pytest.raises(ConfigError, match="parlando data pitch"):
        small_task(PackedCorpus(unmeasured), prosody_weight=1.0)


def test_only_voiced_tokens_have_prosody():
    contour = torch.tensor([[[1.0, 3.0, 1.0, 1.0], [5.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]]])
    assert float(prosody_loss(torch.tensor([[2.0, 4.5, 9.0]]), contour)) == pytest.approx((0.0 + 0.125) / 2)
    assert float(prosody_loss(torch.zeros(1, 1), torch.zeros(1, 1, 4))) == 0.0


def test_digits_start_spread_over_their_levels(packed):
    task = small_task(packed)
    crops = task.sampler.batch(0)
    mel = task._mel(torch.from_numpy(crops.waves))
    digits = task.tokenizer(mel, torch.full((len(mel),), mel.shape[2]))[0].detach()
    assert digits.mean(dim=(0, 1)).abs().max() < 0.7
    assert (digits.std(dim=(0, 1)) > 0.4).all()
