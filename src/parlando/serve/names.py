"""The names clients ask for by habit, of voices and models that are not here, and who answers to them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest

from parlando.core.errors import ConfigError, InputError, nearest
from parlando.core.types import Voice
from parlando.models.registry import FAMILIES

FEMININE = ("alloy", "coral", "nova", "sage", "shimmer", "marin")
MASCULINE = ("ash", "ballad", "echo", "fable", "onyx", "verse", "cedar")
# The recordings that the published Higgs Audio and its server have as voices.
PROMPT_FEMININE = ("belinda", "bigbang_amy", "en_woman", "fiftyshades_anna", "mabel", "shrek_fiona", "zh_woman")
PROMPT_MASCULINE = (
    *("bigbang_sheldon", "broom_salesman", "chadwick", "en_man", "shrek_donkey", "shrek_donkey_es", "shrek_shrek"),
    *("vex", "zh_man_sichuan"),
)
# CosyVoice's seven speakers, by the OpenAI voices that are the same kind of speaker and always answer.
SPEAKERS = {
    **dict.fromkeys(("中文女", "粤语女", "英文女", "韩语女"), "alloy"),
    **dict.fromkeys(("中文男", "英文男", "日语男"), "ash"),
}
OPENAI_MODELS = (
    *("tts-1", "tts-1-hd", "tts-1-1106", "tts-1-hd-1106", "gpt-4o-mini-tts"),
    *("gpt-audio", "gpt-audio-mini", "gpt-4o-audio-preview", "gpt-4o-mini-audio-preview"),
    *("gpt-realtime", "gpt-realtime-mini", "gpt-4o-realtime-preview", "gpt-4o-mini-realtime-preview"),
)

SHE, HE = (re.compile(rf"\b(?:{words})\b", re.I) for words in ("woman|female|feminine|girl", "man|male|masculine|boy"))
ROBOT = re.compile(r"\brobot", re.I)
KINDS = FEMALE, MALE, OTHER, ROBOTIC = range(4)
DATED = re.compile(r"-\d{4}-\d\d-\d\d$")


def fitting_voices(voices: Mapping[str, Voice]) -> dict[str, str]:
    """OpenAI's voices by name, each a local voice that is described as such a woman or man, in turn."""
    return _cast(voices, FEMININE, MASCULINE)


def prompt_voices(voices: Mapping[str, Voice]) -> dict[str, str]:
    """The voices of Higgs' own server by name, each a local one in the same way."""
    return _cast(voices, PROMPT_FEMININE, PROMPT_MASCULINE)


def contrasting(voices: Mapping[str, Voice], first: str) -> list[str]:
    """The voices in an order in which neighbours are easily told apart: women and men in turn, robots last."""
    ordered = [first, *(name for name in voices if name != first)]
    kinds: dict[int, list[str]] = {}
    for name in ordered:
        kinds.setdefault(_kind(voices[name]) if name in voices else 0, []).append(name)
    robots = kinds.pop(ROBOTIC, [])
    mixed = [name for row in zip_longest(*kinds.values()) for name in row if name is not None]
    return [*mixed, *robots]


def _cast(voices: Mapping[str, Voice], feminine: Sequence[str], masculine: Sequence[str]) -> dict[str, str]:
    by_kind = {kind: [name for name, voice in voices.items() if _kind(voice) == kind] for kind in KINDS}
    human = [name for kind in (FEMALE, MALE, OTHER) for name in by_kind[kind]] or [*voices]
    chosen = {}
    for names, kind in ((feminine, FEMALE), (masculine, MALE)):
        fitting = by_kind[kind] or human
        chosen.update({name: fitting[index % len(fitting)] for index, name in enumerate(names) if fitting})
    return chosen


def check_free(name: str, taken: Iterable[str]) -> None:
    """Refuse a name that means somebody already, however its letters are written.

    Raises:
        InputError: it is OpenAI's, Higgs' or CosyVoice's, or one of ``taken``.
    """
    habitual = (*FEMININE, *MASCULINE, *PROMPT_FEMININE, *PROMPT_MASCULINE, *SPEAKERS)
    if _folded(name) in {_folded(each) for each in (*habitual, *taken)}:
        raise InputError(f"'{name}' means a voice of this server already; choose another name")


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()


def _kind(voice: Voice) -> int:
    patterns = {ROBOTIC: ROBOT, FEMALE: SHE, MALE: HE}
    return next((kind for kind, pattern in patterns.items() if pattern.search(voice.description or "")), OTHER)


def model_names(configured: Mapping[str, str], families: Mapping[str, str]) -> dict[str, str]:
    """Local models by the names that clients ask for, given the family of each.

    OpenAI's names mean the first one, those of published models the first of their family, or else the first one.

    Raises:
        ConfigError: the configuration names a model that is not there.
    """
    default = next(iter(families))
    own = {name: name for name in families}
    first = {family: name for name, family in reversed([*families.items()])}
    published = {name: first.get(family, default) for family, known in FAMILIES.items() for name in known.published}
    return {
        **own,
        **dict.fromkeys(OPENAI_MODELS, default),
        **published,
        **checked(configured, families, "models"),
        **own,
    }


def find_model(models: Mapping[str, str], name: str) -> str | None:
    """Who answers to a model's name, which may have its organisation in front, other capitals, or a date behind."""
    if name in models:
        return models[name]
    bare = DATED.sub("", name.rstrip("/").rpartition("/")[2].casefold())
    return next((model for known, model in models.items() if known.casefold() == bare), None)


def is_published(name: str) -> bool:
    """Whether a name is that of a published model, which another one stands for."""
    bare = name.rstrip("/").rpartition("/")[2].casefold()
    return any(bare == known.casefold() for family in FAMILIES.values() for known in family.published)


def checked(configured: Mapping[str, str], known: Iterable[str], where: str) -> dict[str, str]:
    """The configured names, if all of them lead somewhere.

    Raises:
        ConfigError: one does not.
    """
    known = [*known]
    for name, target in configured.items():
        if target not in known:
            hint = nearest(target, known) or f" There are: {', '.join(known)}."
            raise ConfigError(f"serve.{where}.{name}: there is no '{target}'.{hint}")
    return dict(configured)
