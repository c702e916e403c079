"""A manifest: one JSON line per utterance, audio paths relative to the manifest's folder."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from parlando.core.errors import ConfigError, FileMissingError

SPEECH = "speech"


@dataclass(frozen=True)
class Utterance:
    """One recording and what is said in it; ``phones`` are (name, end in seconds) pairs when they are known.

    ``kind`` is what is heard: "speech", "music", "sound" or a name of the corpus's own.
    """

    id: str
    audio: str
    speaker: str
    language: str
    text: str
    seconds: float
    phones: tuple[tuple[str, float], ...] | None = None
    kind: str = SPEECH


def read_manifest(path: Path) -> Iterator[Utterance]:
    """Yield the utterances of a ``.jsonl`` manifest.

    Raises:
        FileMissingError: there is no such file.
        ConfigError: a line is not an utterance; the message names the line.
    """
    if not path.is_file():
        raise FileMissingError(path, "manifest")
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                fields = dict(json.loads(line))
                phones = fields.pop("phones", None)
                yield Utterance(**fields, phones=phones and tuple((p, e) for p, e in phones))
            except (TypeError, ValueError) as error:
                raise ConfigError(f"{path}:{number} is not an utterance: {error}") from error


def append_manifest(path: Path, utterances: Iterable[Utterance]) -> None:
    """Append utterances to a manifest, one JSON object a line."""
    with path.open("a", encoding="utf-8") as lines:
        lines.writelines(json.dumps(asdict(u), ensure_ascii=False) + "\n" for u in utterances)


def mend_manifest(path: Path) -> None:
    """Cut off a last line that is not whole, as a process leaves it that was killed while it wrote."""
    if not path.is_file():
        return
    with path.open("rb+") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            file.truncate(whole)
