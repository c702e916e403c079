"""Training of the vocoder in miniature: what a step reports and moves, what it learns, that it resumes and exports."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from stepping import hand_on, stepper

from parlando.core.errors import ConfigError
from parlando.data.pitch import measure_pitch
from parlando.data.sampler import CropConfig
from parlando.models.cosyvoice.parts.features import flow_mel_config
from parlando.models.cosyvoice.parts.hift import HiFTConfig
from parlando.models.cosyvoice.parts.hift_source import SourceConfig
from parlando.models.cosyvoice.parts.hift_weights import load_hift_folder
from parlando.nn.streaming import Carry
from parlando.train.cosyvoice.vocoder import VocoderTask, VocoderTrainConfig, _crops
from parlando.train.cosyvoice.vocoder_examples import PitchedCropSampler
from parlando.train.loop.optim import OptimConfig

SMALL = HiFTConfig(
    channels=16,
    pitch_channels=8,
    kernels=(3,),
    dilations=((1,),),
    source_kernels=(3, 3, 3),
    source_dilations=((1,), (1,), (1,)),
)
CROPS = CropConfig(batch=2, frames=6, held_out_batch=2, warp_share=0.0)
MARGIN, PER_TOKEN = 2, 2


@pytest.fixture(scope="module")
def measured(packed):
    """The packed corpus with its pitch."""
    with pytest.MonkeyPatch.context() as patch:
        from tiny_corpus import no_processes

        no_processes(patch)
        measure_pitch(packed)
    return packed


def small_task(corpus, **changes):
    torch.manual_seed(0)
    return VocoderTask(corpus, VocoderTrainConfig(hift=SMALL, crops=CROPS, pitch_crops=2, **changes))


def test_a_batch_is_mel_pitch_and_samples_of_the_same_frames(measured):
    task = small_task(measured)
    batch = task._batch(task.batch(0).own)
    frames, hop = PER_TOKEN * CROPS.frames - 2 * MARGIN, flow_mel_config().hop_samples
    assert batch.mel.shape == (2, 80, frames)
    assert batch.hertz.shape == (2, frames)
    assert batch.wave.shape == (2, frames * hop)
    again = task.mel(torch.from_numpy(task.sampler.batch(0).waves))
    assert torch.equal(batch.mel, again[:, :, MARGIN:-MARGIN])
    voiced = batch.hertz[batch.hertz > 0]
    assert len(voiced) > 0
    assert 140 < voiced.min() < voiced.max() < 360  # the corpus is of sines from 150 to 340 Hz


def test_speed_moves_the_pitch(measured):
    sampler = PitchedCropSampler(measured, CROPS)
    entry = sampler.train[0]
    plain, fast = sampler.describe(entry, 0, 1.0), sampler.describe(entry, 0, 1.2)
    assert fast[plain > 0].max() == pytest.approx(1.2 * plain.max(), rel=1e-3)


def test_discriminators_join_in_late(measured):
    task = small_task(measured, optim=OptimConfig(warmup=0.0))
    before = {name: tensor.clone() for name, tensor in task.discriminators.state_dict().items()}
    early = stepper(task).step(0, 0.1)
    assert set(early) == {"loss", "spectral", "pitch", "norm", "audio_seconds", "tokens"}
    assert early["loss"] == pytest.approx(early["spectral"] + early["pitch"], rel=1e-5)
    assert all(torch.equal(tensor, before[name]) for name, tensor in task.discriminators.state_dict().items())
    late = stepper(task).step(1, 0.9)
    assert set(late) == set(early) | {"discriminator", "adversarial", "matching"}
    assert not all(torch.equal(tensor, before[name]) for name, tensor in task.discriminators.state_dict().items())


def test_spectra_and_pitch_are_learnt_by_heart(measured, monkeypatch):
    task = small_task(measured, optim=OptimConfig(rate=1e-2, warmup=0.0))
    crops = task.sampler.batch(0)
    for sampler in (task.sampler, task.pitch_sampler):
        monkeypatch.setattr(sampler, "batch", lambda *which: crops)
    losses = [stepper(task).step(step, step / 60) for step in range(30)]
    assert losses[-1]["spectral"] < 0.7 * losses[0]["spectral"]
    assert losses[-1]["pitch"] < 0.7 * losses[0]["pitch"]


def test_held_out_numbers_say_how_pitch_and_voicing_are_found(measured, monkeypatch):
    task = small_task(measured)
    hertz = task._batch(_crops(task.sampler.held_out())).hertz
    hertz[:, ::4] = 0  # the corpus is of sines alone
    batch = replace(task._batch(_crops(task.sampler.held_out())), hertz=hertz)
    monkeypatch.setattr(task, "_batch", lambda crops: batch)
    voiced = hertz > 0

    def told(found):
        task.hift.f0_predictor.forward = lambda mel, carry: found
        return stepper(task).evaluate()

    right = told(hertz)
    assert set(right) == {"spectral", "pitch_hertz", "pitch_error", "voicing_error"}
    assert right["spectral"] > 0
    assert (right["pitch_hertz"], right["pitch_error"], right["voicing_error"]) == (0, 0, 0)
    higher = told(1.1 * hertz)
    assert higher["pitch_hertz"] == pytest.approx(0.1 * float(hertz.mean()), rel=1e-4)
    assert higher["pitch_error"] == pytest.approx(0.1, rel=1e-4)
    assert higher["voicing_error"] == 0
    silent = told(torch.zeros_like(hertz))
    assert silent["voicing_error"] == pytest.approx(float(voiced.float().mean()))
    assert silent["pitch_hertz"] == pytest.approx(float(hertz.mean()), rel=1e-4)


def test_it_resumes_where_it_was(measured):
    whole, cut = small_task(measured), small_task(measured)
    for task in (whole, cut):
        torch.manual_seed(1)
        stepper(task).step(0, 0.9)
    resumed = small_task(measured)
    hand_on(cut, resumed)
    for task in (whole, resumed):
        torch.manual_seed(2)
        stepper(task).step(1, 0.9)
    for one, other in zip(whole.hift.parameters(), resumed.hift.parameters(), strict=True):
        assert torch.equal(one, other)


def test_an_export_sounds_as_the_training_does_and_starts_another(measured, tmp_path):
    task = small_task(measured)
    task.export(tmp_path)
    loaded = load_hift_folder(tmp_path)
    assert loaded.config == SMALL
    mel, noise = task._batch(task.batch(0).own).mel[:1], loaded.open([3]).noise
    source = task.hift.m_source(task.hift.f0_predictor(mel, Carry()), noise, Carry())
    with torch.no_grad():
        expected = task.hift.filter(mel, source, Carry())
    assert torch.allclose(loaded(mel, noise), expected, atol=1e-5)
    started = small_task(measured, start_from=str(tmp_path))
    for made, given in zip(loaded.ups, started.hift.ups, strict=True):
        assert torch.allclose(made.weight, given.weight, atol=1e-6)


@pytest.mark.parametrize(
    ("hift", "named"),
    [(replace(SMALL, source=SourceConfig(sample_rate=16_000)), "16000"), (SMALL, "must be at least 0")],
)
def test_what_does_not_fit_is_refused(measured, hift, named):
    with pytest.raises(ConfigError, match=named):
        VocoderTask(measured, VocoderTrainConfig(hift=hift, crops=CROPS, margin_frames=0 if named == "16000" else -1))


def test_a_vocoder_that_shapes_its_source_learns_too(measured):
    torch.manual_seed(0)
    shaping = replace(
        SMALL, upsample_rates=(4,), upsample_kernels=(8,), fft_samples=480, hop_samples=120, source_kernels=(),
        source_dilations=(), source=SourceConfig(num_harmonics=0), shapes_source=True,
    )  # fmt: skip
    optim = OptimConfig(rate=5e-3, warmup=0.05)
    task = VocoderTask(measured, VocoderTrainConfig(hift=shaping, crops=CROPS, pitch_crops=2, optim=optim))
    losses = [stepper(task).step(0, step / 40)["spectral"] for step in range(40)]
    assert losses[-1] < 0.8 * losses[0]
