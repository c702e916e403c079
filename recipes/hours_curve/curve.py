"""Word errors of one small language model against the hours of speech it was taught with.

python recipes/hours_curve/curve.py --codes corpus/codes --codec runs/codec --voice af_heart -o runs/hours

For every number of hours and every seed of the text: a part of the encoded corpus, a language model trained on it, a
model made of it, held-out sentences spoken with it, and a recogniser that writes down what it hears. A point that is
finished is not measured again, and a training that is half done goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).resolve().parent
HELD_OUT = HERE.parent.parent / "src/parlando/evaluate/data/heldout_en.txt"
HOURS = (0.5, 1, 2, 5, 10, 20)
CODES = "codes.json"
FRAMES_PER_HOUR = 25 * 3600
MODEL = """name = "{name}"
default_voice = "{voice}"

[sampling]
temperature = 0.5
top_k = 16
top_p = 0.9
repetition_window = 7
repetition_limit = 8

[voices]
{voice} = "the teacher"
"""
Run = Callable[[Sequence[str]], None]
Hear = Callable[[Path, Path, str, str], tuple[list[str], list[str]]]


@dataclass(frozen=True)
class Point:
    """One model: what it was taught with, and how many of the words it says are misheard."""

    hours: float
    seed: int
    sentences: int
    words: int
    wer: float


def part_of(codes: Path, target: Path, hours: float, seed: int) -> int:
    """Link a part of an encoded corpus: so many hours of whole sentences, drawn by a seed; returns how many those are.

    Sentences that are kept for validation all stay, so that held-out losses can be compared.
    """
    rows = [json.loads(line) for line in (codes / "index.jsonl").read_text(encoding="utf-8").splitlines()]
    texts = sorted({row["text"] for row in rows if row["split"] == "train"})
    random.Random(seed).shuffle(texts)
    place = {text: index for index, text in enumerate(texts)}
    drawn = sorted((row for row in rows if row["split"] == "train"), key=lambda row: place[row["text"]])
    chosen = _as_many_as(drawn, hours)
    if not chosen:
        there = sum(row["frames"] for row in drawn) / FRAMES_PER_HOUR
        raise SystemExit(f"{codes} has {there:.2f} h to train on, {hours:g} h are wanted")
    target.mkdir(parents=True, exist_ok=True)
    kept = [row for row in rows if row["id"] in chosen or row["split"] != "train"]
    (target / "index.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept), "utf-8")
    for file in codes.iterdir():
        link = target / file.name
        if file.name not in ("index.jsonl", CODES) and not link.exists():
            link.symlink_to(file.resolve())
    (target / CODES).write_bytes((codes / CODES).read_bytes())
    return len(chosen)


def _as_many_as(rows: Sequence[dict], hours: float) -> set[str]:
    """Ids of the first rows that have so many hours together; none where there are not so many."""
    chosen, frames = set(), 0
    for row in rows:
        chosen.add(row["id"])
        frames += row["frames"]
        if frames >= hours * FRAMES_PER_HOUR:
            return chosen
    return set()


def descriptions(codes: Path) -> str:
    """The end of a language model's recipe: what it is told of every speaker, which is the name alone."""
    rows = [json.loads(line) for line in (codes / "index.jsonl").read_text(encoding="utf-8").splitlines()]
    return "\n[mix.descriptions]\n" + "".join(
        f'{name} = "{name}"\n' for name in sorted({row["speaker"] for row in rows})
    )


def parlando(arguments: Sequence[str]) -> None:
    """Run one command of Parlando."""
    subprocess.run([sys.executable, "-m", "parlando", *arguments], check=True)


def speak_and_hear(model: Path, sentences: Path, voice: str, recogniser: str) -> tuple[list[str], list[str]]:
    """What a model was to say, and what a judge heard of it."""
    from parlando import load
    from parlando.audio.clip import Clip

    judge = import_module("parlando.evaluate.judges.registry").asr(recogniser)
    speaker, texts = load(model), sentences.read_text(encoding="utf-8").splitlines()
    said = [speaker.say(text, voice=voice, seed=1) for text in texts]
    return texts, [judge.hear(Clip(each.samples, each.sample_rate), "en") for each in said]


def measure(options: argparse.Namespace, hours: float, seed: int, run: Run, hear: Hear) -> Point:
    """Make one point of the curve, step by step."""
    folder = options.out / f"{hours:g}h_{seed}"
    count = part_of(options.codes, folder / "codes", hours, seed)
    codes, codec = str(folder / "codes"), str(options.codec)
    lm = folder / "lm.toml"
    lm.write_text(options.lm.read_text(encoding="utf-8") + descriptions(folder / "codes"), encoding="utf-8")
    run(["train", "lm", str(lm), "--codes", codes, "--codec", codec, "-o", str(folder / "lm")])
    recipe = folder / "model.toml"
    recipe.write_text(MODEL.format(name=folder.name, voice=options.voice), encoding="utf-8")
    parts = ["--codec", codec, "--lm", str(folder / "lm"), "--codes", codes]
    run(["train", "assemble", str(recipe), *parts, "-o", str(folder / "model")])
    errors, words = word_errors(*hear(folder / "model", options.sentences, options.voice, options.asr))
    return Point(hours, seed, count, words, round(errors / words, 4))


def word_errors(wanted: Sequence[str], heard: Sequence[str]) -> tuple[int, int]:
    """Errors and words of all sentences, numbers and marks written alike on both sides."""
    from jiwer import process_words

    from parlando.evaluate.wer import normalise
    from parlando.text.normalize import normalize

    found = process_words([normalise(normalize(t)) for t in wanted], [normalise(normalize(t)) or "*" for t in heard])
    errors = found.substitutions + found.deletions + found.insertions
    return errors, found.hits + found.substitutions + found.deletions


def read_points(path: Path) -> list[Point]:
    """What is measured so far."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [Point(**json.loads(line)) for line in lines]


def table(points: Sequence[Point]) -> str:
    """A row for every number of hours: the mean of its seeds, and each of them."""
    rows = ["| hours | WER | of each seed | sentences |", "|---|---|---|---|"]
    for hours in sorted({point.hours for point in points}):
        same = sorted((point for point in points if point.hours == hours), key=lambda point: point.seed)
        each = ", ".join(f"{100 * point.wer:.1f} %" for point in same)
        mean = statistics.mean(point.wer for point in same)
        rows.append(f"| {hours:g} | **{100 * mean:.1f} %** | {each} | {same[0].sentences} |")
    return "\n".join(rows) + "\n"


def draw(points: Sequence[Point], path: Path) -> None:
    """The curve: a dot for every model, a line through the means."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    hours = sorted({point.hours for point in points})
    means = [100 * statistics.mean(p.wer for p in points if p.hours == each) for each in hours]
    axes.plot(hours, means, linewidth=1)
    axes.plot([p.hours for p in points], [100 * p.wer for p in points], "o", markersize=4)
    axes.set_xscale("log")
    axes.set_xticks(hours, [f"{each:g}" for each in hours])
    axes.set_xlabel("hours of speech")
    axes.set_ylabel("word errors, %")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=130)


def read_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Word errors against hours of speech.")
    parser.add_argument("--codes", type=Path, required=True, help="the whole corpus, encoded (parlando data encode)")
    parser.add_argument("--codec", type=Path, required=True, help="folder of the codec that encoded it")
    parser.add_argument("--voice", required=True, help="the speaker who says the held-out sentences")
    parser.add_argument("--out", "-o", type=Path, required=True, help="folder of the runs and the results")
    parser.add_argument("--hours", type=float, nargs="+", default=list(HOURS))
    parser.add_argument("--seeds", type=int, default=3, help="how many different choices of sentences")
    parser.add_argument("--lm", type=Path, default=HERE / "lm.toml", help="recipe of the language model")
    parser.add_argument("--sentences", type=Path, default=HELD_OUT, help="what is said, a sentence a line")
    parser.add_argument("--asr", default="whisper", help="the judge (parlando judges)")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None, run: Run = parlando, hear: Hear = speak_and_hear) -> None:
    """Measure what is missing; first every number of hours with one seed, then with the next."""
    options = read_options(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    results = options.out / "points.jsonl"
    for seed in range(options.seeds):
        for hours in options.hours:
            points = read_points(results)
            if any((point.hours, point.seed) == (hours, seed) for point in points):
                continue
            points.append(measure(options, hours, seed, run, hear))
            partial = results.with_suffix(".partial")
            partial.write_text("".join(json.dumps(asdict(point)) + "\n" for point in points), encoding="utf-8")
            os.replace(partial, results)
            (options.out / "table.md").write_text(table(points), encoding="utf-8")
            draw(points, options.out / "curve.png")
            print(table(points), file=sys.stderr)


if __name__ == "__main__":
    main()
