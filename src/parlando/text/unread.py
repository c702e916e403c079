"""What to tell a user whose text a model cannot read: the text as given, its language, and what could speak it."""

from __future__ import annotations

import unicodedata

from parlando.core.errors import TextError
from parlando.text.language import detect

_SPOKEN = "FunAudioLLM/CosyVoice2-0.5B or bosonai/higgs-audio-v2-generation-3B-base"
_NAMES = {"zh": "Chinese", "ja": "Japanese", "ko": "Korean"}
_LONGEST_QUOTE = 60


def advice(text: str) -> str:
    """What could speak a text that a model of English cannot read."""
    language = detect(text)
    if language in _NAMES:
        return f"it is {_NAMES[language]}; load a model that speaks it (--model), such as {_SPOKEN}"
    foreign = next((c for c in text if c.isalpha() and not unicodedata.name(c, "LATIN").startswith("LATIN")), "")
    if foreign:
        script = unicodedata.name(foreign).split()[0].capitalize()
        return f"its letters are {script}; load a model that was trained on that language (--model)"
    return "give at least one word in letters or figures"


def quoted(text: str) -> str:
    """The beginning of a text in quotation marks, on one line."""
    line = " ".join(text.split())
    return f"'{line}'" if len(line) <= _LONGEST_QUOTE else f"'{line[:_LONGEST_QUOTE]}...'"


def nothing_read(text: str, model: str) -> TextError:
    """The error for a text of which a model can read no sentence."""
    return TextError(f"model '{model}' finds nothing to pronounce in {quoted(text)}: {advice(text)}")
