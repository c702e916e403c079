from __future__ import annotations

import codecs

import pytest

from parlando.core.errors import FileMissingError, InputError
from parlando.evaluate.suite import items as items_module
from parlando.evaluate.suite.items import Item, read_items, read_seed_tts


def write(path, *lines: bytes):
    path.write_bytes(b"\n".join(lines) + b"\n")
    return str(path)


def test_all_published_layouts_are_read(tmp_path):
    for name in ("p.wav", "truth.wav"):
        (tmp_path / name).touch()
    source = write(
        tmp_path / "meta.lst",
        b"a|Only text.",
        b"b|Said so.|p.wav",
        b"c|Prompt words|p.wav|Target words.",
        b"",
        "d|提示|p.wav|目标文本|truth.wav".encode(),
    )
    found = read_seed_tts(source, "en")
    assert found.problems == ()
    assert [(i.id, i.text, i.line) for i in found.items] == [
        ("a", "Only text.", 1), ("b", "Said so.", 2), ("c", "Target words.", 3), ("d", "目标文本", 5),
    ]  # fmt: skip
    assert [i.sample and i.sample.text for i in found.items] == [None, "", "Prompt words", "提示"]
    assert found.items[3].recording == tmp_path / "truth.wav"
    assert len(found.sha256) == 64
    assert found.first(2).items == found.items[:2]


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path):
    found = read_seed_tts(write(tmp_path / "meta.lst", codecs.BOM_UTF8 + b"a|Only text."), "en")
    assert [item.id for item in found.items] == ["a"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"one field", "1 fields between '|'"),
        (b"a|b|c|d|e|f", "6 fields"),
        (b"a|", "the text is empty"),
        (b"a|...", "the text is empty"),
        (b"a|Text.|nowhere.wav", "no prompt recording at .*nowhere.wav"),
        (b"../a|Text.", "'../a' is not a valid id"),
        (b"a|\xff\xfe", "not UTF-8"),
        (b"good|Again.", "the id 'good' is that of line 1 too"),
    ],
)
def test_a_line_that_cannot_serve_is_named_and_the_others_stay(tmp_path, line, message):
    found = read_seed_tts(write(tmp_path / "m.lst", b"good|Fine.", line, b"last|Fine too."), "en")
    assert [item.id for item in found.items] == ["good", "last"]
    (problem,) = found.problems
    assert problem.where == f"{tmp_path}/m.lst:2"
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(problem.what)


def test_a_list_that_is_not_there_is_named():
    with pytest.raises(FileMissingError, match="no list at 'nowhere'"):
        read_seed_tts("nowhere", "en")


def test_a_file_that_is_no_list_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(items_module, "LARGEST_LIST_BYTES", 10)
    with pytest.raises(InputError, match="not a list of texts"):
        read_seed_tts(write(tmp_path / "m.lst", b"a|" + b"x" * 20), "en")


def test_tables_have_a_header_and_comments(tmp_path):
    def make(row, line):
        return Item(row["id"], row["text"], line=line)

    source = write(tmp_path / "t.tsv", b"# made by hand", b"id\ttext", b"a\tWell.", b"b", b"c\t", b"d\tFine.")
    found = read_items(source, ("id", "text"), make)
    assert [(item.id, item.line) for item in found.items] == [("a", 3), ("d", 6)]
    assert [(p.where[-1], p.what[:9]) for p in found.problems] == [("4", "1 columns"), ("5", "the text ")]
    with pytest.raises(InputError, match="has no column sound; it has: id, text"):
        read_items(source, ("id", "sound"), make)


@pytest.mark.parametrize("name", sorted(path.name for path in items_module.PACKAGED.iterdir() if path.suffix == ".lst"))
def test_packaged_lists_are_whole(name):
    found = read_seed_tts(name, "zh" if "zh" in name else "en")
    assert found.problems == ()
    assert len(found.items) >= 8
