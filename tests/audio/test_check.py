from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
from sounds import RATE, babble, buzz, noise, silence, tone

from parlando.audio.check import ReferenceLimits, check_reference, clipped_share
from parlando.audio.files import encode_audio, read_audio
from parlando.core.errors import AudioError
from whisper import whisper


def test_a_good_clip_loses_only_the_silence_around_it():
    wave = np.concatenate([silence(1.0), babble([(2.0, 0.4), (2.0, 0.0)]), silence(1.0)])
    checked = check_reference(wave, RATE)
    assert checked.note == ""
    assert checked.clip.sample_rate == RATE
    assert checked.clip.duration_seconds == pytest.approx(4.4, abs=0.2)
    assert checked.speech_seconds == pytest.approx(4.28, abs=0.05)
    assert checked.start_seconds == pytest.approx(0.96, abs=0.03)
    start = round(checked.start_seconds * RATE)
    assert np.array_equal(checked.clip.samples, wave[start : start + len(checked.clip.samples)])


@pytest.mark.parametrize("rate", [1, 100, 3999])
def test_a_rate_that_holds_no_speech_is_refused(rate):
    with pytest.raises(AudioError, match=f"{rate} hertz hold no speech; record it at 4000 or more"):
        check_reference(noise(60.0, rate, 0.1), rate)


def test_stereo_and_integers_are_welcome():
    stereo = np.stack([babble([(2.0, 0.1)])] * 2, axis=1)
    checked = check_reference((stereo * 32767).astype(np.int16), RATE)
    assert checked.clip.samples.ndim == 1


def test_a_long_clip_is_cut_at_a_pause_and_says_so():
    wave = babble([(4.0, 0.5)] * 10)
    checked = check_reference(wave, RATE, "lecture.wav")
    assert 25 < checked.clip.duration_seconds <= 30
    assert checked.end_seconds == pytest.approx(5 * 4.5 + 4.0 + 0.1, abs=0.05)
    assert checked.note.startswith("lecture.wav: only 0.0 s to ")
    assert "transcript must be of that part alone" in checked.note


def test_forty_seconds_without_a_pause_are_cut_hard():
    checked = check_reference(babble([(40.0, 0.0)]), RATE)
    assert checked.clip.duration_seconds == 30.0
    assert checked.speech_seconds == 30.0
    assert checked.note


LIMITS = ReferenceLimits(max_seconds=5.0)
OFFSET = babble([(2.0, 0.2)]) + np.float32(0.2)
CLIPPED = np.clip(babble([(2.0, 0.2)]) * 20, -1, 1)


@pytest.mark.parametrize(
    ("wave", "message"),
    [
        (babble([(0.5, 0.5)]), r"clip: 0\.\d\d s of speech; a voice needs at least 1 s"),
        (babble([(0.1, 0.0)]), r"clip: too short, 0\.1 s; a voice needs at least 1 s of speech, .* record more"),
        (silence(0.1), "clip: too short"),
        (noise(3.0, amplitude=0.1), "clip: no speech found, only steady noise; record one speaker for 5 to 15 s"),
        (noise(6.0), r"clip: 0 minutes long; cut out the best"),
        (silence(2.0), "clip: it is silent; record it again"),
        (noise(2.0, amplitude=0.0002), "clip: it is silent"),
        (CLIPPED, r"clip: \d+\.\d% of the samples are clipped"),
        (OFFSET, r"clip: a constant offset of \+0\.20; remove it"),
        (np.full(RATE, np.nan), "clip: sample 0 is not a number"),
        (np.zeros(0), "clip: it holds no samples"),
    ],
)
def test_each_fault_has_its_own_message(wave, message):
    with pytest.raises(AudioError, match=message):
        check_reference(wave, RATE, "clip", LIMITS)


def test_an_hour_is_refused_by_default():
    with pytest.raises(AudioError, match="60 minutes long"):
        check_reference(np.zeros(3600 * 8000, np.float32), 8000)


def test_clicks_alone_are_no_speech():
    wave = silence(3.0)
    wave[::RATE] = 0.9
    with pytest.raises(AudioError, match=r"0\.00 s of speech"):
        check_reference(wave, RATE)


def test_noise_may_pass_where_no_voice_is_to_be_made_of_it():
    assert (
        check_reference(noise(3.0, amplitude=0.1), RATE, limits=ReferenceLimits(speech_only=False)).speech_seconds > 2
    )


def test_a_wrong_rate_is_refused():
    with pytest.raises(AudioError, match="whole number of hertz"):
        check_reference(buzz(150, 2.0), 0)


def test_clipped_is_what_has_flat_tops_whatever_their_level():
    wave = buzz(150, 2.0, amplitude=0.99)
    assert clipped_share(wave) == 0.0
    assert clipped_share(5 * wave) == 0.0, "floats may go beyond full scale"
    for level in (1.0, 0.3, 3.0):
        clipped = level * (2 * wave).clip(-1, 1)
        assert clipped_share(clipped) == pytest.approx(np.mean(np.abs(2 * wave) >= 1), abs=0.002)
        assert clipped_share(np.rint(clipped * 10_000) / 10_000) > 0.005
    assert clipped_share(np.stack([wave, (2 * wave).clip(-1, 1)], axis=1)) > 0.002
    assert clipped_share(np.zeros(0)) == 0.0


@pytest.mark.parametrize("hertz", [60, 100, 150, 440])
def test_coarse_tones_are_not_clipped(hertz):
    wave = tone(hertz, 2.0, 8000, 1.0)
    for each in (wave, np.rint(wave * 32767) / 32768, np.rint(wave * 90) / 128):
        assert clipped_share(each) == 0.0


def test_flat_tops_that_a_coder_rounded_off_are_found():
    hard = (6 * buzz(150, 2.0)).clip(-1, 1)
    assert clipped_share(read_audio(encode_audio(hard, RATE, "mp3")).samples) > 0.005
    assert clipped_share(read_audio(encode_audio(buzz(150, 2.0, amplitude=0.99), RATE, "mp3")).samples) == 0.0


@pytest.mark.parametrize("peak", [1.0, 1.8, 32_000.0])
def test_a_float_recording_that_is_louder_than_full_scale_serves(peak):
    spoken = whisper(3.0)
    spoken = spoken / np.abs(spoken).max()
    sink = io.BytesIO()
    soundfile.write(sink, peak * spoken, RATE, format="WAV", subtype="FLOAT")
    clip = read_audio(sink.getvalue())
    assert np.abs(clip.samples).max() == pytest.approx(1.0)
    for samples in (clip.samples, peak * spoken):
        used = check_reference(samples, RATE).clip.samples
        assert 0.5 < np.abs(used).max() <= 1.0
