from __future__ import annotations

import pytest

from fake_judges import PitchAsr, PitchFeeling, ToneSystem, tone
from parlando.audio.files import write_audio
from parlando.core.errors import FileMissingError
from parlando.evaluate.protocols.esd import draw_list, read_esd, read_small, run_esd
from parlando.evaluate.suite.items import PACKAGED


def test_the_packaged_list_is_what_the_rule_draws():
    rows = [tuple(line.split("\t")) for line in (PACKAGED / "esd.tsv").read_text().splitlines()[1:]]
    assert rows == draw_list(2026)
    assert len(rows) == 20 * 5 * 2
    for speaker, emotion, reference, target in rows:
        assert reference != target
        assert reference[:4] == target[:4] == speaker
        place = ("neutral", "angry", "happy", "sad", "surprise").index(emotion)
        assert (int(reference[5:]) - 1) // 350 == (int(target[5:]) - 1) // 350 == place


@pytest.fixture
def corpus(tmp_path):
    """Two recordings in the published folders, with the tables of their texts."""
    for speaker, emotion, number, text in (("0011", "Angry", 351, "Go away."), ("0001", "Happy", 701, "你好。")):
        folder = tmp_path / "ESD" / speaker / emotion
        folder.mkdir(parents=True)
        write_audio(folder / f"{speaker}_{number:06d}.wav", tone(900 if emotion == "Angry" else 100).samples, 8000)
        table = f"{speaker}_{number:06d}\t{text}\t{emotion}\n{speaker}_{number + 1:06d}\tcome 来\t{emotion}\n"
        (folder.parent / f"{speaker}.txt").write_text(table, encoding="utf-8")
    rows = [
        "speaker\temotion\treference\ttarget",
        "0011\tangry\t0011_000351\t0011_000352",
        "0001\thappy\t0001_000701\t0001_000702",
        "0011\tsad\t0011_001051\t0011_001052",
        "0001\thappy\t0001_000701\t0001_000799",
    ]
    (tmp_path / "list.tsv").write_text("\n".join(rows) + "\n")
    return tmp_path


def test_a_corpus_gives_references_texts_and_languages(corpus):
    found = read_esd(str(corpus / "list.tsv"), corpus / "ESD")
    assert [(i.id, i.language, i.group, i.sample.text) for i in found.items] == [
        ("0011_000352", "en", "angry", "Go away."),
        ("0001_000702", "zh", "happy", "你好。"),
    ]
    assert [p.what[:23] for p in found.problems] == ["no recording 0011_00105", "no text of 0001_000799 "]
    with pytest.raises(FileMissingError, match="Emotional Speech Dataset"):
        read_esd(str(corpus / "list.tsv"), corpus / "nowhere")


def test_emotion_is_compared_with_the_reference_and_named(corpus, run, judged, figures):
    items = read_esd(str(corpus / "list.tsv"), corpus / "ESD")
    asr = PitchAsr({900: "come 来", 800: "come"})
    system = ToneSystem("tones", lambda item: 900.0 if item.group == "angry" else 800.0)
    report = run_esd(run, [system], items, judged(asr, emotion=PitchFeeling()), "here")
    groups = report.systems[0].groups
    assert figures(groups["angry"])["emotion SIM"].value == pytest.approx(1.0, abs=1e-5)
    assert figures(groups["angry"])["emotion recall"].value == 100.0
    assert figures(groups["happy"])["emotion recall"].value == 0.0
    assert figures(report.systems[0].figures)["emotion recall"].value == 50.0


def test_the_small_packaged_list_has_its_own_recordings():
    found = read_small("esd_small.tsv")
    assert found.problems == ()
    assert all(item.sample.audio.is_file() for item in found.items)


def test_without_a_judge_of_emotions_the_rest_is_measured(corpus, run, judged, figures):
    items = read_esd(str(corpus / "list.tsv"), corpus / "ESD")
    report = run_esd(run, [ToneSystem("t", lambda item: 500.0)], items, judged(PitchAsr({500: "come"})), "here")
    assert "WER strict" in figures(report.systems[0].figures)
    assert "no judge of emotions" in report.notes[0]
