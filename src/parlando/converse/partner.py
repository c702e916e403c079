"""Who is talked to: ears, feeling, mind and manners of one side of a conversation, without its voice."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from parlando.audio.clip import Clip
from parlando.audio.speechlike import is_speechlike
from parlando.converse.manner import Manner, Manners, read_manners
from parlando.converse.stages import FeelingListener, Message, Recogniser, Reply, TextModel
from parlando.core.errors import ConfigError, ParlandoError, TextModelError

logger = logging.getLogger(__name__)
MOST_MESSAGES = 40
SYSTEM = (
    "You are talking with the user aloud. Answer in one to three short spoken sentences, "
    "without lists, headings, emoji or code."
)


@dataclass(frozen=True)
class Phrases:
    """What is said where something is wrong: nothing was understood, or no answer can be had."""

    unheard: str = "Sorry, I did not catch that."
    trouble: str = "Sorry, something is wrong here, and I cannot answer right now."


@dataclass(frozen=True)
class Understood:
    """What was heard: the words, and how they were felt."""

    words: str
    feeling: str | None = None


@dataclass(frozen=True)
class Partner:
    """One side of a conversation; ``language`` is what is listened for."""

    text_model: TextModel
    recogniser: Recogniser | None = None
    feelings: FeelingListener | None = None
    manners: Manners = field(default_factory=read_manners)
    phrases: Phrases = field(default_factory=Phrases)
    system: str = SYSTEM
    language: str = "en"

    def understand(self, clip: Clip, language: str | None = None) -> Understood:
        """What is said in a clip; no words if nobody speaks in it.

        Raises:
            ConfigError: there is no recogniser.
            ParlandoError: the recogniser failed.
        """
        if self.recogniser is None:
            raise ConfigError("nobody writes down what is said; give a recogniser (--asr, of a server --recogniser)")
        if not is_speechlike(clip.samples, clip.sample_rate):
            return Understood("")
        words = self.recogniser.hear(clip, language or self.language).strip()
        return Understood(words, self._felt(clip) if words else None)

    def manner(self, feeling: str | None) -> Manner:
        """How an answer to that is spoken."""
        return self.manners.answering(feeling)

    def reply(self, history: Sequence[Message], manner: Manner, system: str | None = None) -> Reply:
        """The next message, given the newest of what was said."""
        told = "\n".join(filter(None, (self.system if system is None else system, manner.note)))
        first = [Message("system", told)] if told else []
        return self.text_model.reply([*first, *history[-MOST_MESSAGES:]])

    def spoken(self, reply: Reply, on_trouble: Callable[[ParlandoError], None] = lambda error: None) -> Iterator[str]:
        """The pieces of a reply; one that fails or stays empty ends in words that say so."""
        said = False
        try:
            for piece in reply:
                said = said or any(map(str.isalnum, piece))
                yield piece
            if not said:
                raise TextModelError("the text model wrote nothing")
        except ParlandoError as error:
            logger.warning("a reply failed: %s", error)
            on_trouble(error)
            yield f". {self.phrases.trouble}" if said else self.phrases.trouble

    def _felt(self, clip: Clip) -> str | None:
        """A missing feeling is no reason to leave somebody without an answer."""
        try:
            return None if self.feelings is None else self.feelings.feel(clip).label
        except Exception as error:  # noqa: BLE001  whatever it was, an answer can be given
            logger.warning("how something was said could not be heard: %s", error)
            return None
