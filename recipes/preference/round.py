"""One round of preference tuning on the packaged model, and what held-out sentences say of it before and after.

python recipes/preference/round.py -o runs/preference

The model says every sentence of a list four times in a cloned voice, judges rank the takes, the best and the worst
become pairs, an adapter learns from them (DPO), and both models say held-out sentences: in that voice, and in the
default voice, of which no pair was made. What is finished is not done again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
LISTS = HERE.parent.parent / "src/parlando/evaluate/data/lists"
CLIP = LISTS / "clip_a1.flac"
WORDS = "The lighthouse keeper wrote down every ship that passed before the fog came in."
FIRST_SEED = 100  # of held-out takes: others than those of the pairs
Means = Mapping[str, float]
Run = Callable[[Sequence[str]], None]
Measure = Callable[[argparse.Namespace, Path | None, bool], Means]


def parlando(arguments: Sequence[str]) -> None:
    """Run one command of Parlando."""
    subprocess.run([sys.executable, "-m", "parlando", *arguments], check=True)


def tune(options: argparse.Namespace, run: Run) -> Path:
    """Make the pairs and learn from them; returns the adapter's folder."""
    pairs, tuned = options.out / "pairs", options.out / "dpo"
    spoken = ["--model", options.model, "--ref-audio", str(CLIP), "--ref-text", WORDS, "--takes", str(options.takes)]
    judged = ["--asr", options.asr, "--speaker", options.speaker]
    limit = ["--limit", str(options.limit)] if options.limit else []
    run(["data", "preferences", str(options.sentences), *spoken, *judged, *limit, "-o", str(pairs)])
    budget = ["--steps", str(options.steps)] if options.steps else []
    learned = ["--pairs", str(pairs), "--from", options.model, *budget, "--threads", "1"]
    run(["train", "dpo", str(options.recipe), *learned, "-o", str(tuned)])
    return tuned / "adapter"


def measure(options: argparse.Namespace, adapter: Path | None, cloned: bool) -> Means:
    """How a model says the held-out sentences, once each: words heard wrong, similarity, endings."""
    import torch

    from parlando.audio.files import read_audio
    from parlando.evaluate.judges import registry
    from parlando.evaluate.preferences import TakeJudges, TakeMaker, means
    from parlando.evaluate.references import held_out_sentences
    from parlando.evaluate.suite.systems import folder_digest
    from parlando.speech import load

    torch.set_num_threads(1)
    encoder = registry.speaker_encoder(options.speaker) if cloned else None
    judges = TakeJudges(registry.asr(options.asr), encoder, references=[read_audio(CLIP)] if cloned else [])
    identity = options.model if adapter is None else f"{options.model}+{folder_digest(adapter)}"
    with load(options.model, adapter=adapter, rows=1) as synthesizer:
        voice = synthesizer.clone(CLIP, WORDS, name=CLIP.stem) if cloned else None
        settings: dict[str, Any] = {"voice": voice, "seed": FIRST_SEED}
        maker = TakeMaker(synthesizer, judges, options.out / "held-out", 1, identity, **settings)
        sentences = maker.sentences(held_out_sentences(options.held_out))
        found = [maker.takes(sentence) for sentence in sentences]
    return means([take for each in found if each is not None for take in each.takes])


def table(rows: Mapping[str, Means]) -> str:
    """The figures in Markdown."""
    lines = ["| held-out sentences | words heard wrong | similarity | ended by themselves |", "|---|---|---|---|"]
    for name, found in rows.items():
        similarity = f"{found['similarity']:.3f}" if "similarity" in found else "–"
        lines.append(f"| {name} | {found['wer']:.1%} | {similarity} | {found['ended']:.1%} |")
    return "\n".join(lines) + "\n"


def whole_round(options: argparse.Namespace, run: Run, measured: Measure) -> str:
    """Tune, measure, and write the table; returns it."""
    options.out.mkdir(parents=True, exist_ok=True)
    adapter = tune(options, run)
    rows = {
        f"{voice}, {state}": measured(options, folder, cloned)
        for voice, cloned in (("cloned voice", True), ("default voice", False))
        for state, folder in (("before", None), ("after", adapter))
    }
    found = table(rows)
    (options.out / "table.md").write_text(found, encoding="utf-8")
    return found


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder of everything that is made")
    parser.add_argument("--model", default="higgs-mini", help="what is tuned: packaged name, folder or hub id")
    parser.add_argument("--recipe", type=Path, default=HERE / "dpo.toml", help="recipe of the tuning")
    parser.add_argument(
        "--sentences", type=Path, default=HERE / "train.txt", help="sentences for the pairs, one a line"
    )
    parser.add_argument("--limit", type=int, help="only so many of them")
    parser.add_argument("--takes", type=int, default=4, help="how often each is said")
    parser.add_argument("--held-out", type=int, default=40, help="how many held-out sentences are measured")
    parser.add_argument("--steps", type=int, help="steps of the tuning, instead of the recipe's minutes")
    parser.add_argument("--asr", default="whisper", help="who hears words")
    parser.add_argument("--speaker", default="resemblyzer", help="who tells voices apart")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    print(whole_round(parse(), parlando, measure))
