"""Who listens to a person that waits for an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parlando.converse.stages import Recogniser

QUICK = "quick"
HEARING = f"Who hears: {QUICK} (Whisper base, in a hurry) or {QUICK}:MODEL, a judge's name (parlando judges), or a URL."


def recogniser_of(spec: str) -> Recogniser:
    """``quick``, ``quick:tiny.en`` or another Whisper that listens no longer than it must, or a judge by its name.

    Raises:
        ConfigError: there is no such recogniser.
        MissingDependencyError: it is not installed.
    """
    from parlando.converse.whisper import QuickWhisper
    from parlando.evaluate.judges.install import INSTALL_JUDGES, installed_whisper
    from parlando.evaluate.judges.registry import asr
    from parlando.evaluate.optional import require

    kind, _, model = spec.partition(":")
    if kind != QUICK:
        return asr(spec)
    require("faster_whisper", INSTALL_JUDGES)
    return QuickWhisper(str(installed_whisper(model or "base") or model or "base"))
