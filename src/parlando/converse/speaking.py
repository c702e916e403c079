"""The voice of a conversation: a synthesizer that speaks what is written, in a manner, until it has to leave off."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from parlando.converse.conversation import Speak
from parlando.converse.manner import Manner
from parlando.core.types import Voice
from parlando.engine.cancel import Cancellation
from parlando.result import Chunk
from parlando.speech import Synthesizer


def speaker(
    synthesizer: Synthesizer, voice: str | Voice | None, options: dict[str, Any], scenes: bool = False
) -> Speak:
    """Speak with this voice and these options of `Synthesizer.stream`.

    A model that takes no instructions is told a manner's scene, if ``scenes`` says that it was trained to follow one.
    """

    def speak(words: Iterator[str], manner: Manner, cancellation: Cancellation) -> Iterator[Chunk]:
        model, chosen = synthesizer.model, {**options, "cancellation": cancellation}
        chosen["speed"] = options.get("speed", 1.0) * manner.speed
        who = voice
        if model.takes_instructions:
            chosen.setdefault("instruction", manner.instruction)
        elif scenes and manner.scene:
            who = replace(synthesizer.request(voice).voice, scene=manner.scene)
        return synthesizer.stream(words, who, **chosen)

    return speak
