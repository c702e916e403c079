"""The teachers by name, and by the voices that only one of them has."""

from __future__ import annotations

from collections.abc import Mapping

from parlando.core.errors import ConfigError, VoiceNotFoundError, nearest
from parlando.data.teachers.festival import Festival
from parlando.data.teachers.flite import Flite
from parlando.data.teachers.kokoro import Kokoro
from parlando.data.teachers.protocol import Teacher

TEACHERS: Mapping[str, Teacher] = {each.name: each for each in (Flite(), Festival(), Kokoro())}
_BY_VOICE = ("flite", "festival")


def find_teacher(name: str) -> Teacher:
    """A teacher by its name.

    Raises:
        ConfigError: there is none of that name.
    """
    if name not in TEACHERS:
        raise ConfigError(f"no teacher named '{name}'; there are: {', '.join(TEACHERS)}.{nearest(name, TEACHERS)}")
    return TEACHERS[name]


def teacher_of(voice: str) -> Teacher:
    """The teacher that has a voice, where a voice alone is named.

    Raises:
        VoiceNotFoundError: none has it.
    """
    for name in _BY_VOICE:
        if voice in TEACHERS[name].voices:
            return TEACHERS[name]
    raise VoiceNotFoundError(voice, [each for name in _BY_VOICE for each in TEACHERS[name].voices])
