"""Emotion that is cloned, over the Emotional Speech Dataset (Zhou et al., 2021), as Higgs Audio reports it.

For each speaker and emotion a reference is drawn and another text of the same emotion is said. The published list is
not known, so ours is drawn by a seed and shipped; emotion2vec's cosine rewards mimicry, so classes are reported too.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from parlando.core.errors import FileMissingError, InputError
from parlando.evaluate.judges.base import EmotionEncoder
from parlando.evaluate.protocols.seed_tts import figures as spoken_figures
from parlando.evaluate.protocols.shared import Frame, Judges, samples_of, system_report
from parlando.evaluate.suite.figures import Figure, average
from parlando.evaluate.suite.items import Item, ItemList, Sample, list_folder, read_items
from parlando.evaluate.suite.report import EvalReport
from parlando.evaluate.suite.run import Measure, Output, Run
from parlando.evaluate.suite.systems import System

EMOTIONS = ("neutral", "angry", "happy", "sad", "surprise")
TEXTS_PER_EMOTION = 350
MANDARIN_SPEAKERS, ENGLISH_SPEAKERS = range(1, 11), range(11, 21)
COLUMNS = ("speaker", "emotion", "reference", "target")
SMALL_COLUMNS = ("id", "emotion", "audio", "audio_text", "text")


def draw_list(seed: int = 0, per_emotion: int = 2) -> list[tuple[str, str, str, str]]:
    """Speaker, emotion, and the ids of a reference and of a target with another text, for all of ESD's speakers."""
    chance, rows = random.Random(seed), []
    for speaker in (*MANDARIN_SPEAKERS, *ENGLISH_SPEAKERS):
        for place, emotion in enumerate(EMOTIONS):
            for _ in range(per_emotion):
                pair = chance.sample(range(1, TEXTS_PER_EMOTION + 1), 2)
                ids = [f"{speaker:04d}_{place * TEXTS_PER_EMOTION + text:06d}" for text in pair]
                rows.append((f"{speaker:04d}", emotion, *ids))
    return [(a, b, c, d) for a, b, c, d in rows]


def read_esd(source: str, corpus: Path) -> ItemList:
    """A list of ESD's ids, with the corpus in its published folders.

    Raises:
        FileMissingError: there is no such list, or no corpus.
        InputError: the list lacks a column.
    """
    texts = _transcripts(corpus)
    return read_items(source, COLUMNS, lambda row, line: _corpus_item(row, line, corpus, texts))


def read_small(source: str) -> ItemList:
    """A list that names its recordings itself, relative to its own folder; errors as for `read_esd`."""
    home = list_folder(source)
    return read_items(source, SMALL_COLUMNS, lambda row, line: _small_item(row, line, home))


def _small_item(row: Mapping[str, str], line: int, home: Path) -> Item:
    audio = home / row["audio"]
    if not audio.is_file():
        raise FileMissingError(audio, "recording")
    return Item(row["id"], row["text"], "en", line, row["emotion"], Sample(audio, row["audio_text"]))


def _corpus_item(row: Mapping[str, str], line: int, corpus: Path, texts: Mapping[str, str]) -> Item:
    found = next(iter(sorted((corpus / row["speaker"]).rglob(f"{row['reference']}.wav"))), None)
    if found is None:
        raise InputError(f"no recording {row['reference']}.wav of speaker {row['speaker']} in '{corpus}'")
    if row["target"] not in texts or row["reference"] not in texts:
        raise InputError(f"no text of {row['target']} or of {row['reference']} in '{corpus}'")
    language = "zh" if int(row["speaker"]) in MANDARIN_SPEAKERS else "en"
    sample = Sample(found, texts[row["reference"]])
    return Item(row["target"], texts[row["target"]], language, line, row["emotion"], sample)


def _transcripts(corpus: Path) -> dict[str, str]:
    """Texts by id, from every speaker's own table (id, text, emotion)."""
    if not corpus.is_dir():
        raise FileMissingError(corpus, "folder of the Emotional Speech Dataset")
    texts = {}
    for table in sorted(corpus.glob("*/*.txt")):
        for line in table.read_text(encoding="utf-8", errors="replace").splitlines():
            cells = line.strip().split("\t")
            if len(cells) >= 2:
                texts[cells[0].strip()] = cells[1].strip()
    return texts


def run_esd(run: Run, systems: Sequence[System], items: ItemList, judges: Judges, machine: str) -> EvalReport:
    """Have every system say the list in the voice and the emotion of its references."""
    reports = []
    for system in systems:
        outputs = run.speak(system, items.items)
        found = spoken_figures(run, outputs, judges)
        groups = {}
        if judges.emotion:
            found += emotion_figures(run, judges.emotion, outputs)
            for emotion in dict.fromkeys(item.group for item in items.items):
                same = [output for output in outputs if output.item.group == emotion]
                groups[emotion] = tuple(emotion_figures(run, judges.emotion, same))
        reports.append(system_report(system, outputs, found, groups))
    notes = () if judges.emotion else ("no judge of emotions: emotion similarity and classes are left out",)
    return Frame("esd", items, judges.cards, machine, notes).report(run, reports)


def emotion_figures(run: Run, judge: EmotionEncoder, outputs: Sequence[Output]) -> list[Figure]:
    """Cosine to the reference's emotion, and how often the emotion that is heard is the one that was wanted."""

    def felt(output: Output) -> list[object]:
        feeling = judge.feel(output.clip)
        return [[round(float(v), 6) for v in feeling.embedding], feeling.label]

    measure = Measure("emotion", judge.card, felt)
    said = run.measure(measure, outputs)
    wanted = run.measure(measure, samples_of([output.item for output in outputs]))
    pairs = zip(said, wanted, strict=True)
    cosines = [sum(x * y for x, y in zip(a[0], b[0], strict=True)) if a and b else None for a, b in pairs]
    right = [
        None if a is None else 100.0 * _same(a[1], output.item.group) for a, output in zip(said, outputs, strict=True)
    ]
    by = str(judge.card)
    return [average("emotion SIM", cosines, by), average("emotion recall", right, by, " %")]


def _same(heard: str, wanted: str) -> bool:
    """Labels of one emotion differ in their endings: surprise, surprised."""
    return heard.lower()[:5] == wanted.lower()[:5]
