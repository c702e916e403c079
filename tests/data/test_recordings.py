"""Recordings are found with their texts; what cannot be learned from is listed, skipped and counted."""

import json
import re

import numpy as np
import pytest
import soundfile
from tiny_corpus import sine

from parlando.core.errors import FileMissingError, InputError
from parlando.data.recordings import Recording, RecordingCheck, find_recordings

TEXT = "The sun is warm, and so am I."
CHECK = RecordingCheck("me")


def write(path, seconds=2.0, text=TEXT, wave=None):
    soundfile.write(path, sine(200, seconds) if wave is None else wave, 16_000)
    if text is not None:
        path.with_suffix(".txt").write_text(text, encoding="utf-8")
    return path


def test_a_folder_has_its_texts_beside_its_files_also_further_down(tmp_path):
    (tmp_path / "more").mkdir()
    first, second = write(tmp_path / "b.wav", text="\ufeffOne.\n"), write(tmp_path / "more" / "a.FLAC", text=None)
    write(tmp_path / ".hidden.wav")
    (tmp_path / "notes.txt").write_text("no sound of this name")
    assert find_recordings(tmp_path) == [Recording(first, "One.\n"), Recording(second, None)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("list.csv", 'path,text\na.wav,"Well, yes."\nb.wav,No.\n'),
        ("list.csv", 'a.wav,"Well, yes."\nb.wav,No.\n'),
        ("list.tsv", "speaker\ttext\tfile\nme\tWell, yes.\ta.wav\nme\tNo.\tb.wav\n"),
        ("metadata.csv", "a|Well, yes.|unused\nb|No.|unused\n"),
        ("list.txt", "a.wav|Well, yes.\n\nb.wav|No.\n"),
        ("manifest.jsonl", '{"audio": "a.wav", "text": "Well, yes."}\n{"audio": "b.wav", "text": "No."}\n'),
    ],
)
def test_a_list_is_read_as_it_is_usually_written(tmp_path, name, content):
    files = [write(tmp_path / f"{letter}.wav", text=None) for letter in "ab"]
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert find_recordings(tmp_path / name) == [Recording(files[0], "Well, yes."), Recording(files[1], "No.")]


def test_ljspeech_keeps_its_files_in_a_folder_of_their_own(tmp_path):
    (tmp_path / "wavs").mkdir()
    file = write(tmp_path / "wavs" / "LJ001-0001.wav", text=None)
    (tmp_path / "metadata.csv").write_text("LJ001-0001|Printing.|Printing.\n")
    assert find_recordings(tmp_path / "metadata.csv") == [Recording(file, "Printing.")]


def test_a_file_of_a_list_that_is_not_there_is_a_fault_of_that_line(tmp_path):
    (tmp_path / "list.csv").write_text("gone.wav,Hello.\n")
    checked = CHECK.run(find_recordings(tmp_path / "list.csv"), tmp_path)
    assert [(fault.audio.name, fault.kind) for fault in checked.faults] == [("gone.wav", "unreadable")]


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("list.doc", "a.wav,One.", InputError, "is not a list of recordings"),
        ("list.csv", "", InputError, "holds no recordings"),
        ("list.jsonl", '{"text": "One."}', InputError, "a row has none of path, audio"),
        ("list.jsonl", "One.", InputError, "cannot be read as a list"),
        ("list.csv", b"\xff\xfe\x00", InputError, "save it as UTF-8"),
        (None, "", FileMissingError, "folder of recordings"),
    ],
)
def test_what_is_no_list_is_told(tmp_path, name, content, error, message):
    if name:
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(error, match=message):
        find_recordings(tmp_path / (name or "nowhere"))


def test_a_folder_without_recordings_is_told(tmp_path):
    with pytest.raises(InputError, match="holds no recordings; give a folder of files such as"):
        find_recordings(tmp_path)


@pytest.mark.parametrize(
    ("options", "kind", "why"),
    [
        ({"wave": np.zeros(32_000)}, "silent", "nobody speaks"),
        ({"seconds": 16.0}, "too long", "16.0 s of speech; the limit is 15 s"),
        ({"seconds": 0.3}, "too short", "0.3 s of speech; the limit is 0.5 s"),
        ({"text": " \n"}, "without text", "nothing|pronounce"),
        ({"text": "...!?"}, "without text", "nothing|pronounce"),
        ({"text": "Yes."}, "mislabelled", r"3 letters in 2\.0 s"),
        ({"text": TEXT * 4}, "mislabelled", r"letters in 2\.0 s cannot be what is said"),
    ],
)
def test_what_cannot_be_learned_from_is_skipped(tmp_path, options, kind, why):
    write(tmp_path / "bad.wav", **options)
    write(tmp_path / "good.wav")
    checked = CHECK.run(find_recordings(tmp_path), tmp_path)
    assert [(u.id, u.audio, u.text) for u in checked.utterances] == [("00000", "good.wav", TEXT)]
    (fault,) = checked.faults
    assert (fault.audio.name, fault.kind) == ("bad.wav", kind)
    assert re.search(why, fault.why)
    assert str(checked) == f"1 of 2 recordings, 0.0 minutes; skipped: 1 {kind}"


def test_a_file_that_is_no_sound_is_unreadable(tmp_path):
    (tmp_path / "bad.wav").write_bytes(b"RIFF....WAVE")
    (tmp_path / "bad.txt").write_text(TEXT)
    checked = CHECK.run(find_recordings(tmp_path), tmp_path)
    assert [fault.kind for fault in checked.faults] == ["unreadable"]
    assert "bad.wav" in str(checked.faults[0])


def test_the_silence_at_both_ends_is_known(tmp_path):
    quiet = np.zeros(8000, dtype=np.float32)
    write(tmp_path / "a.wav", wave=np.concatenate([quiet, sine(200, 2.0), quiet]))
    (utterance,) = CHECK.run(find_recordings(tmp_path), tmp_path).utterances
    (before, begins), (_, ends), (after, last) = utterance.phones
    assert (before, after, last) == ("pau", "pau", 3.0)
    assert begins == pytest.approx(0.5, abs=0.06)
    assert ends == pytest.approx(2.5, abs=0.12)


def test_somebody_who_listens_writes_missing_texts_and_hears_wrong_ones(tmp_path):
    write(tmp_path / "a.wav", text=None)
    write(tmp_path / "b.wav", text=TEXT)
    write(tmp_path / "c.wav", text="We saw a red boat at sea.")
    check = RecordingCheck("me", transcribe=lambda clip: f" {TEXT}\n")
    checked = check.run(find_recordings(tmp_path), tmp_path)
    assert [(u.audio, u.text) for u in checked.utterances] == [("a.wav", TEXT), ("b.wav", TEXT)]
    assert [(f.audio.name, f.kind, f.why) for f in checked.faults] == [
        ("c.wav", "mislabelled", f"heard is ' {TEXT}\n'")
    ]


def test_without_a_text_and_a_listener_it_is_told_what_to_do(tmp_path):
    write(tmp_path / "a.wav")
    write(tmp_path / "b.wav", text=None)
    with pytest.raises(InputError, match=r"1 of 2 recordings have no text.*b\.txt beside it.*--asr whisper"):
        CHECK.run(find_recordings(tmp_path), tmp_path)


def test_paths_are_of_the_manifest_s_folder(tmp_path):
    write(tmp_path / "a.wav")
    (tmp_path / "out" / "training").mkdir(parents=True)
    (utterance,) = CHECK.run(find_recordings(tmp_path), tmp_path / "out" / "training").utterances
    assert utterance.audio == "../../a.wav"
    assert json.dumps(utterance.phones)
