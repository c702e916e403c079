"""Recognisers that hear the same in the same clip, whatever they heard before and wherever they run."""

from __future__ import annotations

from functools import cache

from parlando.core.errors import ConfigError
from parlando.evaluate.judges import registry
from parlando.evaluate.judges.base import Asr
from parlando.evaluate.judges.pocketsphinx import PocketSphinx
from parlando.evaluate.judges.whisper import STEADY, FasterWhisper


@cache
def steady_asr(spec: str) -> Asr:
    """A recogniser by its name, one for all who ask in a process; errors as for `registry.asr`."""
    name, _, argument = spec.partition(":")
    if name == "whisper":
        return FasterWhisper(argument or "base", STEADY)
    return PocketSphinx(steady=True) if spec == "pocketsphinx" else registry.asr(spec)


def language_listener(spec: str) -> FasterWhisper:
    """What tells languages apart: a multilingual Whisper by its name.

    Raises:
        ConfigError: it is not one.
        MissingDependencyError: it is not installed.
    """
    listener = steady_asr(spec)
    if not isinstance(listener, FasterWhisper) or spec.endswith(".en"):
        raise ConfigError(f"'{spec}' does not tell languages apart; name a multilingual Whisper, such as whisper:base")
    return listener
