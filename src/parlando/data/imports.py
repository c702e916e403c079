"""Bring a folder of recordings with a table of transcripts into a manifest; the audio stays where it is."""

from __future__ import annotations

import csv
import os
from pathlib import Path

from parlando.core.errors import ConfigError, FileMissingError
from parlando.data.manifest import Utterance, append_manifest

COLUMNS = ("path", "speaker", "language", "text", "seconds")


def import_table(table: Path, manifest: Path) -> int:
    """Turn a tab-separated table (path, speaker, language, text, seconds) into a manifest; returns the number of clips.

    Raises:
        FileMissingError: the table or a recording it names is not there.
        ConfigError: the table lacks a column.
    """
    if not table.is_file():
        raise FileMissingError(table, "table of transcripts")
    with table.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    absent = [c for c in COLUMNS if not rows or c not in rows[0]]
    if absent:
        raise ConfigError(f"{table}: needs tab-separated columns {', '.join(COLUMNS)}; missing: {', '.join(absent)}")
    manifest.parent.mkdir(parents=True, exist_ok=True)
    manifest.unlink(missing_ok=True)
    append_manifest(manifest, (_utterance(row, table.parent, manifest.parent) for row in rows))
    return len(rows)


def _utterance(row: dict[str, str], source: Path, target: Path) -> Utterance:
    audio = source / row["path"]
    if not audio.is_file():
        raise FileMissingError(audio, "recording")
    relative = os.path.relpath(audio.resolve(), target.resolve())
    return Utterance(Path(row["path"]).stem, relative, row["speaker"], row["language"], row["text"], float(row["seconds"]))
