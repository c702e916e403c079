"""Decoding: rates, channels and lengths become one; what cannot be is lost with the right reason, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from parlando.annotate.rows import Row
from parlando.annotate.scan import scan
from parlando.annotate.step import apply
from parlando.annotate.steps.decode import Decode
from parlando.annotate.steps.sealed import entropy_bits
from parlando.annotate.workspace import Workspace
from parlando.audio import decode

TONE = (0.3 * np.sin(2 * np.pi * 300 * np.arange(16_000) / 8_000)).astype(np.float32)


@pytest.fixture
def work(tmp_path):
    (tmp_path / "raw").mkdir()
    return Workspace(tmp_path / "raw", tmp_path / "out")


def decoded(work, step=None) -> list[Row]:
    return [row for each in scan(work.raw) for row in apply(step or Decode(16_000), each, work)]


def why(rows):
    return {row.source: row.rejected.reason for row in rows if row.rejected}


def test_eight_kilohertz_and_six_channels_become_mono_at_one_rate(work):
    soundfile.write(work.raw / "a.wav", np.stack([TONE] * 6, axis=1), 8_000)
    (row,) = decoded(work)
    clip = work.read(row.facts["audio"])
    assert (clip.sample_rate, len(clip.samples)) == (16_000, 32_000)
    assert row.seconds == 2.0
    assert (row.facts["recorded_rate"], row.facts["channels"]) == (8_000, 6)
    assert row.facts["level_dbfs"] == pytest.approx(20 * np.log10(0.3 / np.sqrt(2)), abs=0.1)
    assert np.abs(clip.samples).max() == pytest.approx(0.3, abs=0.01)


def test_channels_that_cancel_each_other_are_not_mixed(work):
    soundfile.write(work.raw / "a.wav", np.stack([TONE, -TONE], axis=1), 8_000)
    (row,) = decoded(work)
    assert np.abs(work.read(row.facts["audio"]).samples).max() == pytest.approx(0.3, abs=0.01)


def test_a_part_is_read_by_its_times(work):
    soundfile.write(work.raw / "a.wav", np.concatenate([TONE, 0 * TONE]), 8_000)
    (row,) = decoded(work)
    name = row.facts["audio"]
    assert len(work.read(name, 0.5, 0.75).samples) == 4_000
    assert len(work.read(name, -1.0, 0.25).samples) == 4_000
    assert len(work.read(name, 3.9, 9.0).samples) == 1_600
    assert [start for start, _ in work.windows(name, 1.5)] == [0.0, 1.5, 3.0]


def test_every_damage_has_its_reason(work):
    soundfile.write(work.raw / "good.flac", TONE, 8_000)
    whole = (work.raw / "good.flac").read_bytes()
    noise = np.random.default_rng(0).bytes(20_000)
    files = {
        "empty.wav": b"",
        "text.mp3": b"no recording at all. " * 40,
        "noise.wav": noise,
        "salted.flac": b"Salted__" + noise[:100],
        "letter.gpg": b"-----BEGIN PGP MESSAGE-----\n",
        "shop.m4a": b"\x00\x00\x00\x20ftypM4A " + bytes(40) + b"stsd\x00\x00\x00\x00drms" + bytes(400),
        "cut.flac": whole[:60],
        "broken.flac": whole[: len(whole) // 2] + noise[:3000],
        "head.wav": b"RIFF\x24\x00\x00\x00WAVEfmt ",
    }
    for name, content in files.items():
        (work.raw / name).write_bytes(content)
    soundfile.write(work.raw / "silent.wav", np.zeros(8_000), 8_000)
    soundfile.write(work.raw / "nothing.wav", np.zeros(0), 8_000)
    rows = decoded(work)
    assert why(rows) == {
        "empty.wav": "empty",
        "text.mp3": "not audio",
        "noise.wav": "encrypted",
        "salted.flac": "encrypted",
        "letter.gpg": "encrypted",
        "shop.m4a": "encrypted",
        "cut.flac": "damaged",
        "broken.flac": "damaged",
        "head.wav": "damaged",
        "silent.wav": "silent",
        "nothing.wav": "empty",
    }
    assert str(work.raw) not in "".join(row.rejected.detail for row in rows if row.rejected)
    assert [row.source for row in rows if not row.rejected] == ["good.flac"]
    assert len(list((work.out).rglob("*.flac"))) == 1


def test_a_long_recording_is_never_held_whole(work, monkeypatch):
    monkeypatch.setattr(decode, "BLOCK_FRAMES", 1_000)
    seen = []
    plain = np.concatenate
    monkeypatch.setattr(
        np, "concatenate", lambda parts, *a, **k: seen.append(sum(map(len, parts))) or plain(parts, *a, **k)
    )
    soundfile.write(work.raw / "a.wav", np.tile(TONE, 4), 8_000)
    (row,) = decoded(work, Decode(8_000))
    assert row.seconds == 8.0
    assert max(seen, default=0) <= 1_100
    monkeypatch.undo()
    assert np.allclose(work.read(row.facts["audio"]).samples, np.tile(TONE, 4), atol=1e-4)


def test_longer_than_the_bound_is_too_long(work):
    soundfile.write(work.raw / "a.wav", TONE, 8_000)
    assert why(decoded(work, Decode(16_000, longest_hours=1 / 3600))) == {"a.wav": "too long"}


def test_entropy_is_in_bits_of_a_byte():
    assert entropy_bits(bytes(100)) == 0.0
    assert entropy_bits(bytes(range(256)) * 4) == pytest.approx(8.0)
