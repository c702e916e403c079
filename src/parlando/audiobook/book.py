"""Books from files: plain text or EPUB."""

from __future__ import annotations

from pathlib import Path

from parlando.audiobook.chapters import Book, chapters_of
from parlando.audiobook.epub import read_epub
from parlando.core.errors import FileMissingError, InputError, TextError


def read_book(path: Path) -> Book:
    """The book in a ``.txt``, ``.md`` or ``.epub`` file.

    Raises:
        FileMissingError: there is no such file.
        InputError: it is another kind of file.
        TextError: it is empty, not UTF-8, or a broken or encrypted EPUB.
    """
    if not path.is_file():
        raise FileMissingError(path, "book")
    kind = path.suffix.lower()
    if kind not in (".txt", ".md", ".epub"):
        raise InputError(f"'{path}' is not a book that can be read: give a .txt, .md or .epub file")
    book = read_epub(path) if kind == ".epub" else _plain(path)
    chapters = tuple(each for each in book.chapters if any(map(str.isalnum, "".join(each.paragraphs))))
    if not chapters:
        raise TextError(f"'{path}' has no words to read out; give a book with text in it")
    return Book(book.title, chapters, book.author)


def _plain(path: Path) -> Book:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise TextError(f"'{path}' is not UTF-8 text ({error.reason}); save it as UTF-8") from error
    return Book(path.stem, tuple(chapters_of(text.replace("\r\n", "\n"), path.stem)))
