"""Pairs of takes: who wins and by how much, what is no pair and why, and that nothing is said twice."""

import json

import numpy as np
import pytest

import parlando.speech
from fake_judges import PitchVoice, tone
from parlando.audio.files import write_audio
from parlando.cli.app import main
from parlando.core.errors import InputError, MissingDependencyError, TextError
from parlando.data.preferences import COMPLETE, TAKES, PairCorpus, Take, Takes
from parlando.evaluate.judges.base import Card
from parlando.evaluate.preferences import Ranking, TakeJudges, TakeMaker, Yield, make_pairs
from parlando.speech import Synthesizer
from scripted_model import LOUD, Model

ENDLESS = [LOUD] * 400


class Spoken(Model):
    codebook_sizes = (2, 1000)


class LengthAsr:
    """Hears a word a second, in the order of its own; fails on clips of less than two, if it is to."""

    card = Card("length", "1")

    def __init__(self, words="red green blue", error=None):
        self.words, self.error, self.calls = words.split(), error, 0

    def hear(self, clip, language):
        self.calls += 1
        if self.error is not None and len(clip.samples) < 2000:
            raise self.error
        return " ".join(self.words[: len(clip.samples) // 1000])


def plans_of(*frames):
    """For each seed, as many loud frames; the text's own number where that is None."""
    return {seed: [LOUD] * count for seed, count in enumerate(frames) if count is not None}


def maker(folder, plans, asr=None, count=3, **options):
    judges = options.pop("judges", TakeJudges(asr or LengthAsr()))
    return TakeMaker(Synthesizer(Spoken(plans)), judges, folder, count, **options)


def test_the_best_and_the_worst_take_become_a_pair_with_all_that_is_known_of_them(tmp_path):
    result = make_pairs(maker(tmp_path, plans_of(20, 30, 15)), ["Red green blue."], Ranking(), tmp_path)
    (pair,) = PairCorpus(tmp_path).pairs
    assert (pair.chosen.seed, pair.rejected.seed) == (1, 2)
    assert (pair.chosen.scores, pair.rejected.scores) == ({"wer": 0.0}, {"wer": pytest.approx(2 / 3, abs=1e-5)})
    assert pair.margin == pytest.approx(2 / 3, abs=1e-5)
    assert np.array_equal(pair.chosen.frames, [[0, LOUD, number] for number in range(1, 31)])
    assert len(pair.rejected.frames) == 15
    assert (pair.prompt.tokens, pair.sentence) == ((1, 2, 3), "Red green blue.")
    described = json.loads((tmp_path / COMPLETE).read_text())
    assert described["judges"] == ["length 1"]
    assert (described["model"], described["voice"], described["takes"]) == ("fake", "ada", 3)
    assert described["ranking"]["margin"] == 0.1
    assert described["codebook_sizes"] == [2, 1000]
    means = {"wer": pytest.approx((1 / 3 + 0 + 2 / 3) / 3, abs=1e-5), "ended": 1.0}
    assert result == Yield(1, 1, 3, 0, {}, means)
    assert described["yield"]["pairs"] == 1


def test_what_is_no_pair_is_counted_with_the_reason(tmp_path):
    lines = ["Red green blue.", "", "Black white grey.", "Pink brown gold."]
    say = {
        "Red green blue.": {0: [LOUD] * 30, 1: [LOUD] * 30},
        "Black white grey.": {0: ENDLESS, 1: ENDLESS},
        "Pink brown gold.": {0: [LOUD] * 30, 1: ENDLESS},
    }
    plans = {seed: lambda prompt, seed=seed: say[prompt.sentence][seed] for seed in range(2)}
    asr = LengthAsr("red green blue black white grey pink brown gold")
    result = make_pairs(maker(tmp_path, plans, asr, count=2), lines, Ranking(), tmp_path)
    assert (result.sentences, result.pairs, result.takes, result.means["ended"]) == (3, 1, 6, 0.5)
    assert result.dropped == {"no clear difference": 2}
    assert str(result).startswith("1 pairs of 3 sentences; 2 no clear difference\n6 takes: wer ")
    (pair,) = PairCorpus(tmp_path).pairs
    assert (pair.sentence, pair.chosen.finish, pair.rejected.finish == "end") == ("Pink brown gold.", "end", False)


def test_a_run_goes_on_where_it_was_and_another_margin_says_nothing_anew(tmp_path):
    lines, asr = ["Red green blue.", "Green blue red."], LengthAsr()
    first = maker(tmp_path, plans_of(20, 30), asr, count=2)
    assert first.takes("Red green blue.") is not None
    again = maker(tmp_path, plans_of(20, 30), asr, count=2)
    assert make_pairs(again, lines, Ranking(), tmp_path).pairs == 2
    assert (asr.calls, len(again._synthesizer.model.seeds)) == (4, 2)
    ranked = maker(tmp_path, plans_of(20, 30), asr, count=2)
    assert make_pairs(ranked, lines, Ranking(margin=0.5), tmp_path).pairs == 0
    assert (asr.calls, ranked._synthesizer.model.seeds) == (4, [])
    other = maker(tmp_path, plans_of(20, 30), asr, count=2, identity="another model")
    assert make_pairs(other, lines[:1], Ranking(), tmp_path).pairs == 1
    assert asr.calls == 6
    assert len(list((tmp_path / TAKES).iterdir())) == 3


def test_takes_that_a_judge_fails_on_are_left_out_and_a_judge_that_is_missing_ends_it(tmp_path):
    failing = maker(tmp_path / "a", plans_of(30, 15, 25), LengthAsr(error=RuntimeError("deaf")))
    result = make_pairs(failing, ["Red green blue."], Ranking(), tmp_path / "a")
    assert (result.takes, result.failed, result.pairs) == (2, 1, 1)
    assert ", 1 more failed: " in str(result)
    alone = maker(tmp_path / "b", plans_of(30, 15), LengthAsr(error=RuntimeError("deaf")), count=2)
    assert make_pairs(alone, ["Red green blue."], Ranking(), tmp_path / "b").dropped == {"fewer than two takes": 1}
    missing = maker(tmp_path / "c", plans_of(15), LengthAsr(error=MissingDependencyError("x", "pip install x")))
    with pytest.raises(MissingDependencyError):
        missing.takes("Red green blue.")


def test_a_sentence_that_the_model_cannot_say_is_counted(tmp_path):
    made = maker(tmp_path, plans_of(20, 30))

    def build(sentence, voice):
        raise TextError("nothing to pronounce")

    made._synthesizer.model.prompts.build = build
    assert make_pairs(made, ["Red green blue."], Ranking(), tmp_path).dropped == {"cannot be said": 1}


def test_sentences_are_those_of_the_lines_each_once(tmp_path):
    made = maker(tmp_path, {})
    assert made.sentences(["Red green.", " ", "Blue 3.", "Red green."]) == ["Red green.", "Blue three."]
    with pytest.raises(TextError, match="the list has no sentence to say"):
        made.sentences(["", " "])


def test_somebody_must_judge(tmp_path):
    with pytest.raises(InputError, match="nobody judges the takes"):
        maker(tmp_path, {}, judges=TakeJudges(speaker=PitchVoice()))


def test_voices_are_compared_with_recordings(tmp_path):
    judges = TakeJudges(speaker=PitchVoice(), references=[tone(200), tone(300)])
    scores = [judges.scores(tone(hertz), "", "en")["similarity"] for hertz in (250, 400, 900)]
    assert scores[0] == pytest.approx(1.0, abs=1e-3)
    assert scores[0] > scores[1] > scores[2]
    assert judges.cards == ("pitch voice 1",)


def take(finish="end", **scores):
    return Take(0, np.zeros((3, 2), np.int64), finish, scores)


def test_what_a_take_is_worth_is_the_weighted_sum_of_its_scores():
    ranking = Ranking(words=2.0, similarity=0.5, marks=0.1, unended=3.0)
    assert ranking.worth(take(wer=0.25, similarity=0.8, mos=4.0)) == pytest.approx(-0.5 + 0.4 + 0.4)
    assert ranking.worth(take("repetition", wer=1.7)) == pytest.approx(-2.0 - 3.0)
    assert ranking.worth(take()) == 0.0


def test_the_chosen_take_ended_by_itself():
    bad, worse = take("length", wer=0.0), take("length", wer=1.0)
    takes = Takes("One.", None, (bad, worse))
    assert Ranking().pair(takes) == "none that ended by itself"
    assert Ranking(margin=0.0).pair(Takes("One.", None, (bad, bad))) == "no clear difference"


@pytest.fixture
def cli(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.txt").write_text("Red green blue.\n")
    monkeypatch.setattr("parlando.evaluate.judges.registry.asr", lambda spec, key: LengthAsr())

    def run(plans, *arguments):
        monkeypatch.setattr(parlando.speech, "load", lambda *_, **__: Synthesizer(Spoken(plans)))
        with pytest.raises(SystemExit) as stopped:
            main(["data", "preferences", "list.txt", "-o", "pairs", *map(str, arguments)])
        return int(stopped.value.code or 0), capsys.readouterr().err

    return run


def test_the_command_says_what_came_of_it(cli, tmp_path):
    status, said = cli(plans_of(20, 30), "--takes", 2)
    assert status == 0
    lines = said.strip().splitlines()
    assert lines[-3].endswith("1 pairs of 1 sentences")
    assert lines[-1] == "1 pairs in pairs; next: parlando train dpo … --pairs pairs"
    assert len(PairCorpus(tmp_path / "pairs").pairs) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no sentence has a take that is better than another by 0.1; use more --takes"),
        (["--asr", "none"], "nobody judges the takes"),
        (["--ref-text", "Hello."], "--ref-text belongs to a recording"),
        (["--reference", "none.wav"], "none.wav"),
    ],
)
def test_what_can_be_mended_is_one_line_and_status_2(cli, arguments, message):
    status, said = cli(plans_of(30, 30, 30, 30), *arguments)
    assert status == 2
    assert message in said.strip().splitlines()[-1]
    assert "Traceback" not in said


def test_an_empty_list_is_told(cli, tmp_path):
    (tmp_path / "list.txt").write_text("\n \n")
    status, said = cli({})
    assert (status, said.strip().splitlines()[-1]) == (
        2, "parlando: the list has no sentence to say; write one a line"
    )  # fmt: skip


def test_a_recording_is_what_the_voice_is_compared_with(cli, monkeypatch, tmp_path):
    monkeypatch.setattr("parlando.evaluate.judges.registry.speaker_encoder", lambda spec: PitchVoice())
    write_audio(tmp_path / "me.wav", tone(250, rate=16_000).samples, 16_000)
    status, _ = cli(plans_of(20, 30), "--takes", 2, "--reference", "me.wav", "--speaker", "pitch")
    assert status == 0
    (pair,) = PairCorpus(tmp_path / "pairs").pairs
    assert set(pair.chosen.scores) == {"wer", "similarity"}
