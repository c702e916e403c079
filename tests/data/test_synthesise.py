import numpy as np
import pytest
import soundfile

from parlando.core.errors import ConfigError, VoiceNotFoundError
from parlando.data import synthesise as module
from parlando.data.flite import Spoken
from parlando.data.manifest import read_manifest
from parlando.data.shards import sentence_key
from parlando.data.synthesise import Job, plain_sentences, plan_jobs, synthesise


def test_only_plain_sentences_of_fit_length_pass():
    lines = [
        "  It’s a “fine” day.  ",
        "Route 66 is long.",
        "Short.",
        "One — two--three.",
        "No stop here",
        "ÉCOLE is out.",
    ]
    assert list(plain_sentences(lines)) == ["It's a fine day.", "One - two, three.", "No stop here"]


def test_long_lines_are_cut_at_their_marks_and_half_clauses_left_out():
    sentence = "One thing is clear to all of us who stood there in the rain that night."
    pieces = plain_sentences([f"{sentence} Then came a wind; it blew for days on end, until it ended."])
    assert list(pieces) == [sentence, "until it ended."]


def test_jobs_follow_the_weights_and_leave_out_what_is_held_out():
    sentences = [f"Sentence {'abcdefghij'[i]}{'abcdefghij'[j]} here." for i in range(10) for j in range(10)]
    held_out = {sentence_key(sentences[7])}
    jobs = plan_jobs(sentences, {"rms": 1, "slt": 2}, held_out)
    counts = {voice: sum(job.voice == voice for job in jobs) for voice in ("rms", "slt")}
    assert counts == {"rms": 33, "slt": 66}
    assert sentences[7] not in {job.text for job in jobs}
    assert plan_jobs(list(reversed(sentences)), {"slt": 2, "rms": 1}, held_out) == jobs


def test_one_sentence_is_said_once_however_it_is_written():
    assert len(plan_jobs(["Well, yes.", "well YES"], {"slt": 1}, set())) == 1


def test_without_any_share_there_is_no_plan():
    with pytest.raises(ConfigError, match="no voice has a share"):
        plan_jobs(["A sentence."], {"slt": 0}, set())


def test_an_id_depends_on_voice_and_text_alone():
    assert Job("slt", "The sun is warm.").id == "slt_12a3b4fae942"
    assert Job("rms", "The sun is warm.").id == "rms_12a3b4fae942"


@pytest.fixture
def beeps(monkeypatch, in_this_process):
    """Teachers that beep; returns the batches they were asked for."""
    asked = []

    def speak_all(texts, voice):
        asked.append((voice, len(texts)))
        return [Spoken(np.full(80 * len(text), 9, np.int16), 8_000, [("s", 0.01 * len(text))]) for text in texts]

    monkeypatch.setattr(module, "teacher", lambda voice: speak_all)
    return asked


def test_every_job_becomes_a_file_and_a_line(tmp_path, beeps):
    jobs = [Job("slt", f"Say {'a' * n}.") for n in range(1, 31)] + [Job("rms", "Say it.")]
    manifest = synthesise(jobs, tmp_path / "out")
    rows = {u.id: u for u in read_manifest(manifest)}
    assert set(rows) == {job.id for job in jobs}
    row = rows[jobs[2].id]
    assert (row.speaker, row.language, row.text, row.seconds, row.phones) == (
        "slt",
        "en",
        "Say aaa.",
        0.08,
        (("s", 0.08),),
    )
    samples, rate = soundfile.read(tmp_path / "out" / row.audio, dtype="int16")
    assert (rate, len(samples), int(samples[0])) == (8_000, 640, 9)
    assert sorted(beeps) == [("rms", 1), ("slt", 6), ("slt", 24)]
    assert not list((tmp_path / "out").rglob("*.partial"))


def test_a_second_run_speaks_only_what_is_missing(tmp_path, beeps):
    jobs = [Job("slt", f"Say {'a' * n}.") for n in range(1, 6)]
    synthesise(jobs[:3], tmp_path)
    before = (tmp_path / "manifest.jsonl").read_text()
    beeps.clear()
    synthesise(jobs, tmp_path)
    assert beeps == [("slt", 2)]
    assert (tmp_path / "manifest.jsonl").read_text().startswith(before)
    assert len({u.id for u in read_manifest(tmp_path / "manifest.jsonl")}) == 5


def test_an_unknown_voice_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(VoiceNotFoundError, match=r"no voice named 'slr'.*Did you mean 'slt'\?"):
        synthesise([Job("slr", "Say it.")], tmp_path / "out")
    assert not (tmp_path / "out").exists()
