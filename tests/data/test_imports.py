import pytest
from tiny_corpus import sine

from parlando.core.errors import ConfigError, FileMissingError
from parlando.data.imports import import_table
from parlando.data.manifest import Utterance, read_manifest

HEADER = "path\tspeaker\tlanguage\ttext\tseconds\n"


@pytest.fixture
def recordings(tmp_path):
    import soundfile

    for name in ("one/a.wav", "two/a.wav", "b.wav"):
        (tmp_path / "rec" / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "rec" / name, sine(200, 0.1), 16_000)
    return tmp_path / "rec"


def table(folder, *rows):
    (folder / "t.tsv").write_text(HEADER + "".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
    return folder / "t.tsv"


def test_paths_become_relative_to_the_manifest(recordings, tmp_path):
    source = table(recordings, ("one/a.wav", "ada", "en", 'Say "hi".', "0.1"), ("b.wav", "bob", "de", "Ja.", "0.10"))
    manifest = tmp_path / "corpus" / "m.jsonl"
    assert import_table(source, manifest) == 2
    assert list(read_manifest(manifest)) == [
        Utterance("a", "../rec/one/a.wav", "ada", "en", 'Say "hi".', 0.1),
        Utterance("b", "../rec/b.wav", "bob", "de", "Ja.", 0.1),
    ]
    assert (manifest.parent / "../rec/one/a.wav").is_file()


def test_a_table_may_say_what_is_no_speech(recordings, tmp_path):
    rows = ("b.wav\t\t\t\t0.1\tmusic\n", "one/a.wav\tada\ten\tHi.\t0.1\t\n")
    (recordings / "t.tsv").write_text(HEADER.strip() + "\tkind\n" + "".join(rows), encoding="utf-8")
    import_table(recordings / "t.tsv", tmp_path / "m.jsonl")
    assert [utterance.kind for utterance in read_manifest(tmp_path / "m.jsonl")] == ["music", "speech"]


def test_a_second_import_replaces_the_first(recordings, tmp_path):
    for _ in range(2):
        import_table(table(recordings, ("b.wav", "bob", "en", "Yes.", "0.1")), tmp_path / "m.jsonl")
    assert len(list(read_manifest(tmp_path / "m.jsonl"))) == 1


def test_files_of_one_name_get_ids_of_their_paths(recordings, tmp_path):
    rows = [(name, "ada", "en", "Yes.", "0.1") for name in ("one/a.wav", "two/a.wav", "b.wav")]
    import_table(table(recordings, *rows), tmp_path / "m.jsonl")
    assert [u.id for u in read_manifest(tmp_path / "m.jsonl")] == ["one_a", "two_a", "b"]


def test_a_missing_table_or_recording_is_named_and_nothing_is_written(recordings, tmp_path):
    with pytest.raises(FileMissingError, match=r"no table of transcripts at '.*none\.tsv'"):
        import_table(tmp_path / "none.tsv", tmp_path / "m.jsonl")
    rows = [("b.wav", "bob", "en", "Yes.", "0.1"), ("gone.wav", "bob", "en", "No.", "0.1")]
    with pytest.raises(FileMissingError, match=r"no recording at '.*gone\.wav'"):
        import_table(table(recordings, *rows), tmp_path / "m.jsonl")
    assert not (tmp_path / "m.jsonl").exists()


def test_missing_columns_are_listed(tmp_path):
    (tmp_path / "t.tsv").write_text("path\ttext\na.wav\tHi.\n")
    with pytest.raises(ConfigError, match=r"t\.tsv: .*missing: speaker, language, seconds$"):
        import_table(tmp_path / "t.tsv", tmp_path / "m.jsonl")


def test_an_empty_table_lacks_every_column(tmp_path):
    (tmp_path / "t.tsv").write_text("")
    with pytest.raises(ConfigError, match="missing: path, speaker, language, text, seconds"):
        import_table(tmp_path / "t.tsv", tmp_path / "m.jsonl")


@pytest.mark.parametrize("row", [("b.wav", "bob", "en", "Yes.", "long"), ("b.wav", "bob", "en")])
def test_a_line_without_a_length_is_named(recordings, tmp_path, row):
    with pytest.raises(ConfigError, match=r"t\.tsv:3: seconds are"):
        import_table(table(recordings, ("b.wav", "bob", "en", "Yes.", "0.1"), row), tmp_path / "m.jsonl")
