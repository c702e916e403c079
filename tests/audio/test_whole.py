"""Finished files say how long they are, and streams of a constant rate let players reckon it."""

from __future__ import annotations

import io
import wave

import numpy as np
import pytest
import soundfile
from sounds import RATE, buzz, noise

from parlando.audio.containers import STREAM_FORMATS, encode_whole, media_type_of, open_encoder, to_pcm
from parlando.core.errors import AudioError, ConfigError

av = pytest.importorskip("av")
SPEECH = buzz(150, 3.79) + noise(3.79)
# One frame of the codec, which is what a container counts by.
FRAME_SAMPLES = {"wav": 0, "flac": 0, "mp3": 576, "opus": 480, "aac": 1024}


@pytest.mark.parametrize("format", FRAME_SAMPLES)
@pytest.mark.parametrize("rate", [24_000, 16_000, 44_100])
def test_every_player_shows_the_length_of_a_finished_file(format, rate):
    samples = SPEECH[: int(3.0 * RATE)]
    data = encode_whole(samples, rate, format)
    seconds, most_extra = len(samples) / rate, FRAME_SAMPLES[format] / min(rate, 24_000)
    with av.open(io.BytesIO(data)) as container:
        told = container.duration / 1e6
        frames = list(container.decode(audio=0))
    decoded = sum(frame.samples for frame in frames) / frames[0].sample_rate
    lengths = [told, decoded]
    if format != "aac":
        found = soundfile.info(io.BytesIO(data))
        lengths.append(found.frames / found.samplerate)
    assert [length for length in lengths if not -1e-3 <= length - seconds <= most_extra + 1e-3] == []


def test_a_finished_wav_has_true_sizes():
    data = encode_whole(SPEECH, RATE, "wav")
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getnframes(), file.getframerate()) == (len(SPEECH), RATE)
    assert int.from_bytes(data[4:8], "little") == len(data) - 8
    assert int.from_bytes(data[40:44], "little") == len(data) - 44


def test_bare_samples_are_the_stream_itself():
    assert encode_whole(SPEECH, RATE, "pcm") == to_pcm(SPEECH).tobytes()
    assert len(encode_whole(SPEECH, RATE, "ulaw")) == len(SPEECH)


@pytest.mark.parametrize("rate", [24_000, 16_000, 44_100, 8000])
def test_players_reckon_the_length_of_an_mp3_stream(rate):
    encoder = open_encoder("mp3", rate)
    data = b"".join([encoder.feed(SPEECH[: rate * 3][start : start + 2400]) for start in range(0, rate * 3, 2400)])
    data += encoder.close()
    seconds = min(len(SPEECH), rate * 3) / rate
    found = soundfile.info(io.BytesIO(data))
    with av.open(io.BytesIO(data)) as container:
        told = container.duration / 1e6
        decoded = sum(frame.samples for frame in container.decode(audio=0)) / rate
    # A coder is some 1100 samples late, and ends with a whole frame.
    late = 3 * (1152 if rate >= 32_000 else 576) / rate + 1105 / rate
    for length in (found.frames / found.samplerate, told, decoded):
        assert seconds <= length <= seconds + late


def test_a_finished_file_of_nothing_is_refused():
    with pytest.raises(AudioError, match="no samples"):
        encode_whole(np.zeros(0, np.float32), RATE, "mp3")
    with pytest.raises(ConfigError):
        encode_whole(SPEECH, RATE, "webm")


def test_aac_is_called_by_its_container():
    assert media_type_of("aac", whole=True) == "audio/mp4"
    assert media_type_of("aac", whole=False) == "audio/aac"
    assert {media_type_of(name, whole=True) for name in STREAM_FORMATS} >= {"audio/wav", "audio/flac", "audio/mpeg"}
