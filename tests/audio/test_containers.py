from __future__ import annotations

import io
import struct
import sys

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from sounds import RATE, buzz, noise, silence, tone

from parlando.audio.containers import STREAM_FORMATS, open_encoder, to_pcm, wav_header
from parlando.core.errors import AudioError, ConfigError, EngineClosedError, MissingDependencyError

CHUNK = RATE // 10


def encode(format: str, wave: np.ndarray, rate: int = RATE, chunk: int = CHUNK) -> list[bytes]:
    """The bytes of each feed, and of the close."""
    encoder = open_encoder(format, rate)
    return [*(encoder.feed(wave[start : start + chunk]) for start in range(0, len(wave), chunk)), encoder.close()]


def decode(data: bytes) -> tuple[np.ndarray, int]:
    """Mono samples and rate by PyAV, as a player would see the stream."""
    av = pytest.importorskip("av")
    resampler = av.AudioResampler(format="fltp", layout="mono")
    with av.open(io.BytesIO(data)) as container:
        frames = list(container.decode(audio=0))
    blocks = [block.to_ndarray()[0] for frame in frames for block in resampler.resample(frame)]
    return np.concatenate(blocks), frames[0].sample_rate


@given(st.lists(st.integers(0, 400), min_size=1, max_size=6))
@settings(max_examples=30, deadline=None)
def test_pcm_bytes_do_not_depend_on_the_pieces(sizes):
    wave = noise(sum(sizes) / RATE, amplitude=0.4)
    encoder, data, start = open_encoder("pcm", RATE), b"", 0
    for size in sizes:
        data += encoder.feed(wave[start : start + size])
        start += size
    assert data + encoder.close() == to_pcm(wave).tobytes()


def test_pcm_is_clipped_and_little_endian():
    assert to_pcm(np.array([2.0, -2.0, 0.0, 0.5])).tobytes() == struct.pack("<4h", 32767, -32767, 0, 16384)


def test_wav_stream_starts_with_a_header_of_unknown_length():
    pieces = encode("wav", tone(440, 0.3))
    assert pieces[0][:44] == wav_header(RATE)
    assert pieces[1][:4] != b"RIFF"
    assert pieces[0][:4] == b"RIFF"
    assert struct.unpack("<I", pieces[0][24:28]) == (RATE,)
    assert struct.unpack("<I", pieces[0][40:44]) == (0xFFFFFFFF,)
    assert len(b"".join(pieces)) == 44 + 2 * 7200


def test_wav_stream_is_readable_by_libsndfile():
    wave = tone(440, 0.3)
    samples, rate = soundfile.read(io.BytesIO(b"".join(encode("wav", wave))), dtype="float32")
    assert rate == RATE
    assert np.abs(samples - wave).max() < 1e-4


def test_a_wav_stream_without_samples_is_still_a_header():
    assert open_encoder("wav", RATE).close() == wav_header(RATE)


@pytest.mark.parametrize("format", ["flac", "mp3", "opus", "aac"])
def test_bytes_come_while_the_sound_is_still_being_made(format):
    if format in ("opus", "aac"):
        pytest.importorskip("av")
    pieces = encode(format, buzz(150, 2.0) + noise(2.0))
    total = sum(map(len, pieces))
    assert sum(map(len, pieces[:5])) > 0.1 * total
    assert sum(map(len, pieces[:15])) > 0.55 * total
    assert len(pieces[-1]) < 0.25 * total


def test_opus_bytes_come_with_every_tenth_of_a_second():
    pytest.importorskip("av")
    assert all(encode("opus", buzz(150, 1.0))[:-1])


def test_flac_stream_is_lossless():
    wave = noise(1.0, amplitude=0.1)
    samples, rate = decode(b"".join(encode("flac", wave)))
    assert rate == RATE
    assert len(samples) == len(wave)
    assert np.abs(samples - wave).max() <= 1 / 32768


@pytest.mark.parametrize(
    ("format", "rate", "stored", "most_extra_seconds"),
    [
        ("mp3", 24000, 24000, 0.1),
        ("mp3", 96000, 48000, 0.1),
        ("opus", 24000, 48000, 0.02),
        ("opus", 44100, 48000, 0.02),
        ("aac", 24000, 24000, 0.1),
        ("aac", 22050, 22050, 0.1),
    ],
)
def test_lossy_streams_play_the_tone_at_its_length(format, rate, stored, most_extra_seconds):
    samples, decoded_rate = decode(b"".join(encode(format, tone(1000, 1.0, rate), rate)))
    assert decoded_rate == stored
    assert 1.0 - 0.01 <= len(samples) / decoded_rate <= 1.0 + most_extra_seconds
    middle = samples[decoded_rate // 4 : 3 * decoded_rate // 4]
    assert np.abs(np.fft.rfft(middle)).argmax() * decoded_rate / len(middle) == pytest.approx(1000, abs=4)
    assert np.abs(middle).max() == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("format", STREAM_FORMATS)
def test_closing_without_a_sample_is_no_error(format):
    if format in ("opus", "aac"):
        pytest.importorskip("av")
    assert open_encoder(format, RATE).close() == (wav_header(RATE) if format == "wav" else b"")


@pytest.mark.parametrize("format", STREAM_FORMATS)
def test_an_encoder_that_is_closed_takes_no_more(format):
    if format in ("opus", "aac"):
        pytest.importorskip("av")
    encoder = open_encoder(format, RATE)
    encoder.feed(silence(0.1))
    encoder.close()
    assert encoder.close() == b""
    with pytest.raises(EngineClosedError, match="closed; open another"):
        encoder.feed(silence(0.1))


def test_memory_does_not_grow_with_the_stream():
    encoder = open_encoder("flac", RATE)
    for _ in range(20):
        encoder.feed(noise(0.2, amplitude=0.1))
    assert len(encoder._backend._sink.take()) == 0


def test_an_unknown_format_lists_the_known():
    with pytest.raises(ConfigError, match="there are: wav, pcm, flac, mp3, opus, aac"):
        open_encoder("webm", RATE)


def test_a_wrong_rate_is_refused():
    with pytest.raises(AudioError):
        open_encoder("wav", 0)


def test_without_pyav_opus_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingDependencyError, match=r"av \(for opus streams\).*pip install .*\[serve\]"):
        open_encoder("opus", RATE)
    assert open_encoder("mp3", RATE).close() is not None


@pytest.mark.parametrize(("law", "subtype"), [("ulaw", "ULAW"), ("alaw", "ALAW")])
def test_telephony_is_a_byte_a_sample_at_once_and_plays_the_tone(law, subtype):
    wave = tone(440, 1.0, 8000)
    encoder = open_encoder(law, 8000)
    first = encoder.feed(wave[:160])
    assert len(first) == 160
    data = first + encoder.feed(wave[160:]) + encoder.close()
    played, _ = soundfile.read(io.BytesIO(data), format="RAW", samplerate=8000, channels=1, subtype=subtype)
    np.testing.assert_allclose(played, wave, atol=0.02)


@pytest.mark.parametrize(
    ("format", "rate", "asked"),
    [
        ("mp3", 44100, 128_000),
        ("mp3", 44100, 32_000),
        ("mp3", 22050, 32_000),
        ("opus", 48000, 32_000),
        ("opus", 48000, 128_000),
    ],
)
def test_a_bit_rate_that_is_asked_for_is_kept(format, rate, asked):
    wave = noise(2.0, amplitude=0.2, sample_rate=rate)
    encoder = open_encoder(format, rate, asked)
    data = encoder.feed(wave) + encoder.close()
    # An Ogg page of 20 ms has 28 bytes of its own.
    pages = 50 * 28 * 8 if format == "opus" else 0
    assert len(data) * 8 / 2.0 == pytest.approx(asked + pages, rel=0.1)
