"""Times of characters in ElevenLabs' words: they add up, and words lie where they are heard."""

from __future__ import annotations

import numpy as np

from parlando.core.types import SentenceReport, SpokenWord
from parlando.result import Chunk
from parlando.serve.alignment import LiveAlignment, as_json
from parlando.text.alignment import spread
from parlando.text.reading import Reading

REPORT = SentenceReport("", 25, 1, "end", 0)


def test_characters_share_the_time():
    assert as_json([spread("abcd", 1.0, 2.0)]) == {
        "characters": ["a", "b", "c", "d"],
        "character_start_times_seconds": [1.0, 1.25, 1.5, 1.75],
        "character_end_times_seconds": [1.25, 1.5, 1.75, 2.0],
    }


def test_a_text_that_is_still_written_is_followed_and_times_add_up():
    live, told = LiveAlignment(Reading("en")), []
    for piece in ("It cost ", "$3. It", " will not"):
        live.write(piece)
    silence = np.zeros(100, np.float32)
    chunks = [
        Chunk(np.zeros(500, np.float32), 1000, 0, "It cost three dollars."),
        Chunk(np.zeros(500, np.float32), 1000, 0, "It cost three dollars.", REPORT),
        Chunk(silence, 1000, 1),
        Chunk(np.zeros(900, np.float32), 1000, 1, "It will not again.", REPORT),
    ]
    for chunk in chunks:
        if chunk.sentence == 1 and chunk.text:
            live.write(" again.")
        if times := live.hear(chunk):
            told.append(times()["alignment"])
    assert ["".join(each["chars"]) for each in told] == ["It cost $3.", " It will not again."]
    assert [sum(each["charDurationsMs"]) for each in told] == [1000, 1000]
    assert told[1]["charStartTimesMs"][:2] == [0, 100], "the space between them is the silence"


def test_times_add_up_over_a_sentence_of_which_nothing_is_told():
    live, told = LiveAlignment(Reading("en")), []
    for index, (piece, said) in enumerate((("One. ", "One."), ("", "Unwritten."), ("Two.", "Two."))):
        live.write(piece)
        times = live.hear(Chunk(np.zeros(500 + 100 * index, np.float32), 1000, index, said, REPORT))
        told.append(times())
    assert told[1]["alignment"] is None
    ends = {
        name: [each[name]["charStartTimesMs"][-1] + each[name]["charDurationsMs"][-1] for each in told if each[name]]
        for name in told[0]
    }
    assert ends == {"alignment": [500, 1300], "normalizedAlignment": [500, 600, 700]}
    assert told[2]["alignment"]["chars"] == [" ", "T", "w", "o", "."], "the space is not lost"
    assert told[2]["alignment"]["charDurationsMs"][0] == 600, "it lasts as long as what was not told"


def test_words_whose_times_are_known_have_those():
    live = LiveAlignment(Reading("en"))
    live.write("It cost $3.")
    times = ((0, 2, 0.0, 0.25), (3, 7, 0.25, 0.5), (8, 13, 0.5, 0.75), (14, 21, 0.75, 0.9))
    words = tuple(SpokenWord(*word, "attention") for word in times)
    told = live.hear(Chunk(np.zeros(1000, np.float32), 1000, 0, "It cost three dollars.", REPORT, words=words))()
    written, read = told["alignment"], told["normalizedAlignment"]
    assert (written["charStartTimesMs"][3], written["charStartTimesMs"][8]) == (250, 500)
    assert written["charStartTimesMs"][-1] == 900, "the mark lasts as long as the pause"
    assert read["charStartTimesMs"][14] == 750
