"""The installed distribution: its name, its version, and the command that adds one of its extras."""

from __future__ import annotations

import json
import shlex
import sys
from importlib.metadata import Distribution, PackageNotFoundError
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

DISTRIBUTION = "parlando-speech"
"""What pip calls it; the module and the command are called ``parlando``."""


def version() -> str:
    """The installed version; "not installed" where the sources are only on Python's path."""
    try:
        return Distribution.from_name(DISTRIBUTION).version
    except PackageNotFoundError:
        return "not installed"


def with_extra(extra: str) -> str:
    """The command that adds an extra to this very installation, from where it was installed."""
    requirement = shlex.join(_requirement(extra, _origin()))
    return f"{shlex.quote(sys.executable)} -m pip install {requirement}"


def _origin() -> dict[str, Any]:
    """What pip noted down about the source (``direct_url.json``); empty for what came from an index."""
    try:
        noted = Distribution.from_name(DISTRIBUTION).read_text("direct_url.json")
    except PackageNotFoundError:
        noted = None
    origin: dict[str, Any] = json.loads(noted) if noted else {}
    return origin


def _requirement(extra: str, origin: dict[str, Any]) -> list[str]:
    url = origin.get("url", "")
    if url.startswith("file:"):
        return _local(extra, Path(url2pathname(urlsplit(url).path)), origin)
    named = f"{DISTRIBUTION}[{extra}]"
    if "vcs_info" in origin:
        vcs = origin["vcs_info"]
        return [f"{named} @ {vcs['vcs']}+{url}@{vcs['commit_id']}"]
    return [f"{named} @ {url}" if url else named]


def _local(extra: str, source: Path, origin: dict[str, Any]) -> list[str]:
    """From a folder or a wheel on this machine; by name where that is gone, as in an image that was built in stages."""
    if not source.exists():
        return [f"{DISTRIBUTION}[{extra}]"]
    editable = ["-e"] if origin.get("dir_info", {}).get("editable") else []
    return [*editable, f"{source}[{extra}]"]
