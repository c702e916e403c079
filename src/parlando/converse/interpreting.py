"""Speech in one language, spoken in another in the speaker's own voice, turn by turn while they talk."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from parlando.audio.clip import Clip
from parlando.converse.stages import Recogniser
from parlando.converse.translators import Translator
from parlando.converse.turns import USUAL_TURNS, Stopped, TurnOptions, TurnTaker
from parlando.core.errors import AudioError, InputError
from parlando.core.types import Voice
from parlando.result import Chunk
from parlando.speech import Synthesizer

logger = logging.getLogger(__name__)
ENOUGH_SECONDS = 10.0  # of somebody's speech, to know their voice by


@dataclass(frozen=True)
class Interpreted:
    """One turn: what was said, in which voice it is said again, and the sound of that, while it is made.

    ``translated`` grows while the sound is read.
    """

    heard: str
    voice: str
    translated: list[str]
    chunks: Iterator[Chunk]


class Interpreter:
    """Listens for turns, writes them down, has them translated, and speaks them.

    Without a ``voice``, that is the speaker's own, cloned from what they have said so far, once it is long enough to
    follow. ``languages`` are theirs and the other one.
    """

    def __init__(
        self,
        synthesizer: Synthesizer,
        recogniser: Recogniser,
        translator: Translator,
        languages: tuple[str, str],
        voice: str | Voice | None = None,
    ) -> None:
        self._synthesizer, self._recogniser, self._translator = synthesizer, recogniser, translator
        self._source, self._target = languages
        self._given, self._own = voice, None if isinstance(voice, str) else voice
        self._said: list[Clip] = []
        self._words: list[str] = []

    def turns(
        self, sound: Iterable[np.ndarray], sample_rate: int, options: TurnOptions = USUAL_TURNS, **how: Any
    ) -> Iterator[Interpreted]:
        """Every turn of a sound that arrives in pieces (float32 [n]); ``how`` are options of `Synthesizer.stream`."""
        taker = TurnTaker(sample_rate, options)
        for piece in sound:
            for event in taker.take(piece):
                if isinstance(event, Stopped):
                    yield from self._turn(event.clip, how)
        if taker.speaking:
            yield from self._turn(taker.commit(), how)

    def _turn(self, clip: Clip, how: dict[str, Any]) -> Iterator[Interpreted]:
        words = self._recogniser.hear(clip, self._source).strip()
        if not words:
            logger.warning("%.1f s of sound hold no words, and are left out", clip.duration_seconds)
            return
        voice = self._voice(clip, words)
        translated: list[str] = []
        pieces = _noted(self._translator.translate(words), translated)
        chunks = self._synthesizer.stream(pieces, voice, language=self._target, **how)
        yield Interpreted(words, self._synthesizer.request(voice).voice.name, translated, chunks)

    def _voice(self, clip: Clip, words: str) -> str | Voice | None:
        """The speaker's own voice, as far as it can be told by now; until then the model's."""
        if self._given is not None:
            return self._given
        if sum(each.duration_seconds for each in self._said) < ENOUGH_SECONDS:
            self._said.append(clip)
            self._words.append(words)
            whole = Clip(np.concatenate([each.samples for each in self._said]), clip.sample_rate)
            told = " ".join(self._words) if self._synthesizer.model.needs_transcript else None
            try:
                self._own = self._synthesizer.clone(whole, told, name="speaker")
            except (AudioError, InputError) as error:
                logger.warning("the speaker's own voice cannot be followed yet: %s", error)
        return self._own


def _noted(pieces: Iterator[str], noted: list[str]) -> Iterator[str]:
    for piece in pieces:
        noted.append(piece)
        yield piece
