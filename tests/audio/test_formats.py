from __future__ import annotations

from pathlib import Path

import pytest

from parlando.audio.formats import FILE_FORMATS, FORMATS, container_rate, find_format, format_of
from parlando.core.errors import ConfigError


@pytest.mark.parametrize(
    ("name", "rate", "stored"),
    [
        ("opus", 24000, 24000),
        ("opus", 22050, 24000),
        ("opus", 32000, 48000),
        ("opus", 96000, 48000),
        ("mp3", 96000, 48000),
        ("mp3", 7000, 8000),
        ("wav", 12345, 12345),
        ("ogg", 12345, 12345),
    ],
)
def test_the_stored_rate_loses_as_little_as_possible(name, rate, stored):
    assert container_rate(FORMATS[name], rate) == stored


def test_the_ending_names_the_format_in_any_case():
    assert format_of(Path("a/b.FLAC")).name == "flac"


def test_an_unknown_ending_lists_the_known_and_the_nearest():
    with pytest.raises(ConfigError, match=r"no audio format '\.opuss' here; there are: wav, .*Did you mean 'opus'"):
        format_of(Path("x.opuss"))


def test_no_ending_is_an_error_that_lists_the_formats():
    with pytest.raises(ConfigError, match=r"'speech' has no ending .* \.wav, .*\.opus"):
        format_of(Path("speech"))


def test_stream_only_formats_are_no_files():
    assert "aac" in FORMATS
    assert "aac" not in FILE_FORMATS
    with pytest.raises(ConfigError):
        find_format("aac", FILE_FORMATS)
