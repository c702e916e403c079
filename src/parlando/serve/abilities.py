"""What a client may want to know of a model before it asks: the languages it speaks, and whether it converts."""

from __future__ import annotations

from typing import Any

from parlando.core.errors import MissingDependencyError, PromptTooLongError, TextError
from parlando.core.types import Voice
from parlando.serve.hosts import Host
from parlando.speech import Synthesizer
from parlando.text.normalize import LANGUAGES
from parlando.text.reading import Reading

GREETINGS = {
    "en": "Hello, how are you?",
    "zh": "你好，你今天好吗？",
    "ja": "こんにちは、お元気ですか。",
    "ko": "안녕하세요, 잘 지내셨어요?",
}


def abilities_of(host: Host) -> dict[str, Any]:
    """A model's name and what it can do; blocks where a language's dictionary has to be loaded."""
    model = host.synthesizer.model
    return {
        "id": host.name,
        "default_voice": model.default_voice,
        "languages": spoken_languages(host.synthesizer),
        "converts": model.converter is not None,
    }


def spoken_languages(synthesizer: Synthesizer) -> list[str]:
    """The languages that can be read out here and whose script the model can say, every word of it."""
    return [language for language in LANGUAGES if _can_say(synthesizer, language)]


def _can_say(synthesizer: Synthesizer, language: str) -> bool:
    try:
        words = Reading(language, notation=synthesizer.model.notation).say(GREETINGS[language])
        return not synthesizer.model.prompts.build(words, Voice("anybody")).unread
    except (TextError, MissingDependencyError, PromptTooLongError):
        return False
