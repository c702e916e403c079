"""The delay pattern against its definition, and the incremental inverse against the offline one."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from parlando.core.types import IGNORED_LABEL
from parlando.models.higgs.parts.delay import Undelay, build_delay, labels

BOS, EOS = 16, 17


def clip(num_codebooks: int, num_frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 16, (num_codebooks, num_frames))


def test_rows_are_bos_ramp_codes_eos_ramp():
    codes = np.array([[1, 2, 3], [4, 5, 6]])
    expected = [[16, 1, 2, 3, 17, 17], [16, 16, 4, 5, 6, 17]]
    assert build_delay(codes, BOS, EOS).tolist() == expected


def test_eight_codebooks_add_nine_frames():
    delayed = build_delay(clip(8, 5), BOS, EOS)
    assert delayed.shape == (8, 14)
    assert delayed.dtype == np.int64
    assert (delayed[:, 0] == BOS).all()
    assert (delayed[7, :8] == BOS).all()
    assert (delayed[:, -1] == EOS).all()


def test_published_example_of_eight_codebooks_and_five_frames():
    c = 3
    delayed = build_delay(np.full((8, 5), c), BOS, EOS).tolist()
    assert delayed[0] == [16, c, c, c, c, c, 17, 17, 17, 17, 17, 17, 17, 17]
    assert delayed[4] == [16, 16, 16, 16, 16, c, c, c, c, c, 17, 17, 17, 17]
    assert delayed[7] == [16, 16, 16, 16, 16, 16, 16, 16, c, c, c, c, c, 17]


def test_labels_run_from_first_code_to_own_eos():
    codes = np.array([[1, 2, 3], [4, 5, 6]])
    no = IGNORED_LABEL
    assert labels(build_delay(codes, BOS, EOS)).tolist() == [[no, 1, 2, 3, 17, no], [no, no, 4, 5, 6, 17]]


@given(st.integers(1, 9), st.integers(0, 20))
def test_labels_hold_every_code_and_one_eos_per_codebook(num_codebooks, num_frames):
    target = labels(build_delay(clip(num_codebooks, num_frames), BOS, EOS))
    assert (target != IGNORED_LABEL).sum() == num_codebooks * (num_frames + 1)
    assert (target == EOS).sum() == num_codebooks
    assert not (target == BOS).any()


@given(st.integers(1, 9), st.integers(0, 20))
def test_undelay_yields_each_frame_as_soon_as_it_is_complete(num_codebooks, num_frames):
    codes = clip(num_codebooks, num_frames)
    undelay = Undelay(num_codebooks, BOS, EOS)
    for index, frame in enumerate(build_delay(codes, BOS, EOS).T):
        whole = undelay.push(frame)
        if num_codebooks <= index < num_frames + num_codebooks:
            assert np.array_equal(whole, codes[:, index - num_codebooks])
        else:
            assert whole is None
    assert undelay.ended


def test_cut_clip_loses_no_complete_frame():
    codes = clip(4, 10)
    delayed = build_delay(codes, BOS, EOS)[:, :9]
    assert np.array_equal(Undelay(4, BOS, EOS).push_all(delayed.T), codes[:, :5])


def test_clip_shorter_than_the_delay_yields_nothing():
    delayed = build_delay(clip(4, 10), BOS, EOS)[:, :3]
    assert Undelay(4, BOS, EOS).push_all(delayed.T).shape == (4, 0)


def test_eos_in_a_later_codebook_ends_the_clip_at_its_own_frame():
    delayed = build_delay(clip(3, 6), BOS, EOS)
    delayed[2, 5] = EOS
    undelay = Undelay(3, BOS, EOS)
    assert undelay.push_all(delayed.T).shape == (3, 2)
    assert undelay.ended


def test_next_bos_frame_opens_a_new_clip_and_frames_before_one_are_ignored():
    first, second = clip(3, 4, 1), clip(3, 2, 2)
    undelay = Undelay(3, BOS, EOS)
    assert undelay.push((1, 2, 3)) is None
    frames = np.concatenate([build_delay(first, BOS, EOS), build_delay(second, BOS, EOS)], axis=1).T
    assert np.array_equal(undelay.push_all(frames), np.concatenate([first, second], axis=1))


def test_bos_drawn_inside_a_clip_becomes_the_last_code():
    delayed = build_delay(clip(2, 3), BOS, EOS)
    delayed[1, 3] = BOS
    assert Undelay(2, BOS, EOS).push_all(delayed.T)[1, 1] == BOS - 1
