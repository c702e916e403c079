"""The WER protocol: say held-out sentences, have a recogniser write them down, compare with a reference's own rate."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Protocol

from tqdm import tqdm

from parlando.audio.clip import Clip
from parlando.audio.files import read_audio
from parlando.audio.silence import trim_silence
from parlando.evaluate.recognise import recognise
from parlando.evaluate.wer import ErrorRates, error_rates, sentence_rate
from parlando.result import Speech
from parlando.text.normalize import normalize
from parlando.text.segment import segment

SHORTEST_RATIO, LONGEST_RATIO = 0.7, 1.4


class Speaker(Protocol):
    """Whatever says a sentence; `parlando.Synthesizer` does."""

    def say(self, text: str, voice: str | None = None, *, seed: int | None = None) -> Speech:
        """Say it."""
        ...


@dataclass(frozen=True)
class Plan:
    """What to say, and how: sentence ``i`` is said with the seed ``seed + i``; ``folder`` keeps the audio."""

    sentences: tuple[str, ...]
    folder: Path
    model: str = "default"
    voice: str | None = None
    seed: int = 0


@dataclass(frozen=True)
class Take:
    """One sentence as it was said; ``key`` tells the takes of another model, voice or seed apart."""

    key: str
    audio: str
    duration_seconds: float
    work_seconds: float
    attempts: int
    finish: str


@dataclass(frozen=True)
class Row:
    """One sentence of the report; ``ratio`` is spoken length over expected length, and needs a reference."""

    text: str
    heard: str
    wer: float
    spoken_seconds: float
    ratio: float | None
    attempts: int
    finish: str


@dataclass(frozen=True)
class WerReport:
    """The protocol's result; ``difference_points`` is 100 × (model − reference)."""

    model: str
    voice: str | None
    reference: str | None
    sentences: int
    model_rates: ErrorRates
    reference_rates: ErrorRates | None
    difference_points: float | None
    ended_by_themselves: int
    ended_in_bounds: int
    retried: int
    median_ratio: float | None
    real_time_factor: float
    rows: tuple[Row, ...]


def _read_takes(path: Path) -> dict[str, Take]:
    if not path.exists():
        return {}
    takes = [Take(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    return {take.key: take for take in takes if (path.parent / take.audio).is_file()}


def _say(speaker: Speaker, plan: Plan, number: int, key: str) -> Take:
    speech = speaker.say(plan.sentences[number], plan.voice, seed=plan.seed + number)
    name = f"{number:03d}-{hashlib.sha1(key.encode()).hexdigest()[:8]}.wav"
    speech.save(plan.folder / name)
    parts = speech.report.sentences
    return Take(
        key=key,
        audio=name,
        duration_seconds=speech.duration_seconds,
        work_seconds=speech.timings.total_seconds,
        attempts=max((p.attempts for p in parts), default=1),
        finish=next((p.finish for p in parts if p.finish != "end"), "end"),
    )


def say_all(speaker: Speaker, plan: Plan) -> Iterator[Take]:
    """Say every sentence of the plan that the folder does not hold yet: an interrupted run goes on where it stopped."""
    plan.folder.mkdir(parents=True, exist_ok=True)
    log = plan.folder / "takes.jsonl"
    known = _read_takes(log)
    for number, sentence in enumerate(tqdm(plan.sentences, desc="say", unit="sentence")):
        key = f"{plan.model}|{plan.voice}|{plan.seed + number}|{sentence}"
        if key not in known:
            known[key] = _say(speaker, plan, number, key)
            with log.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(asdict(known[key])) + "\n")
        yield known[key]


def spoken_seconds(clip: Clip) -> float:
    """Length from the first to the last speech, pauses between included."""
    return len(trim_silence(clip.samples, clip.sample_rate)) / clip.sample_rate


def length_prior(synthesizer: Any, voice: str | None = None) -> Callable[[str], float]:
    """The seconds that the model's own prompts expect of a text."""
    model = synthesizer.model
    speaker = model.voices[voice or model.default_voice]

    def expected_seconds(text: str) -> float:
        prompts = (model.prompts.build(normalize(sentence), speaker) for sentence in segment(text))
        return float(sum(prompt.expected_frames for prompt in prompts) / model.frame_rate)

    return expected_seconds


def _row(text: str, take: Take, clip: Clip, heard: str, expected_seconds: float) -> Row:
    length = spoken_seconds(clip)
    ratio = length / expected_seconds if expected_seconds else None
    return Row(text, heard, sentence_rate(text, heard), length, ratio, take.attempts, take.finish)


def _in_bounds(row: Row) -> bool:
    return row.finish == "end" and (row.ratio is None or SHORTEST_RATIO <= row.ratio <= LONGEST_RATIO)


def run_wer(
    speaker: Speaker,
    plan: Plan,
    reference: tuple[str, Sequence[Clip]] | None = None,
    prior: Callable[[str], float] | None = None,
) -> WerReport:
    """Run the protocol; ``reference`` is a name and one clip per sentence, in order.

    The expected length is that of the reference, or what ``prior`` says of a text when there is none.

    Raises:
        MissingDependencyError: the recogniser or jiwer is not installed.
    """
    takes = list(say_all(speaker, plan))
    clips = [read_audio(plan.folder / take.audio) for take in takes]
    heard = recognise(clips, label="recognise the model")
    if reference:
        truth = error_rates(plan.sentences, recognise(reference[1], label=f"recognise {reference[0]}"))
        expected = [spoken_seconds(clip) for clip in reference[1]]
    else:
        truth, expected = None, [prior(text) if prior else 0.0 for text in plan.sentences]
    rows = tuple(_row(*parts) for parts in zip(plan.sentences, takes, clips, heard, expected, strict=True))
    rates = error_rates(plan.sentences, heard)
    work_seconds, audio_seconds = (sum(t.work_seconds for t in takes), sum(t.duration_seconds for t in takes))
    ratios = [row.ratio for row in rows if row.ratio is not None]
    return WerReport(
        model=plan.model,
        voice=plan.voice,
        reference=reference[0] if reference else None,
        sentences=len(rows),
        model_rates=rates,
        reference_rates=truth,
        difference_points=100 * (rates.wer - truth.wer) if truth else None,
        ended_by_themselves=sum(row.finish == "end" for row in rows),
        ended_in_bounds=sum(map(_in_bounds, rows)),
        retried=sum(row.attempts > 1 for row in rows),
        median_ratio=median(ratios) if ratios else None,
        real_time_factor=work_seconds / audio_seconds,
        rows=rows,
    )
