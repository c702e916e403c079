"""A voice for every character: the user's choice, else one that fits, the same in every run."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from parlando.core.errors import ConfigError, VoiceNotFoundError
from parlando.core.folder import whole_file, write_json
from parlando.core.types import Voice
from parlando.text.speakers import Gender, Line

NARRATOR = "narrator"
_DESCRIBED = (
    ("female", re.compile(r"\b(?:woman|female|feminine|girl)\b", re.I)),
    ("male", re.compile(r"\b(?:man|male|masculine|boy)\b", re.I)),
)


def cast_of(
    lines: Sequence[Line],
    genders: Mapping[str, Gender],
    voices: Mapping[str, Voice],
    narrator: str,
    chosen: Mapping[str, str],
) -> dict[str, str]:
    """A voice's name for the narrator and everybody who speaks, whoever speaks most first.

    A voice is taken that is described as a woman's or a man's, as the character is, that nobody has yet if there is
    one; which of several, the character's name decides, so that it stays with them.

    Raises:
        VoiceNotFoundError: a chosen voice is not there.
        ConfigError: somebody was chosen a voice for who does not speak in the book.
    """
    said = Counter({line.speaker: 0 for line in lines if line.speaker is not None})
    for line in lines:
        if line.speaker is not None:
            said[line.speaker] += len(line.text)
    folded = {name.casefold(): name for name in (NARRATOR, *said)}
    cast: dict[str, str] = {}
    for name, voice in chosen.items():
        if name.casefold() not in folded:
            raise ConfigError(f"--cast: nobody is called '{name}' in the book; there are: {', '.join(folded.values())}")
        if voice not in voices:
            raise VoiceNotFoundError(voice, voices)
        cast[folded[name.casefold()]] = voice
    cast.setdefault(NARRATOR, narrator)
    for name in sorted(said, key=lambda each: (-said[each], each)):
        if name not in cast:
            cast[name] = _fitting(name, genders.get(name), voices, list(cast.values()))
    return cast


def _fitting(name: str, gender: Gender | None, voices: Mapping[str, Voice], taken: Sequence[str]) -> str:
    fitting = [each for each, voice in voices.items() if gender is None or _gender(voice) == gender] or [*voices]
    times = Counter(taken)
    least = min(times[each] for each in fitting)
    free = sorted(each for each in fitting if times[each] == least)
    return free[int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % len(free)]


def _gender(voice: Voice) -> str | None:
    return next((gender for gender, words in _DESCRIBED if words.search(voice.description or "")), None)


def read_cast(path: Path) -> dict[str, str]:
    """The cast that an earlier run wrote, or somebody has changed since.

    Raises:
        ConfigError: it is not an object of names.
    """
    if not path.is_file():
        return {}
    try:
        cast = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(
            f"'{path}' is not JSON ({error}); mend it, or delete it to have the voices chosen anew"
        ) from error
    if not isinstance(cast, dict) or not all(isinstance(voice, str) for voice in cast.values()):
        raise ConfigError(f"'{path}' is not a table of characters and voices; mend it, or delete it")
    return cast


def write_cast(path: Path, cast: Mapping[str, str]) -> None:
    """Keep a cast, to be read again and changed by hand."""
    with whole_file(path) as part:
        write_json(part, cast)
