"""The names clients ask for by habit, OpenAI's voices and models, and who answers to them here."""

from __future__ import annotations

import re
from collections.abc import Mapping

from parlando.core.errors import ConfigError, nearest
from parlando.core.types import Voice

FEMININE = ("alloy", "coral", "nova", "sage", "shimmer", "marin")
MASCULINE = ("ash", "ballad", "echo", "fable", "onyx", "verse", "cedar")
OPENAI_MODELS = (
    "tts-1",
    "tts-1-hd",
    "gpt-4o-mini-tts",
    "gpt-audio",
    "gpt-4o-audio-preview",
    "gpt-4o-mini-audio-preview",
)
SHE, HE = (re.compile(rf"\b(?:{words})\b", re.I) for words in ("woman|female|feminine|girl", "man|male|masculine|boy"))


def fitting_voices(voices: Mapping[str, Voice]) -> dict[str, str]:
    """OpenAI's voices by name, each a local voice that is described as such a woman or man, in turn."""
    chosen = {}
    for names, described in ((FEMININE, SHE), (MASCULINE, HE)):
        fitting = [name for name, voice in voices.items() if described.search(voice.description or "")] or [*voices]
        chosen.update({name: fitting[index % len(fitting)] for index, name in enumerate(names) if fitting})
    return chosen


def model_names(configured: Mapping[str, str], models: Mapping[str, object]) -> dict[str, str]:
    """Local models by the names that clients ask for; OpenAI's mean the first one.

    Raises:
        ConfigError: the configuration names a model that is not there.
    """
    default = next(iter(models))
    own = {name: name for name in models}
    return {**own, **dict.fromkeys(OPENAI_MODELS, default), **checked(configured, models, "models"), **own}


def checked(configured: Mapping[str, str], known: Mapping[str, object], where: str) -> dict[str, str]:
    """The configured names, if all of them lead somewhere.

    Raises:
        ConfigError: one does not.
    """
    for name, target in configured.items():
        if target not in known:
            hint = nearest(target, known) or f" There are: {', '.join(known)}."
            raise ConfigError(f"serve.{where}.{name}: there is no '{target}'.{hint}")
    return dict(configured)
