"""How far the times of our words are from those of a forced alignment, by the model's attention and by shares.

python recipes/word_times.py --model higgs-mini --model cosyvoice-mini --sentences 24

The first row lays the ruler against voices whose times are known. Instead of the aligner Whisper can be asked
(`--ruler whisper`), whose times are good to 50 to 100 ms. Needs `.[eval]` and libflite1; `parlando judges install` for
Whisper.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np

import parlando
from parlando.annotate.steps.times import PocketSphinxAligner
from parlando.audio.clip import Clip
from parlando.core.types import NOWHERE, SpokenWord
from parlando.data.teachers import flite
from parlando.evaluate.judges.whisper import FasterWhisper
from parlando.result import Chunk
from parlando.words import WordClock

HELD_OUT = Path(parlando.__file__).parent / "evaluate" / "data" / "heldout_en.txt"
Onset = tuple[str, float]
Ruler = Callable[[Clip, str], list[Onset]]


def main() -> None:
    """Print a table, a row for each model and method, after one of the ruler itself."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", action="append")
    parser.add_argument("--sentences", type=int, default=24)
    parser.add_argument("--ruler", default="aligner", help="aligner, or whisper:SIZE")
    options = parser.parse_args()
    texts = HELD_OUT.read_text(encoding="utf-8").splitlines()[: options.sentences]
    name, _, size = options.ruler.partition(":")
    ruler = aligned if name == "aligner" else hearing(FasterWhisper(size or "base"))
    print("| what | times | words | bias | median | 90 % | within 60 ms |\n|---|---|---|---|---|---|---|")
    print(row("flite", options.ruler, np.array(list(measure_ruler(texts, ruler)))), flush=True)
    for model in options.model or ["higgs-mini"]:
        gaps: dict[str, list[float]] = {}
        for method, gap in measure(model, texts, ruler):
            gaps.setdefault(method, []).append(gap)
        for method, found in gaps.items():
            print(row(model, method, np.array(found)), flush=True)


def aligned(clip: Clip, text: str) -> list[Onset]:
    """When each word begins, by forced alignment; nothing where the text does not fit."""
    found = PocketSphinxAligner().align(clip, letters_of(text), "en")
    return [] if found is None else [(plain(word), start) for word, start, _ in found.words]


def letters_of(text: str) -> list[str]:
    """Its words in the letters that Flite and the aligner know."""
    return [word for word in re.findall(r"[a-z']+", text.lower()) if word.strip("'")]


def hearing(judge: FasterWhisper) -> Ruler:
    """When each word begins, as Whisper hears it."""
    return lambda clip, text: [(plain(word.text), word.start_seconds) for word in judge.hear_words(clip, "en")]


def measure_ruler(texts: Sequence[str], ruler: Ruler) -> Iterator[float]:
    """By how many seconds the ruler has words begin later than voices do whose times are known."""
    for index, text in enumerate(texts):
        spoken = flite.speak(text, flite.FLITE_VOICES[index % len(flite.FLITE_VOICES)])
        words = letters_of(text)
        starts = [0.0, *(end for _, end in spoken.phones)]
        phones = [start for start, (phone, _) in zip(starts, spoken.phones, strict=False) if phone != "pau"]
        sizes = [len(flite.pronounce(word.strip("'"))) for word in words]
        if sum(sizes) != len(phones):
            continue  # it says a phone less where words meet
        firsts = np.cumsum([0, *sizes[:-1]])
        true = [(plain(word), phones[first]) for word, first in zip(words, firsts, strict=True)]
        clip = Clip(spoken.samples.astype(np.float32) / 32768, spoken.sample_rate)
        yield from differences(ruler(clip, text), true)


def measure(model: str, texts: Sequence[str], ruler: Ruler) -> Iterator[tuple[str, float]]:
    """By how many seconds each word begins later than by the ruler, by every method."""
    with parlando.load(model, rows=1) as synthesizer:
        voices = list(synthesizer.voices)
        for seed, text in enumerate(texts):
            chunks = list(
                synthesizer.stream(text, voices[seed % len(voices)], seed=seed, lead_silence_seconds=math.inf)
            )
            samples = np.concatenate([chunk.samples for chunk in chunks])
            heard = ruler(Clip(samples, synthesizer.sample_rate), text)
            for name, found in methods(synthesizer, chunks).items():
                yield from ((name, gap) for gap in differences(found, heard))


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
