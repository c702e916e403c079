from __future__ import annotations

import io
import os
import sys

import numpy as np
import pytest
import soundfile
from sounds import RATE, noise, tone

from parlando.audio import files
from parlando.audio.containers import open_encoder
from parlando.audio.files import encode_audio, read_audio, read_channels, write_audio
from parlando.core.errors import AudioError, ConfigError, FileMissingError

# quantisation for exact formats; coded sound is compared after removing the coder's delay
TOLERANCE = {"wav": 1 / 32768, "wav-float": 0.0, "flac": 1 / 32768}


@pytest.mark.parametrize("format", ["wav", "wav-float", "flac"])
def test_lossless_formats_come_back_to_the_last_bit(tmp_path, format):
    path, wave = tmp_path / "a.bin", noise(0.4, amplitude=0.1)
    write_audio(path, wave, RATE, format)
    clip = read_audio(path)
    assert clip.sample_rate == RATE
    assert clip.samples.dtype == np.float32
    assert clip.samples.shape == wave.shape
    assert np.abs(clip.samples - wave).max() <= TOLERANCE[format]


@pytest.mark.parametrize("ending", ["mp3", "opus", "ogg"])
def test_lossy_formats_keep_length_and_pitch(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    write_audio(path, tone(440, 1.0), RATE)
    clip = read_audio(path)
    assert clip.sample_rate == RATE
    assert abs(len(clip.samples) - RATE) <= 1
    spectrum = np.abs(np.fft.rfft(clip.samples[2000:22000]))
    assert abs(spectrum.argmax() * RATE / 20000 - 440) < 2
    assert np.abs(clip.samples[2000:22000]).max() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(("rate", "stored"), [(22050, 24000), (44100, 48000)])
def test_opus_takes_the_next_rate_it_can_hold(tmp_path, rate, stored):
    write_audio(tmp_path / "a.opus", tone(440, 0.5, rate), rate)
    clip = read_audio(tmp_path / "a.opus")
    assert clip.sample_rate == stored
    assert clip.duration_seconds == pytest.approx(0.5, abs=0.001)


def test_minutes_of_vorbis_are_written_in_pieces(tmp_path):
    wave = noise(100, amplitude=0.05)
    write_audio(tmp_path / "a.ogg", wave, RATE)
    assert len(read_audio(tmp_path / "a.ogg").samples) == len(wave)


def test_reading_mixes_stereo_and_resamples(tmp_path):
    stereo = np.stack([tone(500, 0.5, 48000), tone(500, 0.5, 48000, 0.1)], axis=1)
    soundfile.write(tmp_path / "s.wav", stereo, 48000, subtype="FLOAT")
    clip = read_audio(tmp_path / "s.wav", sample_rate=16000)
    assert clip.sample_rate == 16000
    assert np.abs(clip.samples - tone(500, 0.5, 16000, 0.3))[100:-100].max() < 1e-3
    assert read_channels(tmp_path / "s.wav")[0].shape == (24000, 2)


@pytest.mark.parametrize("kind", ["path", "text", "bytes", "bytearray", "file"])
def test_every_kind_of_source_gives_the_same_clip(tmp_path, kind):
    path, wave = tmp_path / "a.wav", tone(300, 0.1)
    write_audio(path, wave, RATE)
    data = path.read_bytes()
    sources = {"path": path, "text": str(path), "bytes": data, "bytearray": bytearray(data), "file": io.BytesIO(data)}
    assert np.abs(read_audio(sources[kind]).samples - wave).max() < 1e-4


def test_an_open_file_of_the_caller_stays_open():
    file = io.BytesIO(encode_audio(tone(300, 0.1), RATE))
    read_audio(file)
    assert not file.closed


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileMissingError, match=r"no audio file at '.*nobody\.wav'; check the path"):
        read_audio(tmp_path / "nobody.wav")


@pytest.mark.parametrize("content", [b"", b"hello", b"RIFF\x00\x00\x00\x00WAVE", b"\x00" * 5000])
def test_what_is_not_audio_says_what_to_do(tmp_path, content):
    path = tmp_path / "bad.wav"
    path.write_bytes(content)
    for source, name in ((path, r"bad\.wav"), (content, "audio bytes"), (io.BytesIO(content), "audio file")):
        with pytest.raises(AudioError, match=rf"{name}.* cannot be read as audio \(.*\); convert it to wav or flac"):
            read_audio(source)


def test_without_pyav_the_error_is_the_same(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(AudioError, match="cannot be read as audio"):
        read_audio(b"hello")


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(AudioError, match="is a folder; name an audio file in it"):
        read_audio(tmp_path)


@pytest.mark.parametrize("source", [3, None, [1, 2], np.zeros(5)])
def test_a_source_of_the_wrong_type_is_named(source):
    with pytest.raises(AudioError, match=f"expected a path, bytes or an open binary file, got {type(source).__name__}"):
        read_audio(source)


def test_a_file_opened_as_text_is_refused():
    with pytest.raises(AudioError, match="open it with mode 'rb'"):
        read_audio(io.StringIO("hello"))


@pytest.mark.parametrize("beginning", [b"ID3", b"fLaC", b"OggS", b"\xff\xfb"])
def test_a_broken_file_of_a_known_kind_is_refused(beginning):
    with pytest.raises(AudioError, match="audio bytes"):
        read_audio(beginning + bytes(3000))


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    write_audio(path, tone(300, 0.1), RATE)

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "open", refuse)
    with pytest.raises(
        AudioError, match=r"a\.wav' cannot be read: Permission denied; check its name and its permissions"
    ):
        read_audio(path)


def test_a_file_without_samples_is_refused(tmp_path):
    soundfile.write(tmp_path / "e.wav", np.zeros(0), RATE)
    with pytest.raises(AudioError, match=r"e\.wav.*holds no samples"):
        read_audio(tmp_path / "e.wav")


def finely(seconds, channels, sample_rate, container="FLAC"):
    """A small file of much silence."""
    sink = io.BytesIO()
    soundfile.write(sink, np.zeros((round(seconds * sample_rate), channels), np.float32), sample_rate, format=container)
    return sink.getvalue()


@pytest.mark.parametrize(("seconds", "channels", "rate"), [(9, 8, 192_000), (9.5, 1, 192_000), (9.5, 3, 48_000)])
def test_more_samples_than_a_recording_needs_are_refused_before_they_are_read(monkeypatch, seconds, channels, rate):
    data = finely(seconds, channels, rate)
    monkeypatch.setattr(soundfile.SoundFile, "read", None)
    with pytest.raises(AudioError, match=f"{channels} channels at {rate} hertz, too many samples .* make it mono"):
        read_audio(data, max_seconds=10)


@pytest.mark.parametrize(("seconds", "channels", "rate"), [(9.5, 2, 48_000), (4.5, 1, 192_000), (3, 6, 48_000)])
def test_what_studios_record_is_read(seconds, channels, rate):
    assert read_audio(finely(seconds, channels, rate), max_seconds=10).duration_seconds == pytest.approx(seconds)


def test_more_channels_than_anybody_mixes_are_refused(monkeypatch):
    data = finely(0.1, 9, RATE, "WAV")
    monkeypatch.setattr(soundfile.SoundFile, "read", None)
    with pytest.raises(AudioError, match="9 channels, more than the 8 allowed; mix it down"):
        read_audio(data)


@pytest.fixture
def only_pyav(monkeypatch):
    """Whatever is read is nothing that libsndfile knows."""
    pytest.importorskip("av")

    def unreadable(*_, **__):
        raise ValueError("not mine")

    return lambda: monkeypatch.setattr(soundfile, "SoundFile", unreadable)


def test_samples_are_counted_where_the_head_does_not_tell_how_many(only_pyav):
    data = finely(2.0, 8, 96_000)
    only_pyav()
    with pytest.raises(AudioError, match="too many samples"):
        read_audio(data, max_seconds=10)


@pytest.mark.parametrize("channels", [1, 2, 8])
def test_channels_come_through_pyav_as_they_are(only_pyav, channels):
    sink, wave = io.BytesIO(), np.stack([noise(0.5, RATE, 0.1, seed) for seed in range(channels)], axis=1)
    soundfile.write(sink, wave, RATE, format="FLAC")
    only_pyav()
    read, rate = read_channels(sink.getvalue())
    assert (read.shape, rate) == (wave.shape, RATE)
    assert np.abs(read - wave).max() <= 1 / 32768


def test_a_container_without_samples_is_refused():
    av = pytest.importorskip("av")
    sink = io.BytesIO()
    with av.open(sink, "w", format="mp4") as container:
        container.add_stream("aac", rate=RATE, layout="mono")
        container.start_encoding()
    with pytest.raises(AudioError, match="audio bytes"):
        read_audio(sink.getvalue())


def test_nan_in_a_float_file_is_refused(tmp_path):
    soundfile.write(tmp_path / "n.wav", np.array([0.0, np.nan, 0.0]), RATE, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"n\.wav'?: sample 1 is not a number"):
        read_audio(tmp_path / "n.wav")


def test_a_file_that_is_too_long_is_refused_by_its_header(tmp_path):
    write_audio(tmp_path / "long.wav", tone(100, 3.0, 8000), 8000)
    with pytest.raises(AudioError, match="is 3 s long, more than the 2 s allowed; cut it shorter"):
        read_audio(tmp_path / "long.wav", max_seconds=2.0)


@pytest.mark.parametrize("name", ["aac", "flac"])
def test_streams_and_formats_that_libsndfile_cannot_read_come_through_pyav(name):
    pytest.importorskip("av")
    encoder = open_encoder(name, RATE)
    data = encoder.feed(tone(440, 1.0)) + encoder.close()
    clip = read_audio(data)
    assert clip.sample_rate == RATE
    assert clip.duration_seconds == pytest.approx(1.0, abs=0.1)
    assert np.abs(clip.samples[4000:20000]).max() == pytest.approx(0.5, abs=0.05)
    with pytest.raises(AudioError, match="cut it shorter"):
        read_audio(data, max_seconds=0.5)


def test_samples_beyond_full_scale_are_clipped_not_wrapped():
    clip = read_audio(encode_audio(np.array([2.0, -2.0, 0.5]), RATE))
    assert clip.samples == pytest.approx([1.0, -1.0, 0.5], abs=1e-4)


@pytest.mark.parametrize("samples", [np.zeros(0), np.array([np.nan])])
def test_nothing_is_written_for_bad_samples(tmp_path, samples):
    with pytest.raises(AudioError):
        write_audio(tmp_path / "a.wav", samples, RATE)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_half_way_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    write_audio(path, tone(300, 0.1), RATE)
    before = path.read_bytes()

    def fail(sink, *_):
        sink.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "_encode", fail)
    with pytest.raises(AudioError, match=r"a\.wav' cannot be written: No space left on device"):
        write_audio(path, tone(400, 0.1), RATE)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.wav"]


def test_writing_needs_a_folder_and_a_known_ending(tmp_path):
    with pytest.raises(FileMissingError, match="no folder at"):
        write_audio(tmp_path / "no" / "a.wav", tone(300, 0.1), RATE)
    with pytest.raises(ConfigError, match="there are: wav, wav-float, flac, mp3, opus, ogg"):
        write_audio(tmp_path / "a.xyz", tone(300, 0.1), RATE)
    (tmp_path / "folder.wav").mkdir()
    with pytest.raises(AudioError, match="is a folder; name a file in it"):
        write_audio(tmp_path / "folder.wav", tone(300, 0.1), RATE)


def test_others_can_read_what_was_written(tmp_path):
    write_audio(tmp_path / "a.wav", tone(300, 0.1), RATE)
    assert (tmp_path / "a.wav").stat().st_mode & 0o777 == 0o644


def test_what_is_open_already_keeps_what_stands_in_it(tmp_path):
    path, wave = tmp_path / "log.bin", tone(300, 0.1)
    with path.open("wb") as file:
        file.write(b"before")
        file.flush()
        (tmp_path / "link.wav").symlink_to(f"/dev/fd/{file.fileno()}")
        write_audio(f"/dev/fd/{file.fileno()}", wave, RATE, "wav")
        write_audio(tmp_path / "link.wav", wave, RATE)
        file.write(b"after")
    data = encode_audio(wave, RATE)
    assert path.read_bytes() == b"before" + data + data + b"after"
    assert (tmp_path / "link.wav").is_symlink()


def test_a_descriptor_that_is_not_open_is_named():
    with pytest.raises(AudioError, match="'/dev/fd/987' cannot be written: Bad file descriptor"):
        write_audio("/dev/fd/987", tone(300, 0.1), RATE, "wav")


def test_a_pipe_cannot_be_read_twice(tmp_path):
    reading, writing = os.pipe()
    os.write(writing, encode_audio(tone(300, 0.01), RATE))
    os.close(writing)
    os.mkfifo(tmp_path / "pipe")
    with os.fdopen(reading, "rb") as pipe, pytest.raises(AudioError, match="audio file cannot be read: .*pass the byt"):
        read_audio(pipe)
    with pytest.raises(AudioError, match="pipe' is a pipe or a device; .* save them as a file"):
        read_audio(tmp_path / "pipe")


def test_a_file_without_seeking_is_refused():
    class OneWay(io.BytesIO):
        def seek(self, *_):
            raise io.UnsupportedOperation("underlying stream is not seekable")

    with pytest.raises(
        AudioError, match="audio file cannot be read: underlying stream is not seekable; it is read more"
    ):
        read_audio(OneWay(encode_audio(tone(300, 0.01), RATE)))


def test_names_that_are_too_long_are_named():
    with pytest.raises(AudioError, match="cannot be read: File name too long; check its name"):
        read_audio("x" * 5000)
    with pytest.raises(AudioError, match="cannot be written: File name too long; choose another"):
        write_audio("x" * 5000 + ".wav", tone(300, 0.1), RATE)


@pytest.mark.parametrize("claimed", [2**31 - 1, 768_001])
def test_a_rate_beyond_any_converter_is_refused(claimed):
    data = bytearray(encode_audio(tone(300, 0.1), RATE))
    data[24:28] = claimed.to_bytes(4, "little")
    with pytest.raises(AudioError, match=f"claims {claimed} hertz, more than the 768000 allowed"):
        read_audio(data, RATE)


def test_what_is_too_short_for_the_wanted_rate_is_refused():
    with pytest.raises(AudioError, match="audio bytes: it holds no samples"):
        read_audio(encode_audio(np.full(2, 0.1), 48_000), 8)
