"""The packaged models tell when their words are said, the same in every chunking, and where there is sound."""

from __future__ import annotations

import numpy as np
import pytest

from parlando.engine.chunking import HopSchedule
from parlando.result import join
from parlando.speech import load

TEXT = "In 1984, the old man paid $3.50 for a well-known book. He left at once, and nobody saw him again."
WORDS = [
    "In", "1984", "the", "old", "man", "paid", "$3.50", "for", "a", "well-known", "book",
    "He", "left", "at", "once", "and", "nobody", "saw", "him", "again",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", ["higgs-mini", "cosyvoice-mini"])
def test_packaged_models_tell_when_their_words_are_said(name):
    with load(name, rows=1) as synthesizer:
        speech = synthesizer.say(TEXT, seed=1)
        chunks = list(synthesizer.stream(TEXT, seed=1, schedule=HopSchedule.fixed(7)))
        arriving = list(synthesizer.stream(iter([TEXT[:30], TEXT[30:]]), seed=1, interleave=False))
    assert [word.text for word in speech.words] == WORDS
    assert [word.source for word in speech.words].count("attention") >= len(WORDS) - 1
    assert join(chunks, text=TEXT).words == speech.words
    assert join(arriving, text=TEXT).words == speech.words
    times = [time for word in speech.words for time in (word.start_seconds, word.end_seconds)]
    assert times == sorted(times)
    assert times[-1] <= speech.duration_seconds + 0.01
    rate = speech.sample_rate
    parts = [speech.samples[int(w.start_seconds * rate) : int(w.end_seconds * rate)] for w in speech.words]
    levels = [float(np.sqrt(np.mean(np.square(part)))) for part in parts]
    # The pause between the sentences is no part of a word.
    end, begin = speech.words[WORDS.index("book")].end_seconds, speech.words[WORDS.index("He")].start_seconds
    pause = speech.samples[int(end * rate) : int(begin * rate)]
    assert begin - end > 0.1
    assert min(levels) > 10 * float(np.sqrt(np.mean(np.square(pause))))


@pytest.mark.slow
def test_words_of_a_text_that_arrives_are_told_with_its_end():
    with load("cosyvoice-mini", rows=1) as synthesizer:
        pieces = ["Some words ", "come one ", "by one, ", "and these are ", "the last of them."]
        chunks = list(synthesizer.stream(iter(pieces), seed=1))
    words = join(chunks, text="".join(pieces)).words
    assert " ".join(word.text for word in words) == "Some words come one by one and these are the last of them"
    assert {word.source for word in words} == {"attention"}
    assert all(not chunk.words for chunk in chunks if chunk.report is None)
