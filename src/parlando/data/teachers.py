"""The synthetic teachers by voice name: which program speaks with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from parlando.core.errors import VoiceNotFoundError
from parlando.data import festival, flite
from parlando.data.flite import Spoken

SpeakAll = Callable[[Sequence[str], str], list[Spoken]]


def _flite_all(texts: Sequence[str], voice: str) -> list[Spoken]:
    return [flite.speak(text, voice) for text in texts]


TEACHERS: dict[str, SpeakAll] = {
    **dict.fromkeys(flite.FLITE_VOICES, _flite_all),
    **dict.fromkeys(festival.FESTIVAL_VOICES, festival.speak_all),
}


def teacher(voice: str) -> SpeakAll:
    """What speaks texts in a voice.

    Raises:
        VoiceNotFoundError: no teacher has that voice.
    """
    if voice not in TEACHERS:
        raise VoiceNotFoundError(voice, TEACHERS)
    return TEACHERS[voice]
