"""`parlando data`: every step's help, what it refuses, and a corpus made with it."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from tiny_corpus import SENTENCES, no_processes, sine, write_corpus

from parlando.cli import teach
from parlando.cli.app import main
from parlando.cli.teach import parse_tempo, parse_weights, read_sentences
from parlando.core.errors import ConfigError, FileMissingError
from parlando.data import align as align_module
from parlando.data import lexicon as lexicon_module
from parlando.data.manifest import read_manifest
from parlando.data.shards import PackedCorpus
from parlando.data.teachers import flite
from parlando.data.teachers.kokoro import Kokoro
from parlando.data.teachers.kokoro import install as install_module
from parlando.data.teachers.kokoro.install import Files
from parlando.data.teachers.protocol import Spoken


@pytest.fixture
def cli(capsys, monkeypatch, tmp_path):
    """Run `parlando data` in an empty folder: its status and standard error."""
    monkeypatch.chdir(tmp_path)
    no_processes(monkeypatch)

    def run(*arguments):
        try:
            main(["data", *map(str, arguments)])
            status = 0
        except SystemExit as stop:
            status = stop.code or 0
        out, err = capsys.readouterr()
        return status, (out or err).strip()

    return run


STEPS = (
    "synthesise check install-teacher preferences import align pack encode pitch voice-transfer resample-tokens mels "
    "lexicon"
)


@pytest.mark.parametrize("step", STEPS.split())
def test_every_step_shows_an_example(cli, step):
    status, text = cli(step, "--help")
    assert status == 0
    assert f"Example: parlando data {step} " in " ".join(text.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["synthesise", "none.txt", "-o", "x"], "parlando: no text file at 'none.txt'; check the path"),
        (["synthesise", "s.txt", "-o", "x", "--test", "none.txt"], "parlando: no text file at 'none.txt'"),
        (
            ["synthesise", "s.txt", "-o", "x", "--voices", "slt"],
            "parlando: --voices: 'slt' is not a valid list of voices and shares; use NAME=NUMBER",
        ),
        (["synthesise", "s.txt", "-o", "x", "--voices", "slr=1"], "Did you mean 'slt'?"),
        (["synthesise", "s.txt", "-o", "x", "--tempo", "9"], "parlando: tempo '9' is not of the form 0.8-1.25"),
        (["synthesise", "s.txt", "-o", "x", "--teacher", "flight"], "Did you mean 'flite'?"),
        (["synthesise", "s.txt", "-o", "x", "--language", "zh"], "parlando: flite does not speak 'zh'"),
        (["synthesise", "s.txt", "-o", "x", "--tempo", "0.9"], "parlando: flite speaks at its own tempo only"),
        (["check", "none.jsonl"], "parlando: no manifest at 'none.jsonl'"),
        (["import", "none.tsv", "-o", "m.jsonl"], "parlando: no table of transcripts at 'none.tsv'"),
        (["align", "none.jsonl", "-o", "m.jsonl"], "parlando: no manifest at 'none.jsonl'"),
        (["pack", "none.jsonl", "-o", "packed"], "parlando: no manifest at 'none.jsonl'"),
        (["encode", "nowhere", "codec", "-o", "codes"], "parlando: no packed corpus at 'nowhere/index.jsonl'"),
        (["pitch", "nowhere"], "parlando: no packed corpus at 'nowhere/index.jsonl'"),
        (
            ["voice-transfer", "p", "c", "run", "--speaker", "ada", "-o", "x"],
            "parlando: no encoded corpus at 'c/index.jsonl'",
        ),
        (["resample-tokens", "c", "run", "-o", "x"], "parlando: no encoded corpus at 'c/index.jsonl'"),
        (["mels", "p", "c", "run", "-o", "x"], "parlando: no packed corpus at 'p/index.jsonl'"),
        (["lexicon", "none.dict", "-o", "x.xz"], "parlando: no CMU dictionary at 'none.dict'"),
    ],
)
def test_what_can_be_mended_is_one_line_and_status_2(cli, tmp_path, arguments, message):
    (tmp_path / "s.txt").write_text("A plain sentence.\n")
    status, text = cli(*arguments)
    assert status == 2
    assert message in text.splitlines()[-1]
    assert "Traceback" not in text


def test_sentences_are_read_from_three_kinds_of_file(tmp_path):
    (tmp_path / "a.txt").write_text("One line.\n", encoding="utf-8")
    (tmp_path / "b.tsv").write_text("id\tspeaker\tThe last column.\n")
    (tmp_path / "c.data").write_text('( arctic_a0001 "Author of the danger trail." )\n(no quotes)\n')
    paths = [tmp_path / name for name in ("a.txt", "b.tsv", "c.data")]
    assert list(read_sentences(paths)) == [
        "One line.",
        "The last column.",
        "Author of the danger trail.",
        "(no quotes)",
    ]
    with pytest.raises(FileMissingError):
        list(read_sentences([tmp_path / "none"]))


def test_weights_are_names_and_whole_numbers():
    assert parse_weights("slt=5, rms=4") == {"slt": 5, "rms": 4}
    assert parse_weights("mix_008..mix_010=2,slt=1") == {"mix_008": 2, "mix_009": 2, "mix_010": 2, "slt": 1}
    for text in ("", "slt", "slt=", "=4", "slt=1.5", "slt=-1", "mix_3..mix_1=1", "mix_1..far_3=1", "a..b=1"):
        with pytest.raises(ConfigError):
            parse_weights(text)


def test_a_tempo_is_one_number_or_two():
    assert parse_tempo("0.8-1.25") == (0.8, 1.25)
    assert parse_tempo("1.1") == (1.1, 1.1)
    for text in ("", "fast", "1.2-0.8", "0.1-1", "1-3", "-1", "nan"):
        with pytest.raises(ConfigError, match="tempo"):
            parse_tempo(text)


class Deaf:
    card = "deaf 1"

    def hear(self, clip, language):
        return ""


def test_what_a_recogniser_does_not_hear_is_left_out(cli, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(flite, "speak", beep)
    monkeypatch.setattr(teach, "open_recogniser", lambda name: asked.append(name) or Deaf())
    (tmp_path / "s.txt").write_text("".join(f"{text}\n" for text in SENTENCES))
    status, text = cli("synthesise", "s.txt", "-o", "out", "--check", "asr", "--limit", 4)
    assert status == 0
    assert text.splitlines()[-2] == "0 of 4 sentences kept (0.0%); 4 misheard; see out/card.md"
    assert set(asked) == {"whisper"}
    assert "Heard by deaf 1." in (tmp_path / "out" / "card.md").read_text()
    manifest = write_corpus(tmp_path / "other", ("slt",))
    assert cli("check", manifest, "--asr", "x")[1].splitlines()[-1] == "0 of 6 sentences kept (0.0%); 6 misheard"


def test_a_corpus_that_is_interrupted_has_a_card(cli, tmp_path, monkeypatch):
    def stopped(name):
        raise KeyboardInterrupt

    monkeypatch.setattr(flite, "speak", beep)
    monkeypatch.setattr(teach, "open_recogniser", stopped)
    (tmp_path / "s.txt").write_text("".join(f"{text}\n" for text in SENTENCES))
    assert cli("synthesise", "s.txt", "-o", "out", "--check", "asr", "--limit", 4)[0] == 130
    assert "4 sentences, " in (tmp_path / "out" / "card.md").read_text()


def test_a_teacher_is_installed_or_named_where_it_comes_from(cli, tmp_path, monkeypatch):
    status, text = cli("install-teacher", "flite")
    assert (status, text.splitlines()[-1]) == (
        2,
        "parlando: flite comes from the system's packages; run: apt-get install libflite1",
    )
    status, text = cli("install-teacher", "kokora")
    assert "no teacher named 'kokora'; there are: flite, festival, kokoro. Did you mean 'kokoro'?" in text
    asked = []
    monkeypatch.setattr(install_module, "install", lambda source: asked.append(source) or Files(tmp_path))
    monkeypatch.setattr(Kokoro, "prepare", lambda self: None)
    assert cli("install-teacher", "kokoro", "--voices-from", "x.tgz") == (0, f"kokoro and 0 voices in {tmp_path}")
    assert asked == [Path("x.tgz")]


def beep(text, voice):
    return Spoken(np.full(800, 9, np.int16), 8_000, [("s", 0.1)])


def test_sentences_become_speech_without_the_held_out_ones(cli, tmp_path, monkeypatch):
    monkeypatch.setattr(flite, "speak", beep)
    (tmp_path / "s.txt").write_text("".join(f"{text}\n" for text in SENTENCES))
    (tmp_path / "test.txt").write_text(SENTENCES[0].upper() + "\n")
    status, text = cli("synthesise", "s.txt", "-o", "out", "--test", "test.txt", "--voices", "slt=1,rms=1")
    assert status == 0
    assert text.splitlines()[-2:] == [
        "5 of 5 sentences kept (100.0%); see out/card.md",
        "5 sentences in out/manifest.jsonl",
    ]
    rows = list(read_manifest(tmp_path / "out" / "manifest.jsonl"))
    assert {row.text for row in rows} == set(SENTENCES[1:])
    status, text = cli("synthesise", "s.txt", "-o", "few", "--limit", 2)
    assert text.splitlines()[-1] == "2 sentences in few/manifest.jsonl"


def test_recordings_are_imported_and_aligned(cli, tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.wav", sine(200, 0.2), 16_000)
    (tmp_path / "t.tsv").write_text("path\tspeaker\tlanguage\ttext\tseconds\na.wav\tada\ten\tYes.\t0.2\n")
    assert cli("import", "t.tsv", "-o", "source.jsonl") == (0, "1 recordings in source.jsonl")
    monkeypatch.setattr(align_module, "align", lambda samples, text: [("y", 0.1)])
    status, text = cli("align", "source.jsonl", "-o", "manifest.jsonl")
    assert status == 0
    assert text.splitlines()[-1].startswith("aligned into manifest.jsonl; 0 clips do not fit their text")
    (row,) = read_manifest(tmp_path / "manifest.jsonl")
    assert row.phones == (("y", 0.1),)


def test_manifests_are_packed_together_with_the_test_marked(cli, tmp_path):
    first, second = write_corpus(tmp_path / "one", ("slt",)), write_corpus(tmp_path / "two", ("rms",))
    (tmp_path / "test.txt").write_text(SENTENCES[2] + "\n")
    status, text = cli("pack", first, second, "-o", "packed", "--test", "test.txt")
    assert (status, text.splitlines()[-1]) == (0, "12 utterances packed in packed")
    marked = [e for e in PackedCorpus(tmp_path / "packed").entries if e.split == "test"]
    assert [(e.speaker, e.text) for e in marked] == [("slt", SENTENCES[2]), ("rms", SENTENCES[2])]


def test_a_lexicon_is_built_from_a_dictionary(cli, tmp_path, monkeypatch):
    monkeypatch.setattr(lexicon_module, "pronounce", lambda word: ["k", "ae1", "t"])
    (tmp_path / "cmu.dict").write_text("cat K AE T\ncat(2) K AH T\n")
    assert cli("lexicon", "cmu.dict", "-o", "en.xz") == (0, "1 words in en.xz")
    assert (tmp_path / "en.xz").stat().st_size > 10
