"""Web pages of other origins: which of them may ask. A browser lets any page send a form, and open a WebSocket."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from parlando.core.errors import ForeignPageError


class Origins:
    """The server's own pages may ask, and those of ``allowed`` origins; ``*`` allows all."""

    def __init__(self, allowed: Sequence[str]) -> None:
        self._allowed = frozenset(allowed)

    def check(self, headers: Mapping[bytes, bytes]) -> None:
        """Let pass what is from no page, or from one that may ask.

        Raises:
            ForeignPageError: it is from another.
        """
        origin = headers.get(b"origin", b"").decode("latin-1")
        if not origin or origin in self._allowed or "*" in self._allowed:
            return
        if urlsplit(origin).netloc != headers.get(b"host", b"").decode("latin-1"):
            raise ForeignPageError(f"a page of {origin[:200]!r} may not ask; allow it with --cors")
