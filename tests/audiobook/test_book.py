"""Books from text and EPUB files, whole and broken."""

from __future__ import annotations

import zipfile

import pytest

from epub_maker import CONTAINER, make_epub
from parlando.audiobook.book import read_book
from parlando.core.errors import FileMissingError, InputError, TextError

PAGES = {
    "one.xhtml": "<h1>Chapter 1</h1><h2>The Fox</h2><p>It was <i>cold</i>.</p><p>“Come&nbsp;in,” said Tom.</p>",
    "two.xhtml": "<p>And so on.<br/>Indeed.</p><script>no()</script>",
    "three%20b.xhtml": "<h1>Chapter 2</h1><div>The end</div><p>is near",
}


def test_a_text_has_its_chapters_at_headings_that_stand_alone(tmp_path):
    path = tmp_path / "story.txt"
    path.write_text(
        "A word before.\n\nCHAPTER I. The Fox\n\nIt was\ncold.\n\nHe came.\n\n# Two\n\nThe end.\n\nChapter 3\n\n***\n"
    )
    book = read_book(path)
    assert [(each.title, each.paragraphs) for each in book.chapters] == [
        ("story", ("A word before.",)),
        ("CHAPTER I. The Fox", ("It was cold.", "He came.")),
        ("Two", ("The end.",)),
    ]


def test_an_epub_is_read_in_its_own_order(tmp_path):
    book = read_book(make_epub(tmp_path / "story.epub", PAGES))
    assert (book.title, book.author) == ("A Story", "Ann Author")
    assert [(each.title, each.paragraphs) for each in book.chapters] == [
        ("Chapter 1: The Fox", ("It was cold.", "“Come in,” said Tom.", "And so on. Indeed.")),
        ("Chapter 2", ("The end", "is near")),
    ]


@pytest.mark.parametrize("content", ["", "  \n\n", "***", "# Only a title\n"])
def test_a_book_without_words_is_refused(tmp_path, content):
    path = tmp_path / "empty.txt"
    path.write_text(content)
    with pytest.raises(TextError, match="has no words to read out"):
        read_book(path)


def test_files_that_are_no_books_are_refused(tmp_path):
    with pytest.raises(FileMissingError, match="no book at"):
        read_book(tmp_path / "none.epub")
    (tmp_path / "book.pdf").write_bytes(b"%PDF")
    with pytest.raises(InputError, match="give a .txt, .md or .epub file"):
        read_book(tmp_path / "book.pdf")
    (tmp_path / "latin.txt").write_bytes("Çava".encode("latin-1"))
    with pytest.raises(TextError, match="is not UTF-8"):
        read_book(tmp_path / "latin.txt")


def broken(path, kind):
    make_epub(path, PAGES)
    data = path.read_bytes()
    if kind == "cut off":
        path.write_bytes(data[: len(data) // 2])
    elif kind == "no zip":
        path.write_bytes(b"hello")
    elif kind == "flipped":
        path.write_bytes(data[:80] + bytes([data[80] ^ 0xFF]) + data[81:])
    else:
        changes = {
            "no container": {CONTAINER: None},
            "bad container": {CONTAINER: "<x"},
            "empty container": {CONTAINER: "<x/>"},
            "no package": {"OPS/book.opf": None},
            "no page": {"OPS/two.xhtml": None},
        }
        make_epub(path, PAGES, changes[kind])
    return path


@pytest.mark.parametrize(
    "kind",
    ["cut off", "no zip", "no container", "bad container", "empty container", "no package", "no page"],
)
def test_a_broken_epub_is_named_and_refused(tmp_path, kind):
    with pytest.raises(TextError, match=r"book.epub' is not a whole EPUB \(.+\); get the file again"):
        read_book(broken(tmp_path / "book.epub", kind))


def test_a_protected_epub_and_one_that_unpacks_without_end_are_refused(tmp_path):
    locked = '<e xmlns:c="http://www.w3.org/2001/04/xmlenc#"><c:CipherReference URI="OPS/{}"/></e>'
    path = make_epub(tmp_path / "locked.epub", PAGES, {"META-INF/encryption.xml": locked.format("one.xhtml")})
    with pytest.raises(TextError, match="protected against copying"):
        read_book(path)
    fonts = make_epub(tmp_path / "fonts.epub", PAGES, {"META-INF/encryption.xml": locked.format("a.OTF")})
    assert len(read_book(fonts).chapters) == 2
    bomb = tmp_path / "bomb.epub"
    make_epub(bomb, PAGES)
    with zipfile.ZipFile(bomb, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("OPS/more.xhtml", b" " * (65 * 2**20))
    with pytest.raises(TextError, match="unpacks to more than 64 MiB"):
        read_book(bomb)
