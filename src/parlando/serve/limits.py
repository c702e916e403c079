"""Who may ask, and how often: hashed keys, and a budget per caller."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from parlando.core.errors import AccessError, ConfigError, FileMissingError, RateLimitError
from parlando.serve.config import Limits

KEY_LINE = re.compile(r"([\w.-]{1,64}):([0-9a-f]{64})", re.ASCII)
KEY_BYTES = 32
MOST_CALLERS = 10_000


class KeyRing:
    """Keys by the SHA-256 of what callers present. Keys are made by `new_key`, so they are too long to be guessed."""

    def __init__(self, hashes: dict[str, str] | None = None) -> None:
        self._hashes = hashes or {}

    @classmethod
    def read(cls, path: Path) -> KeyRing:
        """A file of lines ``name:sha256``; blank lines and lines with # are skipped.

        Raises:
            FileMissingError: there is no such file.
            ConfigError: a line is something else, or there is no key in it.
        """
        if not path.is_file():
            raise FileMissingError(path, "file of API keys")
        hashes = {}
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if not line.strip() or line.startswith("#"):
                continue
            match = KEY_LINE.fullmatch(line.strip())
            if match is None:
                raise ConfigError(f"{path}, line {number}: expected name:sha256; make keys with --new-key NAME")
            hashes[match[1]] = match[2]
        if not hashes:
            raise ConfigError(f"{path}: contains no API keys; make one with --new-key NAME")
        return cls(hashes)

    def caller(self, key: str | None, address: str) -> str:
        """The name of whoever presents a key; without any keys, everybody may ask and is known by address.

        Raises:
            AccessError: the key is missing or not known. Every known key is compared, in constant time.
        """
        if not self._hashes:
            return address
        presented = hashlib.sha256((key or "").encode("utf-8", "surrogateescape")).hexdigest()
        found = None
        for name, known in self._hashes.items():
            if hmac.compare_digest(presented, known):
                found = name
        if found is None:
            what = "this API key is not known" if key else "an API key is missing"
            raise AccessError(f"{what}; send a valid one as: Authorization: Bearer KEY")
        return found


def new_key(path: Path, name: str) -> str:
    """Make a key, append its hash to the file, and return it; it cannot be had from the file again.

    Raises:
        ConfigError: the name has other characters than letters, digits, dot, dash and underscore.
    """
    key = "pk-" + secrets.token_urlsafe(KEY_BYTES)
    line = f"{name}:{hashlib.sha256(key.encode()).hexdigest()}"
    if not KEY_LINE.fullmatch(line):
        raise ConfigError(f"'{name}' cannot name a key; use letters, digits, dot, dash and underscore")
    path.touch(mode=0o600, exist_ok=True)
    ended = path.read_bytes()[-1:] in (b"", b"\n")
    with path.open("a", encoding="utf-8") as file:
        file.write(("" if ended else "\n") + line + "\n")
    return key


@dataclass
class _Account:
    tokens: float
    updated_seconds: float
    streams: int = 0


class Budgets:
    """What each caller has left: a bucket of requests that refills by the minute, and streams at once."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits, self._clock = limits, clock
        self._accounts: OrderedDict[str, _Account] = OrderedDict()

    def spend(self, caller: str) -> None:
        """Count a request.

        Raises:
            RateLimitError: the caller has none left; says when there will be one.
        """
        allowed = self._limits.requests_per_minute
        if allowed is None:
            return
        account, now = self._account(caller), self._clock()
        account.tokens = min(allowed, account.tokens + (now - account.updated_seconds) * allowed / 60)
        account.updated_seconds = now
        if account.tokens < 1:
            wait_seconds = (1 - account.tokens) * 60 / allowed
            raise RateLimitError(f"more than {allowed} requests a minute; wait {wait_seconds:.1f} s", wait_seconds)
        account.tokens -= 1

    def enter(self, caller: str) -> None:
        """Count a stream that begins.

        Raises:
            RateLimitError: the caller has as many as allowed.
        """
        account, most = self._account(caller), self._limits.max_streams_per_caller
        if account.streams >= most:
            raise RateLimitError(
                f"you already have {most} concurrent requests (limit {most}); wait for one to end", 1.0
            )
        account.streams += 1

    def leave(self, caller: str) -> None:
        """Count a stream that is over."""
        self._account(caller).streams -= 1

    def _account(self, caller: str) -> _Account:
        full = float(self._limits.requests_per_minute or 0)
        account = self._accounts.setdefault(caller, _Account(full, self._clock()))
        self._accounts.move_to_end(caller)
        while len(self._accounts) > MOST_CALLERS and not next(iter(self._accounts.values())).streams:
            self._accounts.popitem(last=False)
        return account
