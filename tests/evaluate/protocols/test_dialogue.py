from __future__ import annotations

import json

import numpy as np
import pytest

from fake_judges import SECONDS_PER_WORD, PitchAsr, PitchVoice, tone
from parlando.audio.clip import Clip
from parlando.audio.files import write_audio
from parlando.core.errors import ConfigError
from parlando.evaluate.judges.base import Word
from parlando.evaluate.protocols.dialogue import (
    TurnVoices,
    attributed,
    inter_dissimilarity,
    intra_similarity,
    read_dialogues,
    run_dialogue,
    turn_spans,
)
from parlando.evaluate.suite.items import Item, Sample, Turn
from parlando.evaluate.suite.systems import Maker, Said

TURNS = (
    Turn(0, "Hello there friend."),
    Turn(1, "Good day to you."),
    Turn(0, "How are things?"),
    Turn(1, "Fine I guess."),
)
TALK = Item("d", " ".join(turn.text for turn in TURNS), group="conversation", turns=TURNS)
HEARD = "hello there friend good day to you how are things fine i guess"


def word(text, start):
    return Word(text, start, start + SECONDS_PER_WORD)


def test_turns_are_where_their_words_are():
    words = [
        word(text, n * SECONDS_PER_WORD) for n, text in enumerate(["Hello", "their", "friend", "good", "to", "you"])
    ]
    spans = turn_spans(TURNS[:3], words)
    assert spans == [(0.0, 1.5), (1.5, 3.0), None]


def angle(degrees):
    return [np.cos(np.radians(degrees)), np.sin(np.radians(degrees))]


def test_sameness_and_difference_by_hand():
    turns = TurnVoices((0, 1, 0, 1), np.array([angle(0), angle(90), angle(0), angle(60)]))
    assert intra_similarity(turns) == pytest.approx((1 + np.cos(np.radians(30))) / 2)
    assert inter_dissimilarity(turns) == pytest.approx(1 - (0 + 0.5 + 0 + 0.5) / 4)
    assert attributed(turns, None) == [True, True, True, True]
    one = TurnVoices((0, 1), np.array([angle(0), angle(90)]))
    assert intra_similarity(one) is None
    assert attributed(one, None) == []
    assert attributed(one, np.array([angle(80), angle(10)])) == [False, False]
    assert inter_dissimilarity(TurnVoices((0, 0), np.array([angle(0), angle(0)]))) is None


class Cast(Maker):
    """Speaks turns one after the other, each as long as its words, at its speaker's pitch."""

    def __init__(self, name, pitches):
        self.name, self.pitches, self.identity = name, pitches, {"cast": name}

    def say(self, item, seed):
        parts = [tone(self.pitches[t.speaker], SECONDS_PER_WORD * len(t.text.split())).samples for t in item.turns]
        return Said(Clip(np.concatenate(parts), 8000), 1.0, 0.1)


@pytest.mark.parametrize(("pitches", "inter", "attribution"), [((100, 900), True, 100.0), ((300, 300), False, None)])
def test_two_voices_are_told_apart_and_one_is_not(run, listed, judged, figures, pitches, inter, attribution):
    asr = PitchAsr(dict.fromkeys(pitches, HEARD))
    report = run_dialogue(run, [Cast(str(pitches), pitches)], listed(TALK), judged(asr), "here")
    found = figures(report.systems[0].groups["conversation"])
    assert found["turns found"].value == 100.0
    assert found["WER strict"].value == 0.0
    assert found["intra"].value == pytest.approx(1.0, abs=1e-4)
    assert (found["inter"].value > 0.6) is inter
    assert found["score"].value == pytest.approx(np.sqrt(found["intra"].value * found["inter"].value), abs=1e-6)
    if attribution is not None:
        assert found["attribution"].value == attribution


def test_with_samples_turns_are_attributed_to_them(run, listed, judged, figures, tmp_path):
    for name, hertz in (("a", 900), ("b", 100)):
        write_audio(tmp_path / f"{name}.wav", tone(hertz).samples, 8000)
    samples = (Sample(tmp_path / "a.wav"), Sample(tmp_path / "b.wav"))
    item = Item("d", TALK.text, group="g", turns=TURNS, samples=samples)
    system = Cast("swapped", (100, 900))
    report = run_dialogue(run, [system], listed(item), judged(PitchAsr({100: HEARD, 900: HEARD})), "here")
    assert figures(report.systems[0].figures)["attribution"].value == 0.0


def test_a_recogniser_without_times_is_refused(run, listed, judged):
    class Untimed:
        card = PitchVoice.card

        def hear(self, clip, language):
            return ""

    with pytest.raises(ConfigError, match="tells when words are said"):
        run_dialogue(run, [], listed(TALK), judged(Untimed()), "here")


def test_bad_lines_are_named(tmp_path):
    (tmp_path / "a.wav").touch()
    good = {"id": "x", "subset": "s", "turns": [[0, "Hi."], [1, "Ho."]]}
    lines = [
        json.dumps(good),
        json.dumps({**good, "id": "y", "turns": [[0, "Hi."], [1, "  "]]}),
        json.dumps({**good, "id": "z", "samples": [["a.wav", "Words."]]}),
        json.dumps({**good, "id": "w", "samples": [["a.wav", ""], ["b.wav", ""]]}),
        json.dumps({"id": "v", "subset": "s"}),
        "[1]",
        "{",
    ]
    (tmp_path / "d.jsonl").write_text("\n".join(lines))
    found = read_dialogues(str(tmp_path / "d.jsonl"))
    assert [item.id for item in found.items] == ["x"]
    assert [p.where.rsplit(":", 1)[1] for p in found.problems] == ["2", "3", "4", "5", "6", "7"]


def test_the_packaged_list_has_the_three_subsets():
    found = read_dialogues("dialogue_en.jsonl")
    assert found.problems == ()
    counts = {name: sum(item.group == name for item in found.items) for name in {item.group for item in found.items}}
    assert counts == {"conversation": 40, "small talk": 20, "small talk, ref": 20}
    assert {bool(item.samples) for item in found.items if item.group == "small talk"} == {False}
