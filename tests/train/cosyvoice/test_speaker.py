"""Training of the speaker encoder in miniature: its voices, its loss, what it learns, and that it resumes."""

import math

import numpy as np
import pytest
import torch
from stepping import hand_on, stepper

from parlando.core.errors import ConfigError
from parlando.models.cosyvoice.parts.campplus import CampPlusConfig
from parlando.models.cosyvoice.parts.part_weights import load_speaker
from parlando.train.cosyvoice.speaker import (
    AngularMargin,
    SpeakerTask,
    SpeakerTrainConfig,
    VoiceSampler,
    equal_error_rate,
)
from parlando.train.loop.optim import OptimConfig
from parlando.train.shared.augment import AugmentConfig

SMALL = CampPlusConfig(
    embedding_size=8, growth=4, bottleneck=2, initial_channels=8, head_channels=4, layers=(1, 1, 1), segment_frames=20
)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def config(**changes):
    sizes = {"batch": 4, "least_frames": 5, "most_frames": 8, "speeds": (0.8, 1.25), "unseen_speeds": (1.0,)}
    return SpeakerTrainConfig(encoder=SMALL, held_out_per_voice=2, **sizes | changes)


def test_a_speaker_at_another_speed_is_another_voice(packed):
    sampler = VoiceSampler(packed, config())
    assert sampler.voices == [("rms", 0.8), ("rms", 1.25), ("slt", 0.8), ("slt", 1.25)]
    lengths = set()
    for step in range(12):
        crops = sampler.batch(step)
        assert np.array_equal(crops.waves, sampler.batch(step).waves)
        assert len(crops.waves) == len(crops.voices) == 4
        lengths.add(crops.waves.shape[1] // packed.config.frame_samples)
    assert lengths == {5, 6, 7, 8}
    assert np.bincount(sampler.held_out((0.8, 1.25)).voices).tolist() == [2, 2, 2, 2]
    assert np.bincount(sampler.held_out((1.0,)).voices).tolist() == [2, 2]


def test_the_margin_widens_the_right_angle_only():
    head = AngularMargin(2, 2, scale=1.0)
    head.directions.data = torch.eye(2)
    angle = 0.5
    embedding = 3 * torch.tensor([[math.cos(angle), math.sin(angle)]])
    loss = head(embedding, torch.tensor([0]), 0.2).detach()
    logits = torch.tensor([math.cos(angle + 0.2), math.sin(angle)])
    assert float(loss) == pytest.approx(-float(logits.log_softmax(0)[0]), abs=1e-5)


def test_one_batch_is_learnt_by_heart(packed, monkeypatch):
    task = SpeakerTask(
        packed, config(augment=AugmentConfig(share=0.0), optim=OptimConfig(rate=1e-2, warmup=0.0), scale=8.0)
    )
    crops = task.sampler.batch(0)
    monkeypatch.setattr(task.sampler, "batch", lambda *which: crops)
    steps = [stepper(task).step(step, step / 20) for step in range(20)]
    assert steps[-1]["loss"] < 0.5 * steps[0]["loss"]
    assert steps[-1]["accuracy"] == 1.0
    assert set(stepper(task).evaluate()) == {"accuracy", "equal_error", "equal_error_unseen"}


def test_a_restored_task_goes_on_as_if_nothing_had_happened(packed, tmp_path):
    first, second = SpeakerTask(packed, config()), SpeakerTask(packed, config())
    torch.manual_seed(1)
    stepper(first).step(0, 0.1)
    hand_on(first, second)
    torch.manual_seed(2)
    one = stepper(first).step(1, 0.2)
    torch.manual_seed(2)
    assert one == stepper(second).step(1, 0.2)
    first.export(tmp_path)
    third = SpeakerTask(packed, config(start_from=str(tmp_path)))
    assert torch.equal(third.encoder.head.conv1.weight, first.encoder.head.conv1.weight)
    assert load_speaker(tmp_path).config == SMALL


def test_a_corpus_of_short_clips_is_refused(packed):
    with pytest.raises(ConfigError, match="lower most_frames"):
        VoiceSampler(packed, config(most_frames=1000))


def test_equal_error_rates():
    voices = torch.tensor([0, 0, 1, 1])
    apart = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
    assert equal_error_rate(apart, voices) == pytest.approx(0.0)
    assert equal_error_rate(apart[[0, 2, 1, 3]], voices) == pytest.approx(0.5)


def test_the_margin_grows_in_the_later_part():
    margins = [SpeakerTrainConfig(margin=0.2, margin_after=0.5).margin_at(progress) for progress in (0, 0.5, 0.75, 1)]
    assert margins == pytest.approx([0, 0, 0.1, 0.2])
