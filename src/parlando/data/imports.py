"""Bring a folder of recordings with a table of transcripts into a manifest; the audio stays where it is."""

from __future__ import annotations

import csv
import os
from dataclasses import replace
from pathlib import Path

from parlando.core.errors import ConfigError, FileMissingError
from parlando.data.manifest import SPEECH, Utterance, append_manifest

COLUMNS = ("path", "speaker", "language", "text", "seconds")


def import_table(table: Path, manifest: Path) -> int:
    """Turn a tab-separated table (path, speaker, language, text, seconds) into a manifest; returns the number of clips.

    A column ``kind`` may say what is no speech, such as music or sound. A clip's id is its file's name, or its whole
    path where two files have one name.

    Raises:
        FileMissingError: the table or a recording it names is not there.
        ConfigError: the table lacks a column, or a line is not whole; the message names the line.
    """
    if not table.is_file():
        raise FileMissingError(table, "table of transcripts")
    with table.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    absent = [c for c in COLUMNS if not rows or c not in rows[0]]
    if absent:
        raise ConfigError(f"{table}: needs tab-separated columns {', '.join(COLUMNS)}; missing: {', '.join(absent)}")
    utterances = [_utterance(row, f"{table}:{line}", table.parent, manifest.parent) for line, row in enumerate(rows, 2)]
    manifest.parent.mkdir(parents=True, exist_ok=True)
    manifest.unlink(missing_ok=True)
    append_manifest(manifest, _with_ids(utterances, [row["path"] for row in rows]))
    return len(rows)


def _utterance(row: dict[str, str | None], where: str, source: Path, target: Path) -> Utterance:
    path, speaker, language, text, seconds = (row[column] or "" for column in COLUMNS)
    audio = source / path
    if not audio.is_file():
        raise FileMissingError(audio, "recording")
    try:
        length = float(seconds)
    except ValueError as error:
        raise ConfigError(
            f"{where}: seconds are {seconds!r}, which is no number; see the columns of this line"
        ) from error
    relative = os.path.relpath(audio.resolve(), target.resolve())
    return Utterance(audio.stem, relative, speaker, language, text, length, kind=row.get("kind") or SPEECH)


def _with_ids(utterances: list[Utterance], paths: list[str]) -> list[Utterance]:
    if len({utterance.id for utterance in utterances}) == len(utterances):
        return utterances
    whole = ["_".join(Path(path).with_suffix("").parts) for path in paths]
    return [replace(utterance, id=name) for utterance, name in zip(utterances, whole, strict=True)]
