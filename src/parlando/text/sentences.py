"""Any text, whole or arriving, as the sentences that are spoken one after the other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from parlando.core.errors import TextError
from parlando.text.blocks import BlockReader, read_blocks
from parlando.text.dialogue import without_names, without_numbered_names
from parlando.text.lists import in_groups
from parlando.text.markup import OpenTags
from parlando.text.pieces import checked_pieces
from parlando.text.reading import Reading
from parlando.text.segment import IncrementalSegmenter, segment
from parlando.text.ssml import is_ssml, ssml_to_text

PARAGRAPH_BREAK = re.compile(r"\n[^\S\n]*\n\s*")


def sentences(text: str | Iterable[str], as_written: bool = False) -> Iterator[tuple[str, bool]]:
    """Sentences as soon as they are certain, each with whether a paragraph ends with it.

    Markdown and the ends of lines are read as `parlando.text.blocks` does, unless the text is taken ``as_written``.

    A very short last sentence joins the one before it, if the text is there as a whole; a whole text may be SSML.

    Raises:
        TextError: it is no text, or a piece of it is none.
        Exception: whatever the source of the pieces raises, as it is.
    """
    check_text(text)
    if isinstance(text, str):
        plain = ssml_to_text(text) if is_ssml(text) else text if as_written else read_blocks(text)
        for paragraph in PARAGRAPH_BREAK.split(plain):
            yield from _last_marked(segment(paragraph))
        return
    segmenter, pending = IncrementalSegmenter(), ""
    pieces = checked_pieces(text)
    for piece in pieces if as_written else blocks_of(pieces):
        *paragraphs, rest = PARAGRAPH_BREAK.split(pending + piece)
        for paragraph in paragraphs:
            yield from _last_marked(segmenter.feed(paragraph) + segmenter.flush())
        # White space is held back, for it may be the first half of a paragraph break.
        pending = rest[len(rest.rstrip()) :]
        yield from ((sentence, False) for sentence in segmenter.feed(rest.rstrip()))
    yield from _last_marked(segmenter.flush())


def blocks_of(pieces: Iterable[str]) -> Iterator[str]:
    """Pieces of a text as pieces of what `BlockReader` makes of it."""
    reader = BlockReader()
    for piece in pieces:
        yield reader.feed(piece)
    yield reader.flush()


def check_text(text: object) -> None:
    """Refuse what is no text.

    Raises:
        TextError: it is neither a str nor an iterable.
    """
    if isinstance(text, bytes | bytearray) or not isinstance(text, str | Iterable):
        raise TextError(f"text is {type(text).__name__}; give a str, or an iterable of str for text that still arrives")


def spoken_sentences(text: str | Iterable[str], reading: Reading) -> Iterator[tuple[str, bool]]:
    """`sentences` as they are read out: written in words, cut again where that made them long, none without a sound."""
    if isinstance(text, str):
        reading.check(text)
        text = text if reading.as_written else without_names(text)
    else:
        check_text(text)
        text = text if reading.as_written else without_numbered_names(checked_pieces(text))
    tags = OpenTags(reading.notation)
    for sentence, ends_paragraph in sentences(text, reading.as_written):
        said = [
            group for part in segment(reading.say(sentence)) for group in in_groups(part, reading.notation.list_items)
        ]
        parts = [tags.balance(part) for part in said]
        for part, last in _last_marked([part for part in parts if reading.has_sound(part)]):
            # What has no mark in the middle of a paragraph was cut for its length, and goes on.
            yield reading.closed(part, "." if ends_paragraph and last else ","), ends_paragraph and last
    tags.check_closed()


def _last_marked(found: Sequence[str]) -> Iterator[tuple[str, bool]]:
    return ((sentence, index == len(found) - 1) for index, sentence in enumerate(found))
