"""An EPUB of a few pages, and what may be wrong with it."""

from __future__ import annotations

import zipfile

CONTAINER = "META-INF/container.xml"


def make_epub(path, pages, changes=None):
    """Write it; ``changes`` are other contents by their names, or None for what is left out."""
    items = "".join(
        f'<item id="p{at}" href="{name}" media-type="application/xhtml+xml"/>' for at, name in enumerate(pages)
    )
    spine = "".join(f'<itemref idref="p{at}"/>' for at in range(len(pages)))
    files = {
        CONTAINER: '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
        '<rootfile full-path="OPS/book.opf"/></rootfiles></container>',
        "OPS/book.opf": '<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/">'
        "<metadata><dc:title>A Story</dc:title><dc:creator>Ann Author</dc:creator></metadata>"
        f'<manifest>{items}<item id="nav" href="nav.xhtml" properties="nav" media-type="application/xhtml+xml"/>'
        f'</manifest><spine><itemref idref="nav"/>{spine}</spine></package>',
        "OPS/nav.xhtml": "<nav>Contents</nav>",
        **{f"OPS/{name.replace('%20', ' ')}": f"<html><body>{body}</body></html>" for name, body in pages.items()},
        **(changes or {}),
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            if content is not None:
                archive.writestr(name, content)
    return path
