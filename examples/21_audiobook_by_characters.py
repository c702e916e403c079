"""An audiobook from a text: who speaks is told from the story, and everybody has a voice that fits."""

from pathlib import Path

import numpy as np

import parlando
from parlando.audio.files import write_audio
from parlando.audiobook.book import read_book
from parlando.audiobook.cast import NARRATOR, cast_of
from parlando.audiobook.making import script_of
from parlando.text.speakers import genders_of

Path("story.txt").write_text(
    "Chapter 1\n\n“Who is there?” asked Mrs. Hill.\n\n“Only me,” said the fox, and he bowed.\n"
)
book = read_book(Path("story.txt"))
paragraphs = [paragraph for chapter in book.chapters for paragraph in chapter.paragraphs]
lines = [line for chapter in script_of(book) for line in chapter.lines]
with parlando.load() as synthesizer:
    genders = genders_of(paragraphs, {line.speaker for line in lines if line.speaker})
    cast = cast_of(lines, genders, synthesizer.voices, synthesizer.model.default_voice, {})
    print(cast)
    spoken = [synthesizer.say(line.text, cast[line.speaker or NARRATOR], seed=1).samples for line in lines]
    write_audio("story.flac", np.concatenate(spoken), synthesizer.sample_rate)
