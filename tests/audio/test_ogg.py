"""Ogg files that are equal where their audio is."""

from __future__ import annotations

import numpy as np
import pytest

from parlando.audio.files import encode_audio, read_audio
from parlando.audio.ogg import checksum, steady

WAVE = (0.3 * np.sin(np.arange(24_000) / 9)).astype(np.float32)


def test_the_checksum_is_oggs():
    # The CRC-32/MPEG-2 polynomial without its initial value: of "123456789" it is known as 0x89A1897F.
    assert checksum(b"123456789") == 0x89A1897F
    assert checksum(b"") == 0


def test_the_same_audio_gives_the_same_bytes_and_still_plays():
    one, two = (steady(encode_audio(WAVE, 24_000, "opus")) for _ in range(2))
    assert one == two
    played = read_audio(one, 24_000).samples
    assert len(played) == pytest.approx(len(WAVE), abs=480)
    assert np.corrcoef(played[2000:20_000], WAVE[2000:20_000])[0, 1] > 0.99


def test_what_is_no_whole_ogg_file_is_refused():
    content = encode_audio(WAVE, 24_000, "opus")
    with pytest.raises(ValueError, match="cut off"):
        steady(content[:-1])
    with pytest.raises(ValueError, match="no Ogg page at byte 0"):
        steady(b"RIFF" + content)
