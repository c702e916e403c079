"""Web pages of other origins: which of them may ask. A browser lets any page send a form, and open a WebSocket.

A page may also have its own name lead to this machine and then ask its own origin, so that names count as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from parlando.core.errors import ForeignPageError
from parlando.serve.config import ServeConfig


class Origins:
    """The server's own pages may ask, and those of the configured origins; ``*`` allows all.

    A server for this machine alone, without keys, knows no own pages but those at a local name.
    """

    def __init__(self, config: ServeConfig) -> None:
        self._allowed = frozenset(config.cors_origins)
        self._local_only = config.api_keys is None and is_local(config.host)

    def check(self, headers: Mapping[bytes, bytes]) -> None:
        """Let pass what is from no page, or from one that may ask.

        Raises:
            ForeignPageError: it is from another.
        """
        origin = headers.get(b"origin", b"").decode("latin-1")
        if not origin or origin in self._allowed or "*" in self._allowed:
            return
        own = origin.partition("://")[1:] == ("://", headers.get(b"host", b"").decode("latin-1"))
        if not own or (self._local_only and not is_local(_name(origin))):
            raise ForeignPageError(f"requests from origin {origin[:200]!r} are not allowed; add it with --cors")


def is_local(host: str) -> bool:
    """Whether this is this machine's own name or address, which no other page can have."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _name(origin: str) -> str:
    try:
        return urlsplit(origin).hostname or ""
    except ValueError:
        return ""
