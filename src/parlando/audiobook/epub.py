"""EPUB: a zip of web pages, and a package file that says in which order they are read."""

from __future__ import annotations

import posixpath
import zipfile
import zlib
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

from parlando.audiobook.chapters import Book, Chapter
from parlando.core.errors import TextError

CONTAINER, ENCRYPTION = "META-INF/container.xml", "META-INF/encryption.xml"
OCF = "{urn:oasis:names:tc:opendocument:xmlns:container}"
OPF, DC = "{http://www.idpf.org/2007/opf}", "{http://purl.org/dc/elements/1.1/}"
FONTS = (".otf", ".ttf", ".woff", ".woff2")  # may be obfuscated in a book that is not protected
LARGEST_BYTES = 64 * 2**20
PAGES = ("application/xhtml+xml", "text/html")
HEADINGS, BLOCKS = ("h1", "h2", "h3"), ("p", "li", "blockquote", "div", "dd", "dt", "td", "h4", "h5", "h6", "section")
UNREAD = ("script", "style", "head", "nav", "sup", "rt", "rp", "svg", "math")


def read_epub(path: Path) -> Book:
    """The book in an EPUB file.

    Raises:
        TextError: it is broken, protected, or unreasonably large.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check(archive, path)
            where = _package_path(archive)
            package = ElementTree.fromstring(archive.read(where))
            title = (package.findtext(f".//{DC}title") or path.stem).strip()
            chapters = [chapter for page in _pages(package, where) for chapter in _chapters(archive, page)]
            return Book(title, tuple(_numbered(chapters)), (package.findtext(f".//{DC}creator") or "").strip())
    except (
        zipfile.BadZipFile,
        ElementTree.ParseError,
        KeyError,
        NotImplementedError,
        RuntimeError,
        zlib.error,
    ) as error:
        reason = str(error).strip("'\"") or type(error).__name__
        raise TextError(f"'{path}' is not a whole EPUB ({reason}); get the file again, or give the text") from error


def _check(archive: zipfile.ZipFile, path: Path) -> None:
    if sum(entry.file_size for entry in archive.infolist() if not _is_media(entry.filename)) > LARGEST_BYTES:
        raise TextError(f"'{path}' unpacks to more than {LARGEST_BYTES // 2**20} MiB of text; give a smaller book")
    if ENCRYPTION in archive.namelist():
        locked = ElementTree.fromstring(archive.read(ENCRYPTION)).iter(
            "{http://www.w3.org/2001/04/xmlenc#}CipherReference"
        )
        if any(not each.get("URI", "").lower().endswith(FONTS) for each in locked):
            raise TextError(f"'{path}' is protected against copying; give a book without such protection")


def _is_media(name: str) -> bool:
    return not name.lower().endswith((".xhtml", ".html", ".htm", ".xml", ".opf", ".ncx"))


def _package_path(archive: zipfile.ZipFile) -> str:
    root = ElementTree.fromstring(archive.read(CONTAINER)).find(f".//{OCF}rootfile")
    if root is None or not root.get("full-path"):
        raise KeyError("no package file is named in it")
    return str(root.get("full-path"))


def _pages(package: ElementTree.Element, where: str) -> list[str]:
    """The paths of the pages, as they are read."""
    items = {item.get("id"): item for item in package.iter(f"{OPF}item")}
    spine = [items.get(each.get("idref")) for each in package.iter(f"{OPF}itemref") if each.get("linear") != "no"]
    pages = [item for item in spine if item is not None and item.get("media-type") in PAGES]
    kept = [item for item in pages if "nav" not in (item.get("properties") or "").split()]
    return [
        posixpath.normpath(posixpath.join(posixpath.dirname(where), unquote(str(item.get("href"))))) for item in kept
    ]


def _chapters(archive: zipfile.ZipFile, page: str) -> list[Chapter]:
    reader = _PageReader()
    reader.feed(archive.read(page).decode("utf-8-sig", "replace"))
    reader.close()
    return reader.chapters()


def _numbered(chapters: list[Chapter]) -> list[Chapter]:
    """The chapters, those without a title joined to what is before them, or numbered."""
    joined: list[Chapter] = []
    for chapter in chapters:
        if chapter.title or not joined:
            joined.append(chapter if chapter.title else Chapter(f"Part {len(joined) + 1}", chapter.paragraphs))
        else:
            before = joined.pop()
            joined.append(Chapter(before.title, before.paragraphs + chapter.paragraphs))
    return joined


class _PageReader(HTMLParser):
    """Headings and paragraphs of a page, however badly it is written."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._parts: list[tuple[str, list[str]]] = [("", [])]
        self._words: list[str] = []
        self._unread: list[str] = []
        self._in_heading = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in UNREAD:
            self._unread.append(tag)
        elif tag in HEADINGS or tag in BLOCKS:
            self._end_block()
            self._in_heading = tag in HEADINGS
        elif tag == "br":
            self._words.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if self._unread and tag == self._unread[-1]:
            self._unread.pop()
        elif tag in HEADINGS or tag in BLOCKS:
            self._end_block()

    def handle_data(self, data: str) -> None:
        if not self._unread:
            self._words.append(data)

    def close(self) -> None:
        super().close()
        self._end_block()

    def chapters(self) -> list[Chapter]:
        return [Chapter(title, tuple(paragraphs)) for title, paragraphs in self._parts if paragraphs]

    def _end_block(self) -> None:
        text, self._words = " ".join("".join(self._words).split()), []
        heading, self._in_heading = self._in_heading, False
        if not text:
            return
        title, paragraphs = self._parts[-1]
        if not heading:
            paragraphs.append(text)
        elif title and not paragraphs:
            self._parts[-1] = (f"{title}: {text}", paragraphs)
        else:
            self._parts.append((text, []))
