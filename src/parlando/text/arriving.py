"""A text that arrives in pieces, as one stream of words per sentence, for models that speak while they read."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator

from parlando.text.dialogue import without_numbered_names
from parlando.text.homographs import HOMOGRAPHS
from parlando.text.markup import OpenTags
from parlando.text.pieces import ArrivalLimits, checked_pieces
from parlando.text.reading import Reading
from parlando.text.scripts import HAN, KANA
from parlando.text.segment import IncrementalSegmenter
from parlando.text.sentences import blocks_of

# Words whose reading no neighbour changes, the last one excepted, which may belong to a number.
_PLAIN = re.compile(rf"(?:[A-Za-z]+(?:'[a-z]+)?[,;:]? |[{HAN}{KANA}\uac00-\ud7a3]+[，、； ]?)*")
_LAST_PLAIN = re.compile(rf"(?:[A-Za-z']+[,;:]? |[{HAN}{KANA}\uac00-\ud7a3，、； ]{{1,4}})\Z")
_WORD = re.compile(r"[A-Za-z']+")
_MARKS = " \n\t,;:，、；："


class ArrivingSentences:
    """Iterate it for sentences, and each of those for its text, as it is said, piece by piece.

    Of a sentence that is not complete, plain words are handed out at once; from the first number, sign, tag or word on
    that is read other than it is written or in several ways, the rest waits for its end, since only then is it certain
    how it is read. A sentence is read to its end before the next; an error ends everything, whoever met it first.
    """

    def __init__(self, pieces: Iterable[str], reading: Reading, limits: ArrivalLimits | None = None) -> None:
        checked = checked_pieces(pieces, limits)
        self._pieces = checked if reading.as_written else blocks_of(without_numbered_names(checked))
        self._reading = reading
        self._segmenter, self._tags = IncrementalSegmenter(), OpenTags(reading.notation)
        self._complete: deque[str] = deque()
        self._ended = False
        self._failure: Exception | None = None

    def __iter__(self) -> Iterator[Iterator[str]]:
        """Sentences in order.

        Raises:
            TextError: a piece is no string, blank ones or others never end, or a tag is not closed.
            Exception: whatever the source of the pieces raises, as it is.
        """
        while self._has_more():
            words = self._words()
            yield words
            for _ in words:
                """What nobody read."""
            if self._failure is not None:
                raise self._failure
        self._tags.check_closed()

    def _has_more(self) -> bool:
        while not self._complete and not self._segmenter.pending.strip():
            if self._ended:
                return False
            self._pull()
        return True

    def _pull(self) -> None:
        """The next piece, as long as that takes."""
        piece = next(self._pieces, None)
        if piece is None:
            self._ended = True
            self._complete.extend(self._segmenter.flush())
        else:
            self._complete.extend(self._segmenter.feed(piece))

    def _words(self) -> Iterator[str]:
        try:
            yield from self._read()
        except Exception as error:
            # Whoever speaks may take it for a fault of this sentence alone.
            self._failure = error
            raise

    def _read(self) -> Iterator[str]:
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
        yield self._tags.balance(self._rest(sentence, said))

    def _rest(self, sentence: str, said: str) -> str:
        """What is left of a sentence, as it is said; what was cut for its length goes on after a comma."""
        spoken, heard = self._reading.say(sentence), said.rstrip()
        rest = spoken[len(heard) :] if spoken.startswith(heard) else self._alone(sentence[len(said) :])
        if said != heard:
            rest = rest.lstrip(" ")
        if not rest.strip():
            return sentence[len(said) :].strip()
        return self._reading.closed(rest, "," if self._complete or not self._ended else ".")

    def _alone(self, written: str) -> str:
        """How words are read that are better not read with those before them."""
        words = written.lstrip(_MARKS)
        return written[: len(written) - len(words)] + self._reading.say(words)

    def _certain(self) -> str:
        """As much of the sentence to come as is read the same whatever follows, and as it is written."""
        if self._reading.lexicon.entries or self._tags.any_open:
            return ""
        pending = self._segmenter.pending
        blank = " " if pending[-1:].isspace() else ""
        match = _PLAIN.match(" ".join(pending.split()) + blank)
        certain = _before_homograph(_LAST_PLAIN.sub("", match[0])) if match else ""
        return certain if match and self._reading.say(match[0]).startswith(certain.rstrip()) else ""

    def _wide_after(self, said: str, place: int) -> bool:
        return place < len(said) and not said[place].isspace()


def _before_homograph(words: str) -> str:
    """As far as no word's pronunciation depends on what may follow."""
    for word in _WORD.finditer(words):
        if word[0] == "A" or word[0].lower() in HOMOGRAPHS:
            return words[: word.start()]
    return words
