"""A text that arrives in pieces, as one stream of words per sentence, for models that speak while they read."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator

from parlando.core.errors import TextError
from parlando.text.reading import Reading
from parlando.text.scripts import HAN, KANA
from parlando.text.segment import IncrementalSegmenter

# Words whose reading no neighbour changes, the last one excepted, which may belong to a number.
_PLAIN = re.compile(rf"(?:[A-Za-z]+(?:'[a-z]+)?[,;:]? |[{HAN}{KANA}\uac00-\ud7a3]+[，、； ]?)*")
_LAST_PLAIN = re.compile(rf"(?:[A-Za-z']+[,;:]? |[{HAN}{KANA}\uac00-\ud7a3，、； ]{{1,4}})\Z")
_MARKS = " \n\t,;:，、；："


class ArrivingSentences:
    """Iterate it for sentences, and each of those for its text, as it is said, piece by piece.

    Of a sentence that is not complete, plain words are handed out at once; from the first number, sign or tag on, the
    rest waits for its end, since only then is it certain how it is read. A sentence is read to its end before the next.
    """

    def __init__(self, pieces: Iterable[str], reading: Reading) -> None:
        self._pieces, self._reading = iter(pieces), reading
        self._segmenter = IncrementalSegmenter()
        self._complete: deque[str] = deque()
        self._ended = False

    def __iter__(self) -> Iterator[Iterator[str]]:
        while self._has_more():
            words = self._words()
            yield words
            for _ in words:
                """What nobody read."""

    def _has_more(self) -> bool:
        while not self._complete and not self._segmenter.pending.strip():
            if self._ended:
                return False
            self._pull()
        return True

    def _pull(self) -> None:
        """The next piece, as long as that takes.

        Raises:
            TextError: it is no string.
            Exception: whatever the source of the pieces raises, as it is.
        """
        piece = next(self._pieces, None)
        if piece is None:
            self._ended = True
            self._complete.extend(self._segmenter.flush())
        elif not isinstance(piece, str):
            raise TextError(f"a piece of text is {type(piece).__name__}; let the iterable yield str")
        else:
            self._complete.extend(self._segmenter.feed(piece))

    def _words(self) -> Iterator[str]:
        said = ""
        while not self._complete:
            certain = self._certain()
            if len(certain) > len(said):
                yield certain[len(said) :]
                said = certain
            self._pull()
        sentence = self._complete.popleft()
        # A sentence that was cut for its length may end before what was handed out.
        while len(sentence) < len(said.rstrip()) and (self._complete or not self._ended):
            while not self._complete and not self._ended:
                self._pull()
            gap = "" if self._wide_after(said, len(sentence)) else " "
            sentence += gap + self._complete.popleft() if self._complete else ""
        yield self._rest(sentence[len(said) :])

    def _rest(self, written: str) -> str:
        """What is left of a sentence, as it is said; what was cut for its length goes on after a comma."""
        words = written.lstrip(_MARKS)
        said = self._reading.say(words)
        if not said:
            return written.strip()
        goes_on = self._complete or not self._ended
        return written[: len(written) - len(words)] + self._reading.closed(said, "," if goes_on else ".")

    def _certain(self) -> str:
        """As much of the sentence to come as is read the same whatever follows."""
        if self._reading.lexicon.entries:
            return ""
        pending = self._segmenter.pending
        blank = " " if pending[-1:].isspace() else ""
        match = _PLAIN.match(" ".join(pending.split()) + blank)
        return _LAST_PLAIN.sub("", match[0]) if match else ""

    def _wide_after(self, said: str, place: int) -> bool:
        return place < len(said) and not said[place].isspace()
