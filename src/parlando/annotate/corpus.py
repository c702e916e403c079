"""The corpus that an annotation leaves: lists that trainings read, everything that was found out, and what was lost."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from parlando.annotate.losses import Losses
from parlando.annotate.rows import Row, canonical
from parlando.annotate.step import Step
from parlando.annotate.workspace import CLIPS, Workspace, whole_file
from parlando.data.manifest import Utterance

MANIFEST, SAMPLES = "manifest.jsonl", "samples.jsonl"
ANNOTATIONS, REJECTED, STEPS, YIELD = "annotations.jsonl", "rejected.jsonl", "steps.json", "yield.json"


@dataclass(frozen=True)
class Corpus:
    """Rows that are kept and rows that are not, each in the order of their names."""

    kept: tuple[Row, ...]
    rejected: tuple[Row, ...]

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Corpus:
        """In order, whoever was ready first."""
        ordered = sorted(rows, key=lambda row: row.id)
        return cls(
            tuple(row for row in ordered if row.rejected is None),
            tuple(row for row in ordered if row.rejected is not None),
        )


def write_corpus(corpus: Corpus, steps: Sequence[Step], work: Workspace) -> Losses:
    """Write all lists, and take away clips of an earlier run that are no longer in them."""
    out = work.out
    _write_lines(out / MANIFEST, (json.dumps(asdict(_utterance(row)), ensure_ascii=False) for row in corpus.kept))
    _write_lines(out / SAMPLES, (canonical(_sample(row)) for row in corpus.kept))
    _write_lines(out / ANNOTATIONS, (row.to_json() for row in corpus.kept))
    _write_lines(out / REJECTED, (row.to_json() for row in corpus.rejected))
    _write_json(out / STEPS, {step.signature: _described(step) for step in steps})
    losses = Losses.of(corpus.kept, corpus.rejected, [step.name for step in steps])
    _write_json(out / YIELD, losses.as_data())
    wanted = {work.clip(row.facts["clip"]) for row in corpus.kept}
    for path in sorted((out / CLIPS).rglob("*")):
        if path.is_file() and path not in wanted:
            path.unlink()
    return losses


def _utterance(row: Row) -> Utterance:
    facts = row.facts
    phones = facts.get("phones")
    return Utterance(
        row.id,
        f"{CLIPS}/{facts['clip']}",
        facts["speaker"],
        facts["language"],
        facts["text"],
        row.seconds,
        None if phones is None else tuple((phone, end) for phone, end in phones),
    )


def _sample(row: Row) -> dict[str, Any]:
    """A triple: the scene and its speaker, the text, the audio."""
    clip = {"type": "audio", "audio_url": f"{CLIPS}/{row.facts['clip']}"}
    turns = (("system", row.facts["system"]), ("user", row.facts["text"]), ("assistant", [clip]))
    return {
        "messages": [{"role": role, "content": content} for role, content in turns],
        "start_index": 0,
        "misc": {"id": row.id, "speaker": row.facts["speaker"], "seconds": row.seconds},
    }


def _described(step: Step) -> dict[str, Any]:
    return {"name": step.name, "version": step.version, "settings": step.settings}


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    with whole_file(path) as partial, partial.open("w", encoding="utf-8") as file:
        file.writelines(line + "\n" for line in lines)


def _write_json(path: Path, data: Mapping[str, Any]) -> None:
    with whole_file(path) as partial:
        partial.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
