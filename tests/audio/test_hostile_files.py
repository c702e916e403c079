"""What strangers send: the reader opens the named containers only, and nothing but what it was handed."""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from recordings import BY_FFMPEG, BY_LIBSNDFILE, WAVE, by_ffmpeg, by_libsndfile
from sounds import RATE, tone

from exploits import LABORATORY, make_exploits
from parlando.audio import decode
from parlando.audio.files import encode_audio, read_audio
from parlando.audio.sniff import MAGIC, WEBM, sniff
from parlando.core.errors import AudioError

pytest.importorskip("av")
HERE = Path(__file__).resolve().parent
FUZZ_SECONDS = 240


@pytest.fixture(scope="module")
def exploits(tmp_path_factory):
    """All of them, around a recording that would be read if it were opened, and an address that is listened to."""
    secret = tmp_path_factory.mktemp("secret") / "secret.wav"
    secret.write_bytes(encode_audio(WAVE, RATE))
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield make_exploits(secret, server.getsockname()[1])


def test_whatever_is_no_named_container_is_one_clear_error(exploits, monkeypatch):
    assert len(exploits) > 40
    opened = os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd") else []
    for name, data in exploits.items():
        with pytest.raises(AudioError) as caught:
            read_audio(data)
        assert "audio bytes" in str(caught.value), name
        assert len(str(caught.value)) < 300, name
    assert not opened or len(os.listdir("/proc/self/fd")) == len(opened)


def test_laboratories_formats_are_real_recordings_that_libsndfile_would_read(exploits):
    for name in LABORATORY:
        if name != "HTK":
            assert soundfile.info(io.BytesIO(exploits[f"libsndfile's {name}"])).frames > 0


def fuzzed(*counts: int, watched_by: tuple[str, ...] = ()) -> dict:
    script = [sys.executable, str(HERE / "fuzz_reader.py"), *map(str, counts)]
    path = os.pathsep.join([str(HERE), str(HERE.parent), str(HERE.parent.parent / "src")])
    done = subprocess.run(
        [*watched_by, *script],
        capture_output=True,
        text=True,
        timeout=FUZZ_SECONDS,
        env={**os.environ, "PYTHONPATH": path},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_random_and_mutated_files_crash_nothing_and_open_nothing():
    found = fuzzed(2000, 500, 7)
    assert found["read"] + found["refused"] == found["inputs"] > 2540
    assert found["read"] > 50, "mutations that leave a recording readable are among them"
    assert found["events"] == []
    assert found["grown_mib"] < 256


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_nothing_below_python_opens_a_file_or_a_socket_either(tmp_path):
    log = tmp_path / "calls"
    trace = ("strace", "-f", "-qq", "-e", "trace=%file,%network", "-e", "signal=none", "-o", str(log))
    assert fuzzed(200, 300, 8, watched_by=trace)["read"] > 20
    calls = log.read_text().splitlines()
    begin, end = (
        next(number for number, call in enumerate(calls) if f"parlando-fuzz-{word}" in call)
        for word in ("begins", "ends")
    )
    assert calls[begin + 1 : end] == []


@pytest.mark.parametrize("name", [*BY_LIBSNDFILE, *BY_FFMPEG])
def test_every_named_container_is_read(name):
    made = by_libsndfile(WAVE, *BY_LIBSNDFILE[name]) if name in BY_LIBSNDFILE else by_ffmpeg(WAVE, *BY_FFMPEG[name])
    clip = read_audio(made)
    assert clip.duration_seconds == pytest.approx(0.5, abs=0.11)
    assert np.abs(clip.samples).max() == pytest.approx(0.3, abs=0.2 if name == "amr" else 0.08)


def test_a_container_is_known_by_its_own_magic_and_read_by_its_own_demuxer():
    import av

    for container, marks in MAGIC:
        head = bytearray(64)
        for place, mark in marks.items():
            head[place : place + len(mark)] = mark
        assert sniff(io.BytesIO(head)) == (container, 0)
        assert container.demuxer in av.formats_available


@pytest.mark.parametrize("codec", ["aac", "alac"])
def test_a_decoder_that_is_not_named_is_not_used(monkeypatch, codec):
    data = by_ffmpeg(WAVE, "ipod", codec, RATE)
    monkeypatch.setattr(decode, "sniff", lambda stream: (decode.Container("MP4", "mov", ("flac",)), 0))
    with pytest.raises(AudioError, match=f"this MP4 file has sound of the kind {codec}"):
        read_audio(data)


def with_tag(data: bytes, size: int) -> bytes:
    """An ID3 tag with a picture of that size before it."""
    length = bytes(size >> shift & 127 for shift in (21, 14, 7, 0))
    frame = b"APIC" + struct.pack(">I", size - 10) + b"\x00\x00" + b"\x00image/png\x00\x03\x00\x89PNG"
    return b"ID3\x03\x00\x00" + length + frame.ljust(size, b"\xff") + data


@pytest.mark.parametrize("name", ["mp3", "flac"])
def test_a_giant_picture_in_a_tag_is_stepped_over(name):
    data = by_libsndfile(WAVE, *BY_LIBSNDFILE[name])
    tagged = with_tag(data, 4 << 20)
    read = []

    class Counted(io.BytesIO):
        def read(self, size=-1, /):
            read.append(len(found := super().read(size)))
            return found

    clip = read_audio(Counted(tagged), max_seconds=10)
    assert np.array_equal(clip.samples, read_audio(data).samples)
    assert sum(read) < 1 << 20
    with pytest.raises(AudioError, match="cannot be read as audio"):
        read_audio(with_tag(b"", 1000) + b"hello")


def test_more_bytes_than_so_much_audio_needs_are_refused():
    with pytest.raises(AudioError, match="bytes, more than 1 s of audio need; send only the audio"):
        read_audio(encode_audio(WAVE, RATE) + bytes(20 << 20), max_seconds=1)


def test_a_stream_that_was_cut_out_of_another_begins_with_its_first_whole_frame():
    whole = {"mp3": encode_audio(tone(440, 2.0), RATE, "mp3"), "aac": by_ffmpeg(tone(440, 2.0), "adts", "aac", RATE)}
    for data in whole.values():
        assert read_audio(data[700:]).duration_seconds == pytest.approx(1.8, abs=0.25)
        with pytest.raises(AudioError):
            read_audio(data[1:400])


def test_a_few_broken_packets_are_left_out_and_many_are_an_error():
    data = bytearray(by_ffmpeg(tone(440, 2.0), "adts", "aac", RATE))
    data[3000:3100] = bytes(100)
    assert read_audio(bytes(data)).duration_seconds == pytest.approx(2.0, abs=0.3)


def test_chained_ogg_ends_and_keeps_its_bounds():
    link = encode_audio(tone(440, 2.0), RATE, "ogg")
    assert read_audio(link * 3).duration_seconds >= 2.0
    other = encode_audio(tone(440, 2.0, 16_000), 16_000, "ogg")
    assert read_audio(link + other).duration_seconds >= 1.9
    with pytest.raises(AudioError, match="more than the 1 s allowed"):
        read_audio(link * 3, max_seconds=1)


def test_a_film_with_attachments_is_read_for_its_sound():
    import av

    sink = io.BytesIO()
    with av.open(sink, "w", format="matroska") as container:
        stream = container.add_stream("libopus", rate=48_000, layout="mono")
        container.add_attachment("font.ttf", "font/ttf", bytes(100_000))
        container.add_attachment("notes.m3u8", "text/plain", b"#EXTM3U\n/etc/passwd\n")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 24_000), np.int16), format="s16", layout="mono")
        frame.sample_rate = 48_000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    assert read_audio(sink.getvalue()).duration_seconds == pytest.approx(0.5, abs=0.02)


def test_of_a_film_with_many_streams_only_the_first_are_opened():
    import av

    sink = io.BytesIO()
    with av.open(sink, "w", format="matroska") as container:
        streams = [container.add_stream("pcm_s16le", rate=8000, layout="mono") for _ in range(60)]
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        for packet in [packet for stream in streams for packet in stream.encode(frame)]:
            container.mux(packet)
    with av.open(io.BytesIO(sink.getvalue()), format="matroska", options=decode._confinement(WEBM)) as opened:
        assert len(opened.streams) == 32
    assert read_audio(sink.getvalue()).duration_seconds == pytest.approx(0.1)


@pytest.mark.parametrize("channels", [1, 2, 6, 8])
def test_planar_channels_are_read_interleaved(channels):
    import av

    sink = io.BytesIO()
    layout = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}[channels]
    waves = np.stack([tone(200 + 50 * channel, 0.2) for channel in range(channels)], axis=1)
    with av.open(sink, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=RATE, layout=layout)
        frame = av.AudioFrame.from_ndarray(waves.reshape(1, -1), format="flt", layout=layout)
        frame.sample_rate = RATE
        planar = av.AudioResampler(format="fltp").resample(frame)
        for packet in [packet for each in [*planar, None] for packet in stream.encode(each)]:
            container.mux(packet)
    wave, rate = decode.decode(io.BytesIO(sink.getvalue()), decode.Bounds("film"))
    assert (wave.shape[1], rate) == (channels, RATE)
    assert np.abs(wave).max() < 1.1
