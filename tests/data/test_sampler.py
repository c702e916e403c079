from dataclasses import replace

import numpy as np
import pytest

from parlando.core.errors import ConfigError
from parlando.data.sampler import CropConfig, CropSampler
from parlando.data.shards import PHONES

SMALL = CropConfig(batch=6, frames=8, held_out_batch=5)


@pytest.fixture
def sampler(packed):
    return CropSampler(packed, SMALL)


def test_a_batch_is_a_function_of_its_step(packed, sampler):
    waves, labels, speakers = sampler.batch(3)
    again = CropSampler(packed, SMALL)
    again.batch(9)
    for made, same in zip((waves, labels, speakers), again.batch(3), strict=True):
        assert np.array_equal(made, same)
    assert not np.array_equal(waves, sampler.batch(4)[0])


def test_shapes_and_types(sampler):
    waves, labels, speakers = sampler.batch(0)
    assert (waves.shape, waves.dtype) == ((6, 8 * 960), np.float32)
    assert labels.shape == (6, 8, 2)
    assert speakers.shape == (6,)
    assert set(speakers) <= set(range(len(sampler.speakers)))
    assert np.abs(waves).max() < 1
    assert set(np.unique(labels)) <= {PHONES.index(name) for name in ("pau", "s", "iy")}


def test_training_sees_no_sentence_that_is_kept_back(packed, sampler, monkeypatch):
    seen = []
    original = packed.samples
    monkeypatch.setattr(packed, "samples", lambda entry, *rest: seen.append(entry) or original(entry, *rest))
    for step in range(40):
        sampler.batch(step)
    assert {e.split for e in seen} == {"train"}
    assert len({e.id for e in seen}) == sum(e.split == "train" for e in packed.entries) == 10


def test_held_out_crops_are_of_validation_and_never_change(packed, monkeypatch):
    entries = [replace(e, split="validation") if e.text == packed.entries[0].text else e for e in packed.entries]
    monkeypatch.setattr(packed, "entries", entries)
    sampler = CropSampler(packed, SMALL)
    assert {(e.split, e.text) for e in sampler.validation} == {("validation", entries[0].text)}
    waves, labels, _ = sampler.held_out()
    assert (waves.shape, labels.shape) == ((5, 7_680), (5, 8, 2))
    assert np.array_equal(waves, sampler.held_out()[0])


def test_without_validation_one_training_clip_stands_in(sampler):
    assert sampler.validation == sampler.train[:1]


def test_speakers_come_in_proportion_to_weight_and_length(packed, monkeypatch):
    sampler = CropSampler(packed, CropConfig(batch=400, frames=8, speaker_weights={"slt": 3.0}))
    seen = []
    original = packed.samples
    monkeypatch.setattr(packed, "samples", lambda entry, *rest: seen.append(entry.speaker) or original(entry, *rest))
    sampler.batch(0)
    assert seen.count("slt") == pytest.approx(300, abs=35)


def test_a_warped_crop_moves_pitch_and_labels_together(packed):
    sampler = CropSampler(packed, CropConfig(frames=10, warp_share=1.0, slowest=1.2, fastest=1.2))
    entry = sampler.train[0]
    wave, labels, _ = sampler._crop(entry, np.random.default_rng(0))
    plain, *_ = CropSampler(packed, CropConfig(frames=10, warp_share=0.0))._crop(entry, np.random.default_rng(0))
    peak = [np.abs(np.fft.rfft(w * np.hanning(len(w)), 1 << 16)).argmax() for w in (wave, plain)]
    assert peak[0] / peak[1] == pytest.approx(1.2, abs=0.02)
    assert labels.shape == (10, 2)
    full = packed.labels(entry).flatten()
    starts = range(0, len(full) - 24 + 1, 2)
    fits = [[full[min(int((i + 0.5) * 1.2 + s), len(full) - 1)] for i in range(20)] for s in starts]
    assert labels.flatten().tolist() in fits


def test_a_speaker_has_one_number_in_every_batch(packed, monkeypatch):
    sampler = CropSampler(packed, CropConfig(batch=50, frames=8))
    seen = []
    original = packed.samples
    monkeypatch.setattr(packed, "samples", lambda entry, *rest: seen.append(entry.speaker) or original(entry, *rest))
    numbers = [*sampler.batch(0).speakers, *sampler.held_out().speakers]
    assert [sampler.speakers[n] for n in numbers] == seen


def test_crops_longer_than_every_clip_are_refused(packed):
    with pytest.raises(ConfigError, match="as long as a crop of 500 frames"):
        CropSampler(packed, CropConfig(frames=500))


def of_kinds(packed, monkeypatch, kinds):
    """The corpus with a kind for each of its training utterances."""
    train = [replace(entry, kind=kind) for entry, kind in zip(packed.entries, kinds, strict=True)]
    monkeypatch.setattr(packed, "entries", train)
    return packed


def test_a_kind_is_drawn_as_often_as_its_weight_says(packed, monkeypatch):
    kinds = ["music"] * 1 + ["sound"] * 2 + ["speech"] * (len(packed.entries) - 3)
    of_kinds(packed, monkeypatch, kinds)
    sampler = CropSampler(packed, replace(SMALL, kind_weights={"speech": 2.0, "music": 6.0}))
    shares = np.diff(sampler.cumulative, prepend=0.0)
    for kind, share in {"music": 0.75, "speech": 0.25, "sound": 0.0}.items():
        assert sum(s for s, e in zip(shares, sampler.train, strict=True) if e.kind == kind) == pytest.approx(share)
    by_length = CropSampler(packed, SMALL)
    share = sum(
        s for s, e in zip(np.diff(by_length.cumulative, prepend=0.0), by_length.train, strict=True) if e.kind == "music"
    )
    assert share < 0.2


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"speech": 1.0, "birds": 1.0}, "has no usable 'birds'; of its recordings there are: speech"),
        ({"speech": 0.0}, "at least one kind needs a weight above 0"),
    ],
)
def test_weights_that_nothing_can_be_drawn_by_are_refused(packed, weights, message):
    with pytest.raises(ConfigError, match=message):
        CropSampler(packed, replace(SMALL, kind_weights=weights))
