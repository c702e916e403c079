"""Several speakers: does each turn have its speaker's voice, and no other's? By our own lists and definitions.

The recogniser's words with times are aligned with the script, so each turn has a place; voices of turns of a second or
more are compared. The score is the geometric mean of sameness within and difference between speakers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from parlando.audio.clip import Clip
from parlando.core.errors import ConfigError, FileMissingError, InputError
from parlando.evaluate.judges.base import SpeakerEncoder, TimedAsr, Word
from parlando.evaluate.optional import require
from parlando.evaluate.protocols.shared import (
    Frame,
    Judges,
    as_output,
    mark_figures,
    speed_figures,
    strict_figure,
    system_report,
    voices,
)
from parlando.evaluate.suite.figures import Figure, average
from parlando.evaluate.suite.items import Item, ItemList, Sample, Turn, list_folder, read_json_items
from parlando.evaluate.suite.report import EvalReport
from parlando.evaluate.suite.run import Measure, Output, Run
from parlando.evaluate.suite.systems import System
from parlando.evaluate.wer import normalise

SHORTEST_TURN_SECONDS = 1.0
NOTES = (
    f"turns of {SHORTEST_TURN_SECONDS:g} s or more count; intra: mean cosine of turns of one speaker, "
    "inter: 1 − that of different speakers; score: their geometric mean",
    "attribution: turns nearer to their own speaker's other turns (or sample) than to another's",
)


@dataclass(frozen=True)
class TurnVoices:
    """Of one dialogue: who speaks in each turn that was found and is long enough, and its voice (float [turn, dim])."""

    speakers: tuple[int, ...]
    embeddings: np.ndarray


def read_dialogues(source: str) -> ItemList:
    """A list of JSON lines: ``id``, ``subset``, ``turns`` [[speaker, text], …], and perhaps ``samples`` of speakers.

    A sample is [recording, words]; recordings are relative to the list.

    Raises:
        FileMissingError: there is no such list.
    """
    home = list_folder(source)
    return read_json_items(source, lambda fields, number: _dialogue(fields, number, home))


def _dialogue(fields: Mapping[str, Any], line: int, home: Path) -> Item:
    turns = tuple(Turn(int(speaker), str(text).strip()) for speaker, text in fields["turns"])
    samples = tuple(Sample(home / audio, str(text)) for audio, text in fields.get("samples", ()))
    if not turns or not all(normalise(turn.text) for turn in turns):
        raise InputError("a turn is empty; each needs at least one letter or digit")
    if samples and max(turn.speaker for turn in turns) >= len(samples):
        raise InputError("a speaker has no sample; give one for each, or none at all")
    absent = [sample.audio for sample in samples if not sample.audio.is_file()]
    if absent:
        raise FileMissingError(absent[0], "sample")
    text = " ".join(turn.text for turn in turns)
    return Item(str(fields["id"]), text, "en", line, str(fields["subset"]), turns=turns, samples=samples)


def run_dialogue(run: Run, systems: Sequence[System], items: ItemList, judges: Judges, machine: str) -> EvalReport:
    """Have every system speak the dialogues.

    Raises:
        ConfigError: there is no judge of words with times, or none of voices.
    """
    if not isinstance(judges.asr, TimedAsr) or judges.speaker is None:
        raise ConfigError("dialogues need --speaker and an --asr that tells when words are said: whisper, or a URL")
    reports = []
    for system in systems:
        outputs = run.speak(system, items.items)
        figures = dialogue_figures(run, judges.asr, judges.speaker, outputs)
        subsets = dict.fromkeys(item.group for item in items.items)
        groups = {
            name: tuple(dialogue_figures(run, judges.asr, judges.speaker, [o for o in outputs if o.item.group == name]))
            for name in subsets
        }
        if judges.mos:
            figures += mark_figures(run, judges.mos, outputs)
        reports.append(system_report(system, outputs, [*figures, *speed_figures(outputs)], groups))
    return Frame("dialogue", items, judges.cards, machine, NOTES).report(run, reports)


def dialogue_figures(run: Run, asr: TimedAsr, encoder: SpeakerEncoder, outputs: Sequence[Output]) -> list[Figure]:
    """All figures of some dialogues."""
    measure = Measure("timed words", asr.card, lambda out: _timed_words(asr, out), lambda item: item.language)
    raw = run.measure(measure, outputs)
    heard = [None if words is None else [Word(*word) for word in words] for words in raw]
    spans = [
        None if words is None else turn_spans(output.item.turns, words)
        for output, words in zip(outputs, heard, strict=True)
    ]
    found = [_turn_voices(run, encoder, output, places) for output, places in zip(outputs, spans, strict=True)]
    samples = [_sample_voices(run, encoder, output.item) for output in outputs]
    intra = [None if f is None else intra_similarity(f) for f in found]
    inter = [None if f is None else inter_dissimilarity(f) for f in found]
    scores = [None if a is None or b is None else float(np.sqrt(a * b)) for a, b in zip(intra, inter, strict=True)]
    right = [hit for f, s in zip(found, samples, strict=True) if f for hit in attributed(f, s)]
    placed = [100.0 * (place is not None) for places in spans if places for place in places]
    by = str(encoder.card)
    return [
        strict_figure(outputs, [None if w is None else " ".join(x.text for x in w) for w in heard], asr.card),
        average("turns found", placed, str(asr.card), " %"),
        average("intra", intra, by),
        average("inter", inter, by),
        average("score", scores, by),
        average("attribution", [100.0 * hit for hit in right], by, " %"),
    ]


def _timed_words(asr: TimedAsr, output: Output) -> list[list[Any]]:
    words = asr.hear_words(output.clip, output.item.language)
    return [[w.text, round(w.start_seconds, 3), round(w.end_seconds, 3)] for w in words]


def turn_spans(turns: Sequence[Turn], words: Sequence[Word]) -> list[tuple[float, float] | None]:
    """Where each turn is, in seconds: from its first to its last word that was heard; None where none was.

    Raises:
        MissingDependencyError: jiwer is not installed.
    """
    script = [(number, word) for number, turn in enumerate(turns) for word in normalise(turn.text).split()]
    heard = [(word, piece) for word in words for piece in normalise(word.text).split()]
    said = require("jiwer").process_words(" ".join(w for _, w in script), " ".join(piece for _, piece in heard))
    places: list[list[Word]] = [[] for _ in turns]
    for chunk in said.alignments[0]:
        if chunk.type in ("equal", "substitute"):
            pairs = zip(
                script[chunk.ref_start_idx : chunk.ref_end_idx],
                heard[chunk.hyp_start_idx : chunk.hyp_end_idx],
                strict=True,
            )
            for (number, _), (word, _) in pairs:
                places[number].append(word)
    return [(min(w.start_seconds for w in p), max(w.end_seconds for w in p)) if p else None for p in places]


def _turn_voices(
    run: Run, encoder: SpeakerEncoder, output: Output, spans: Sequence[tuple[float, float] | None] | None
) -> TurnVoices | None:
    """The voices of the turns that are long enough; None where that is fewer than two."""
    if spans is None:
        return None
    kept = [
        (turn.speaker, span)
        for turn, span in zip(output.item.turns, spans, strict=True)
        if span is not None and span[1] - span[0] >= SHORTEST_TURN_SECONDS
    ]

    def embed(out: Output) -> list[list[float]]:
        clip = out.clip
        return [[round(float(v), 6) for v in encoder.embed(_cut(clip, span))] for _, span in kept]

    measure = Measure("voices of turns", encoder.card, embed, lambda item: [span for _, span in kept])
    (found,) = run.measure(measure, [output])
    if found is None or len(found) < 2:
        return None
    return TurnVoices(tuple(speaker for speaker, _ in kept), np.array(found))


def _cut(clip: Clip, span: tuple[float, float]) -> Clip:
    start, end = (round(second * clip.sample_rate) for second in span)
    return Clip(clip.samples[start:end], clip.sample_rate)


def _sample_voices(run: Run, encoder: SpeakerEncoder, item: Item) -> np.ndarray | None:
    found = voices(run, encoder, [as_output(item, sample) for sample in item.samples])
    return np.stack([v for v in found if v is not None]) if found and all(v is not None for v in found) else None


def _pairs(turns: TurnVoices, same: bool) -> list[float]:
    places = combinations(range(len(turns.speakers)), 2)
    kept = [(a, b) for a, b in places if (turns.speakers[a] == turns.speakers[b]) == same]
    return [float(turns.embeddings[a] @ turns.embeddings[b]) for a, b in kept]


def intra_similarity(turns: TurnVoices) -> float | None:
    """Mean cosine of two turns of one speaker, 0 to 1; None where nobody has two."""
    cosines = _pairs(turns, same=True)
    return float(np.clip(np.mean(cosines), 0, 1)) if cosines else None


def inter_dissimilarity(turns: TurnVoices) -> float | None:
    """1 − the mean cosine of two turns of different speakers, 0 to 1; None where there is one speaker."""
    cosines = _pairs(turns, same=False)
    return float(np.clip(1 - np.mean(cosines), 0, 1)) if cosines else None


def attributed(turns: TurnVoices, samples: np.ndarray | None) -> list[bool]:
    """For each turn whether it is nearest to its own speaker: that one's sample, or the mean of their other turns.

    A turn that its speaker's only one is, without samples, cannot be told and is left out.
    """
    speakers = sorted(set(turns.speakers))
    hits = []
    for number, speaker in enumerate(turns.speakers):
        if samples is not None:
            centres = {other: samples[other] for other in range(len(samples))}
        else:
            others = {s: [i for i, who in enumerate(turns.speakers) if who == s and i != number] for s in speakers}
            if len(speakers) < 2 or not all(others.values()):
                continue
            centres = {s: _centre(turns.embeddings[places]) for s, places in others.items()}
        nearest = max(centres, key=lambda s: float(centres[s] @ turns.embeddings[number]))
        hits.append(nearest == speaker)
    return hits


def _centre(embeddings: np.ndarray) -> np.ndarray:
    mean = embeddings.mean(axis=0)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12))
