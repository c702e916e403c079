"""How far the times of our words are from those of Whisper, by the model's attention and by shares, side by side.

python recipes/word_times.py --model higgs-mini --model cosyvoice-mini --sentences 20

Whisper's own times are good to 50 to 100 ms, so that this bounds an error rather than measures it. Needs `.[eval]` and
`parlando judges install`.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np

import parlando
from parlando.audio.clip import Clip
from parlando.core.types import NOWHERE, SpokenWord
from parlando.evaluate.judges.whisper import FasterWhisper
from parlando.result import Chunk
from parlando.words import WordClock

HELD_OUT = Path(parlando.__file__).parent / "evaluate" / "data" / "heldout_en.txt"
Onset = tuple[str, float]


def main() -> None:
    """Print a table, a row for each model and method."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", action="append")
    parser.add_argument("--sentences", type=int, default=20)
    parser.add_argument("--whisper", default="base")
    options = parser.parse_args()
    texts = HELD_OUT.read_text(encoding="utf-8").splitlines()[: options.sentences]
    judge = FasterWhisper(options.whisper)
    print("| model | times | words | bias | median | 90 % | within 60 ms |\n|---|---|---|---|---|---|---|")
    for model in options.model or ["higgs-mini"]:
        gaps: dict[str, list[float]] = {}
        for name, gap in measure(model, texts, judge):
            gaps.setdefault(name, []).append(gap)
        for name, found in gaps.items():
            print(row(model, name, np.array(found)), flush=True)


def measure(model: str, texts: Sequence[str], judge: FasterWhisper) -> Iterator[tuple[str, float]]:
    """By how many seconds each word begins later than Whisper hears it, by every method."""
    with parlando.load(model, rows=1) as synthesizer:
        voices = list(synthesizer.voices)
        for seed, text in enumerate(texts):
            chunks = list(
                synthesizer.stream(text, voices[seed % len(voices)], seed=seed, lead_silence_seconds=math.inf)
            )
            samples = np.concatenate([chunk.samples for chunk in chunks])
            heard = [
                (plain(word.text), word.start_seconds)
                for word in judge.hear_words(Clip(samples, synthesizer.sample_rate), "en")
            ]
            for name, onsets in methods(synthesizer, chunks).items():
                yield from ((name, gap) for gap in differences(onsets, heard))


def methods(synthesizer: parlando.Synthesizer, chunks: Sequence[Chunk]) -> dict[str, list[Onset]]:
    """When the words of one sentence begin: by attention, by the share of their letters, as those of the whole text."""
    text, seconds = chunks[-1].text, sum(chunk.duration_seconds for chunk in chunks)
    clock = WordClock(1 / synthesizer.model.frame_rate, synthesizer.sample_rate, synthesizer.model.prompts.spans)
    for chunk in chunks:
        clock.hear([replace(frame, place=NOWHERE) for frame in chunk.frames], chunk.samples)
    told = [word for chunk in chunks for word in chunk.words]
    letters = [(plain(text[word.start : word.stop]), seconds * word.start / len(text)) for word in told]
    return {
        "attention": onsets(text, told),
        "shares, pauses heard": onsets(text, clock.words(text, final=True)),
        "shares of letters": letters,
    }


def onsets(text: str, words: Sequence[SpokenWord]) -> list[Onset]:
    """The words and when they begin."""
    return [(plain(text[word.start : word.stop]), word.start_seconds) for word in words]


def differences(ours: Sequence[Onset], theirs: Sequence[Onset]) -> Iterator[float]:
    """Of the words that both have, in order."""
    matcher = SequenceMatcher(None, [word for word, _ in ours], [word for word, _ in theirs], False)
    for first, second, count in matcher.get_matching_blocks():
        for index in range(count):
            yield ours[first + index][1] - theirs[second + index][1]


def plain(word: str) -> str:
    """Its letters."""
    return re.sub(r"\W", "", word.casefold())


def row(model: str, name: str, gaps: np.ndarray) -> str:
    """Of the table; deviations in milliseconds."""
    sizes = np.abs(gaps) * 1000
    within = f"{np.mean(sizes <= 60):.0%}"
    spread = f"{np.median(sizes):.0f} | {np.quantile(sizes, 0.9):.0f}"
    return f"| {model} | {name} | {len(gaps)} | {np.median(gaps) * 1000:+.0f} | {spread} | {within} |"


if __name__ == "__main__":
    main()
