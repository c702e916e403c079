"""Mels that a flow makes of a corpus, and a vocoder that learns from them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from stepping import stepper
from test_flow import MIX, small_task, tokens  # noqa: F401  a fixture
from test_vocoder import CROPS, MARGIN, PER_TOKEN, SMALL, measured  # noqa: F401  a fixture

from parlando.core.errors import ConfigError, FileMissingError
from parlando.train.cosyvoice.flow_examples import FlowSampler
from parlando.train.cosyvoice.predicted_mels import INDEX, PredictedMels, predict_mels
from parlando.train.cosyvoice.vocoder import VocoderTask, VocoderTrainConfig
from parlando.train.cosyvoice.vocoder_examples import PredictedCropSampler


@pytest.fixture(scope="module")
def flow(measured, tokens):  # noqa: F811
    return small_task(measured, tokens).flow


@pytest.fixture(scope="module")
def mels(measured, tokens, flow, tmp_path_factory):  # noqa: F811
    """The mels of the whole corpus."""
    folder = tmp_path_factory.mktemp("made") / "mels"
    predict_mels(FlowSampler(measured, tokens, MIX), flow, folder, hours=1.0)
    return PredictedMels(folder)


def test_each_mel_is_what_the_flow_makes_of_the_codes(measured, tokens, flow, tmp_path):  # noqa: F811
    sampler = FlowSampler(measured, tokens, MIX)
    hours = predict_mels(sampler, flow, tmp_path, hours=1.0, batch=1)
    made = PredictedMels(tmp_path)
    assert 0 < hours < 1
    others = dict(sampler.voices)
    for entry in measured.entries:
        spoken = next(each for each in tokens.utterances if each.id == entry.id and each.speed == 1.0)
        found = made.mel(entry)
        assert found.shape == (PER_TOKEN * spoken.frames, 80)
        mels = []
        for other in sampler.voices[spoken.voice]:  # any of them may have been the prompt
            sampler.voices[spoken.voice] = [other]
            prompt = sampler.prompt(spoken, np.random.default_rng()).first(75, PER_TOKEN)
            mels.append(flow.synthesise([(prompt, tokens.codes(spoken)[0].tolist())])[0].T.numpy())
            sampler.voices[spoken.voice] = others[spoken.voice]
        assert min(np.abs(found - mel).max() for mel in mels) < 0.02


def test_no_more_is_made_than_was_asked_for(measured, tokens, flow, tmp_path):  # noqa: F811
    predict_mels(FlowSampler(measured, tokens, MIX), flow, tmp_path, hours=0.0)
    made = PredictedMels(tmp_path)
    assert sum(entry in made for entry in measured.entries) == 2  # one to train on, and the held-out one


def test_what_was_not_finished_is_no_folder_of_mels(tmp_path):
    (tmp_path / "mels.f16").write_bytes(b"")
    with pytest.raises(FileMissingError, match=INDEX):
        PredictedMels(tmp_path)


def test_a_crop_has_the_mel_of_its_own_frames(measured, mels):  # noqa: F811
    sampler = PredictedCropSampler(measured, CROPS, mels)
    entry = sampler.train[0]
    labels = sampler.describe(entry, 3, 1.0)
    points = sampler.pitch.points
    assert labels.shape == (CROPS.frames, points + PER_TOKEN * 80)
    crop = mels.mel(entry)[PER_TOKEN * 3 : PER_TOKEN * (3 + CROPS.frames)]
    assert (labels[:, points:].reshape(-1, 80) == crop).all()
    assert sampler.batch(0).waves.shape == (2, CROPS.frames * measured.config.frame_samples)


def vocoder(corpus, mels, **changes):
    torch.manual_seed(0)
    config = VocoderTrainConfig(hift=SMALL, crops=CROPS, pitch_crops=2, **changes)
    return VocoderTask(corpus, config, mels=mels)


def test_a_vocoder_hears_both(measured, mels):  # noqa: F811
    task = vocoder(measured, mels, predicted_crops=1)
    crops = task.batch(0).made
    batch = task._predicted_batch(crops)
    frames = PER_TOKEN * CROPS.frames - 2 * MARGIN
    assert batch.mel.shape == (1, 80, frames)
    rows = crops.labels[0, :, task.sampler.pitch.points :].reshape(-1, 80)
    assert torch.equal(batch.mel[0].T, rows[MARGIN:-MARGIN])
    assert batch.hertz.shape == (1, frames)
    torch.manual_seed(3)
    quiet = task._predicted_batch(crops, varied=True)
    softer = (quiet.wave.abs().max() / batch.wave.abs().max()).log()
    assert torch.allclose(quiet.mel - batch.mel, softer.expand_as(batch.mel), atol=1e-4)
    assert "made" in stepper(task).evaluate()
    assert stepper(task).step(0, 0.1)["audio_seconds"] == pytest.approx(2 * frames * 480 / 24000)
    assert vocoder(measured, None).predicted_sampler is None


def test_made_crops_without_mels_or_without_others_are_refused(measured, mels):  # noqa: F811
    with pytest.raises(ConfigError, match="data mels"):
        vocoder(measured, None, predicted_crops=1)
    with pytest.raises(ConfigError, match="less than the 2 crops"):
        vocoder(measured, mels, predicted_crops=2)
    with pytest.raises(ConfigError, match="as long as a crop"):
        PredictedCropSampler(measured, replace(CROPS, frames=5000), mels)
