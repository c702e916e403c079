"""The names clients ask for by habit, OpenAI's voices and models, and who answers to them here."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

from parlando.core.errors import ConfigError, InputError, nearest
from parlando.core.types import Voice

FEMININE = ("alloy", "coral", "nova", "sage", "shimmer", "marin")
MASCULINE = ("ash", "ballad", "echo", "fable", "onyx", "verse", "cedar")
# CosyVoice's seven speakers, by the OpenAI voices that are the same kind of speaker and always answer.
SPEAKERS = {
    **dict.fromkeys(("中文女", "粤语女", "英文女", "韩语女"), "alloy"),
    **dict.fromkeys(("中文男", "英文男", "日语男"), "ash"),
}
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


def check_free(name: str, taken: Iterable[str]) -> None:
    """Refuse a name that means somebody already, however its letters are written.

    Raises:
        InputError: it is OpenAI's or CosyVoice's, or one of ``taken``.
    """
    if _folded(name) in {_folded(each) for each in (*FEMININE, *MASCULINE, *SPEAKERS, *taken)}:
        raise InputError(f"'{name}' means a voice of this server already; choose another name")


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()


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
