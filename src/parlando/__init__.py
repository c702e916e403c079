"""Text in, speech out, offline: ``parlando.load().say("Hello there.").save("hello.wav")``."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOME = {
    "Chunk": "parlando.result",
    "ParlandoError": "parlando.core.errors",
    "Speech": "parlando.result",
    "Synthesizer": "parlando.speech",
    "Voice": "parlando.core.types",
    "load": "parlando.speech",
    "read_voice": "parlando.core.voicefile",
    "write_voice": "parlando.core.voicefile",
}

__all__ = [
    "Chunk",
    "ParlandoError",
    "Speech",
    "Synthesizer",
    "Voice",
    "load",
    "read_voice",
    "write_voice",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that `import parlando` costs nothing."""
    if name not in _HOME:
        raise AttributeError(f"module 'parlando' has no attribute '{name}'")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
