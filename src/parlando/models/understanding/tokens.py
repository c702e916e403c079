"""An answer as tokens: tags are one each, what is said is bytes (UTF-8), so that there is one vocabulary for all."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from parlando.text.answer import EMOTION_TAGS, EVENT_TAGS, MOST_SPEAKERS, PLACE_TAGS, SPEAKER_TAGS, TURN_TAGS

BYTES: Final = 256
_GROUPS = (TURN_TAGS, PLACE_TAGS, EVENT_TAGS, EMOTION_TAGS, SPEAKER_TAGS)
_TAGS = tuple(tag for group in _GROUPS for tag in group)
_IDS = {tag: BYTES + place for place, tag in enumerate(_TAGS)}
SPOKEN: Final = BYTES + len(TURN_TAGS)
"""So many symbols, the first ones, are heard one after the other; the rest describes the whole."""
START: Final = BYTES + len(_TAGS)
END: Final = START + 1
VOCABULARY: Final = START + 2
_PIECE = re.compile("|".join(map(re.escape, _TAGS)) + "|(?s:.)")
_TURNS, _PLACES, _EVENTS, _EMOTIONS, _SPEAKERS = (tuple(_IDS[tag] for tag in group) for group in _GROUPS)


def encode(line: str) -> list[int]:
    """The tokens of an answer's line, or of a part of it; without an end."""
    return [token for piece in _PIECE.findall(line) for token in _token(piece)]


def _token(piece: str) -> Iterable[int]:
    return (_IDS[piece],) if piece in _IDS else piece.encode("utf-8", "replace")


def decode(tokens: Iterable[int]) -> str:
    """The line of tokens; bytes that are no text are replaced, START and END say nothing."""
    parts, text = [], bytearray()
    for token in tokens:
        if token < BYTES:
            text.append(token)
        else:
            parts += [text.decode("utf-8", "replace"), _TAGS[token - BYTES] if token < START else ""]
            text.clear()
    return "".join(parts) + text.decode("utf-8", "replace")


def is_tag(token: int) -> bool:
    """Whether a token describes the whole."""
    return SPOKEN <= token < START


def next_in_header(header: Sequence[int]) -> tuple[int, ...]:
    """What may follow in a header: events in their order, speakers up to `MOST_SPEAKERS`.

    The first turn, or the END where nobody speaks, says that it is complete.
    """
    if not header:
        return _PLACES
    speakers = sum(token in _SPEAKERS for token in header)
    if speakers:
        return (*(_SPEAKERS if speakers < MOST_SPEAKERS else ()), _TURNS[0])
    last = header[-1]
    emotions = () if last in _EMOTIONS else _EMOTIONS
    events = () if last in _EMOTIONS else tuple(each for each in _EVENTS if each > last or last in _PLACES)
    return (*events, *emotions, *_SPEAKERS, END)
