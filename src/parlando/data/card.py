"""A corpus's own card: what is in it, what made it, under which licences, and what was left out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from parlando.data.checking import corpus_yield, read_heard
from parlando.data.manifest import read_manifest
from parlando.data.teachers.protocol import Teacher

CARD = "card.md"
_TABLE_HEAD = "| speaker | is | language | sentences | minutes |\n|---|---|---|---|---|"


def write_card(manifest: Path, teacher: Teacher) -> Path:
    """Write the card of a corpus beside its manifest; returns its path."""
    totals: Mapping[tuple[str, str], list[float]] = defaultdict(list)
    for utterance in read_manifest(manifest):
        totals[utterance.speaker, utterance.language].append(utterance.seconds)
    hours = sum(map(sum, totals.values())) / 3600
    judges = sorted({each.judge for each in read_heard(manifest.parent).values()})
    lines = [
        f"# {manifest.parent.resolve().name}",
        f"{hours:.2f} h of synthetic speech by {teacher.name}: {sum(map(len, totals.values()))} sentences, "
        f"{len({speaker for speaker, _ in totals})} speakers. Made with `parlando data synthesise`.",
        "## Made with",
        "\n".join(f"- {each.name}: {each.licence} ({each.origin})" for each in teacher.sources),
        "## What is left out",
        f"{corpus_yield(manifest)}." + (f" Heard by {', '.join(judges)}." if judges else " No judge has heard it."),
        "## Speakers",
        "\n".join(
            [_TABLE_HEAD, *(_row(*who, lengths, teacher.describe(who[0])) for who, lengths in sorted(totals.items()))]
        ),
    ]
    card = manifest.parent / CARD
    card.write_text("\n\n".join(lines) + "\n", encoding="utf-8")
    return card


def _row(speaker: str, language: str, seconds: Sequence[float], what: str) -> str:
    return f"| {speaker} | {what} | {language} | {len(seconds)} | {sum(seconds) / 60:.1f} |"
