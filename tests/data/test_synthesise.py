import numpy as np
import pytest
import soundfile

from parlando.core.errors import ConfigError, VoiceNotFoundError
from parlando.data.details import Details, read_details
from parlando.data.manifest import read_manifest
from parlando.data.sentences import sentence_key
from parlando.data.synthesise import LEFT_OUT, Job, LeftOut, Manner, plan_jobs, read_left_out, synthesise
from parlando.data.teachers.flite import Flite
from parlando.data.teachers.protocol import Spoken, Unspoken


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


def test_an_id_depends_on_the_job_alone():
    assert Job("slt", "The sun is warm.").id == "slt_12a3b4fae942"
    assert Job("rms", "The sun is warm.").id == "rms_12a3b4fae942"
    others = {Job("rms", "The sun is warm.", tempo, language).id for tempo in (0.9, 1.1) for language in ("en", "de")}
    assert len(others | {"rms_12a3b4fae942"}) == 5


def test_every_sentence_has_a_tempo_of_its_own():
    jobs = plan_jobs([f"Say {'a' * n}." for n in range(1, 101)], {"slt": 1}, set(), Manner("en", 0.8, 1.25))
    tempos = [job.tempo for job in jobs]
    assert 0.8 <= min(tempos) < 0.85 < 1.2 < max(tempos) <= 1.25
    assert tempos == [Manner("en", 0.8, 1.25).tempo(job.text) for job in jobs]
    assert {job.tempo for job in plan_jobs(["Say it."], {"slt": 1}, set())} == {1.0}


class Beeps(Flite):
    """A teacher that beeps, except where it is told to be silent; it notes the batches that it was asked for."""

    def speak(self, lines, voice):
        asked.append((voice, len(lines)))
        return [self.say(line) for line in lines]

    def say(self, line):
        if "silent" in line.text:
            return Unspoken("it is silent")
        length = len(line.text)
        track = np.full(length, 100.0)
        details = Details((("s", 0.01 * length),), (("Say", 0.0, 0.02),), track, track / 50, 100.0)
        return Spoken(np.full(80 * length, 9, np.int16), 8_000, [("s", 0.01 * length)], details)


asked: list = []


@pytest.fixture
def teacher(in_this_process):
    asked.clear()
    return Beeps()


def test_every_job_becomes_a_file_and_a_line(tmp_path, teacher):
    jobs = [Job("slt", f"Say {'a' * n}.") for n in range(1, 31)] + [Job("rms", "Say it.")]
    manifest = synthesise(teacher, jobs, tmp_path / "out")
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
    assert sorted(asked) == [("rms", 1), ("slt", 6), ("slt", 24)]
    assert not list((tmp_path / "out").rglob("*.partial"))


def test_a_second_run_speaks_only_what_is_missing(tmp_path, teacher):
    jobs = [Job("slt", f"Say {'a' * n}.") for n in range(1, 6)]
    synthesise(teacher, jobs[:3], tmp_path)
    before = (tmp_path / "manifest.jsonl").read_text()
    asked.clear()
    synthesise(teacher, jobs, tmp_path)
    assert asked == [("slt", 2)]
    assert (tmp_path / "manifest.jsonl").read_text().startswith(before)
    assert len({u.id for u in read_manifest(tmp_path / "manifest.jsonl")}) == 5


def test_an_unknown_voice_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(VoiceNotFoundError, match=r"no voice named 'slr'.*Did you mean 'slt'\?"):
        synthesise(Flite(), [Job("slr", "Say it.")], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_is_known_besides_the_phones_is_kept_beside_the_audio(tmp_path, teacher):
    manifest = synthesise(teacher, [Job("slt", "Say it.")], tmp_path)
    (row,) = read_manifest(manifest)
    details = read_details(tmp_path / row.audio)
    assert (details.symbols, details.words, details.track_rate) == ((("s", 0.07),), (("Say", 0.0, 0.02),), 100.0)
    assert (details.hertz.tolist(), details.energy.tolist()) == ([100.0] * 7, [2.0] * 7)


def test_what_is_not_said_is_left_out_for_a_reason_and_not_asked_for_again(tmp_path, teacher):
    jobs = [Job("slt", "Say it."), Job("slt", "Be silent.")]
    for _ in range(2):
        synthesise(teacher, jobs, tmp_path)
    assert asked == [("slt", 2)]
    assert list(read_left_out(tmp_path)) == [LeftOut(jobs[1].id, "slt", "Be silent.", "it is silent")]
    assert [u.id for u in read_manifest(tmp_path / "manifest.jsonl")] == [jobs[0].id]


def test_a_run_that_was_killed_while_it_wrote_goes_on(tmp_path, teacher):
    jobs = [Job("slt", f"Say {'a' * n}.") for n in range(1, 6)]
    manifest = synthesise(teacher, jobs[:3], tmp_path)
    whole = manifest.read_bytes()
    manifest.write_bytes(whole[:-20])
    (tmp_path / LEFT_OUT).write_text('{"id": "slt_')
    (tmp_path / "flac" / "xx.partial").write_bytes(b"half")
    asked.clear()
    synthesise(teacher, jobs, tmp_path)
    assert asked == [("slt", 3)]
    assert sorted(u.id for u in read_manifest(manifest)) == sorted(job.id for job in jobs)
