"""The text front end, as published snippets reach for it: `CosyVoice2.text_frontend.normalize`."""

from __future__ import annotations

from parlando.core.types import Notation
from parlando.text.reading import Reading
from parlando.text.sentences import check_text, spoken_sentences
from parlando.text.user_lexicon import UserLexicon


class TextFrontend:
    """Writes out what is spoken of a text: numbers, dates and the like in words."""

    def __init__(self, notation: Notation) -> None:
        self._reading = Reading("auto", UserLexicon(), notation)

    def normalize(self, text: str) -> str:
        """The text in words, its sentences one after the other; its language is told from itself.

        Raises:
            TextError: it is no text, or has markup that is not closed.
        """
        check_text(text)
        return " ".join(sentence for sentence, _ in spoken_sentences(text, self._reading))
