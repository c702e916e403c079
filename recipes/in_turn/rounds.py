"""Understanding and generation in turn: each annotates for the other; a table says, round by round, what comes of it.

python recipes/in_turn/rounds.py recipes/in_turn/small.toml --teacher corpus/manifest.jsonl --raw recordings \\
    --texts texts.txt --codec runs/codec -o runs/in-turn

Round 0 trains understanding on a corpus with texts. In every further round understanding annotates the unlabelled
recordings, generation trains on what came of it and speaks new texts, understanding trains on those as well, and both
are measured. What is finished is not done again, and a training that is half done goes on.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm
from voice import Run, make_voice, parlando, written

from parlando.core.config import Size
from parlando.data.manifest import Utterance, append_manifest, mend_manifest, read_manifest
from parlando.evaluate.references import held_out_sentences
from parlando.evaluate.report import markdown_table
from parlando.train.loop.recipe import read_recipe

HEARD = ("WER", "speakers", "gender", "pitch", "place", "event F1")
SAID = ("WER strict",)
SHARES = ("event F1",)  # of one; the others are percentages
Step = Callable[[], None]


@dataclass(frozen=True)
class Side:
    """A model: its recipe, which lies beside the settings, and its steps in its first training and in further ones."""

    recipe: str
    first_steps: Size
    steps: Size


@dataclass(frozen=True)
class Settings:
    """How many rounds, the budgets, who hears what is said, and how much is spoken and measured."""

    understanding: Side
    generation: Side
    rounds: Size = 2
    new_texts: Size = 400
    asr: str = "whisper"
    scenes: Size = 48
    sentences: Size = 30
    annotate: str = "annotate.toml"


@dataclass(frozen=True)
class Sources:
    """What the rounds begin with: a corpus with texts, recordings without, new texts, and a codec's folder.

    ``start`` is an understanding model that has learned from the corpus, in the place of round 0's training.
    """

    teacher: Path
    raw: Path
    texts: Path
    codec: Path
    start: Path | None = None


class Rounds:
    """Everything in one folder: ``0/``, ``1/`` …, and the table."""

    def __init__(self, settings: Path, sources: Sources, out: Path, run: Run) -> None:
        self.settings: Settings = read_recipe(Settings, settings)
        self._home, self._sources, self._out, self._run = settings.parent, sources, out, run

    def steps(self) -> Iterable[tuple[str, Step]]:
        """All steps by their names, in order."""
        for number in range(self.settings.rounds + 1):
            named: list[tuple[str, Callable[[int], None]]] = [
                ("pack", self._pack),
                ("understanding", self._train_understanding),
                ("heard", self._hear),
            ]
            if number:
                named = [
                    ("corpus", self._annotate),
                    ("generation", self._train_generation),
                    ("said", self._measure_generation),
                    ("spoken", self._speak),
                    *named,
                ]
            yield from ((f"{number}/{name}", lambda step=step, n=number: step(n)) for name, step in named)

    def take(self) -> str:
        """Take the steps that are left; returns the table, which is written after every round."""
        with tqdm(list(self.steps()), unit="step") as bar:
            for name, step in bar:
                bar.set_description(name)
                mark = self._out / f"{name}.done"
                if not mark.is_file():
                    mark.parent.mkdir(parents=True, exist_ok=True)
                    step()
                    mark.touch()
                if name.endswith("heard"):
                    self._publish(int(name.split("/")[0]))
        return (self._out / "table.md").read_text(encoding="utf-8")

    def _at(self, number: int, name: str) -> Path:
        return self._out / str(number) / name

    def _pack(self, number: int) -> None:
        """What understanding learns from: the teacher's corpus, and what generation has spoken so far."""
        spoken = [self._at(each, "spoken") / "manifest.jsonl" for each in range(1, number + 1)]
        self._run(
            ["data", "pack", str(self._sources.teacher), *map(str, spoken), "-o", str(self._at(number, "packed"))]
        )

    def _train_understanding(self, number: int) -> None:
        side, before = self.settings.understanding, self._at(number - 1, "understanding")
        if not number and self._sources.start is not None:
            shutil.copytree(self._sources.start, self._at(0, "understanding"), dirs_exist_ok=True)
            return
        begun = ["--from", str(before), "--steps", str(side.steps)] if number else ["--steps", str(side.first_steps)]
        options = ["--corpus", str(self._at(number, "packed")), *begun, "-o", str(self._at(number, "understanding"))]
        self._run(["train", "understanding", str(self._home / side.recipe), *options])

    def _hear(self, number: int) -> None:
        """Measure understanding on scenes of the teacher's corpus, the same in every round; once, the judge's too."""
        asr = self.settings.asr if number == 0 else "none"
        of = ["--corpus", str(self._at(0, "packed")), "--asr", asr, "--scenes", str(self.settings.scenes)]
        model = str(self._at(number, "understanding"))
        self._run(["eval", "understanding", "--model", model, *of, "-o", str(self._at(number, "heard"))])

    def _annotate(self, number: int) -> None:
        model = str(self._at(number - 1, "understanding"))
        heard = ["--asr", f"understanding:{model}", "--understand", model]
        config = ["--config", str(self._home / self.settings.annotate)]
        self._run(["annotate", str(self._sources.raw), "-o", str(self._at(number, "corpus")), *config, *heard])

    def _train_generation(self, number: int) -> None:
        """Generation goes on from the last round's language model, and becomes a model that can speak."""
        side, home = self.settings.generation, self._out / str(number)
        steps = side.steps if number > 1 else side.first_steps
        begun = ["--from", str(self._at(number - 1, "lm"))] if number > 1 else []
        corpus, recipe = self._at(number, "corpus") / "manifest.jsonl", self._home / side.recipe
        make_voice(self._run, corpus, str(self._sources.codec), recipe, home, [*begun, "--steps", str(steps)])

    def _measure_generation(self, number: int) -> None:
        """Words of held-out sentences that the judge hears wrong."""
        sentences = enumerate(held_out_sentences(self.settings.sentences))
        listed = written(self._at(number, "said.lst"), "".join(f"s{place:03d}|{text}\n" for place, text in sentences))
        judged = ["--asr", self.settings.asr, "--speaker", "none", "--mos", "none"]
        model = ["-s", str(self._at(number, "model"))]
        self._run(["eval", "seed-tts", "--list", listed, *model, *judged, "-o", str(self._at(number, "said"))])

    def _speak(self, number: int) -> None:
        """New texts, others in every round."""
        lines = [line.strip() for line in self._sources.texts.read_text(encoding="utf-8").splitlines() if line.strip()]
        first = (number - 1) * self.settings.new_texts % max(1, len(lines))
        texts = (lines[first:] + lines[:first])[: self.settings.new_texts]
        speak(self._at(number, "model"), texts, self._at(number, "spoken"), f"generation{number}")

    def _publish(self, last: int) -> None:
        rows = []
        for number in range(last + 1):
            reports = {name: self._at(number, name) / "report.json" for name in ("heard", "said")}
            found = {name: figures(path) for name, path in reports.items() if path.is_file()}
            rows.append({"round": number, "understanding": found["heard"], "generation": found.get("said", {})})
        judge = {name: own for name, own in figures_by_system(self._at(0, "heard") / "report.json").items() if name}
        written(self._out / "table.json", json.dumps({"rounds": rows, "beside": judge}, indent=2) + "\n")
        written(self._out / "table.md", table(rows, judge))


def speak(model: Path, texts: Sequence[str], folder: Path, speaker: str) -> None:
    """Have a model say texts into a corpus; what is said already is kept, a text that fails is left out."""
    from parlando import load
    from parlando.core.errors import GenerationError, InputError

    folder.mkdir(parents=True, exist_ok=True)
    manifest = folder / "manifest.jsonl"
    mend_manifest(manifest)
    known = {each.id for each in read_manifest(manifest)} if manifest.is_file() else set()
    with load(model, rows=1) as synthesizer:
        for place, text in enumerate(texts):
            name = f"{speaker}_{place:05d}"
            if name in known:
                continue
            try:
                speech = synthesizer.say(text, seed=place)
            except (GenerationError, InputError):
                continue
            speech.save(folder / f"{name}.flac")
            told = Utterance(name, f"{name}.flac", speaker, "en", text, speech.duration_seconds)
            append_manifest(manifest, [told])
    manifest.touch()


def figures_by_system(report: Path) -> dict[str, dict[str, float | None]]:
    """Figures of every system of a report."""
    systems = json.loads(report.read_text(encoding="utf-8"))["systems"]
    return {each["system"]: {figure["name"]: figure["value"] for figure in each["figures"]} for each in systems}


def figures(report: Path) -> dict[str, float | None]:
    """Figures of a report's first system."""
    return next(iter(figures_by_system(report).values()))


def table(rows: Sequence[dict[str, Any]], beside: dict[str, dict[str, float | None]]) -> str:
    """Both models' figures per round, and those of the systems beside the first round's."""
    header = ["round", *(f"understanding: {name}" for name in HEARD), *(f"generation: {name}" for name in SAID)]
    cells = [[row["round"], *(_shown(row["understanding"], HEARD)), *(_shown(row["generation"], SAID))] for row in rows]
    others = list(beside.items())[1:]
    cells += [[name, *_shown(own, HEARD), *_shown({}, SAID)] for name, own in others]
    return markdown_table(header, cells) + "\n"


def _shown(own: dict[str, float | None], names: Sequence[str]) -> list[str]:
    """Percentages, but for those that are shares of one."""
    values = {name: own.get(name) for name in names}
    return [
        "–" if value is None else f"{value:.2f}" if name in SHARES else f"{value:.1f} %"
        for name, value in values.items()
    ]


def main(arguments: Sequence[str] | None = None, run: Run = parlando) -> str:
    """All rounds; returns the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("settings", type=Path, help="rounds and budgets (.toml)")
    parser.add_argument("--teacher", type=Path, required=True, help="manifest of the corpus with texts")
    parser.add_argument("--raw", type=Path, required=True, help="folder of recordings without texts")
    parser.add_argument("--texts", type=Path, required=True, help="new texts, one a line")
    parser.add_argument("--codec", type=Path, required=True, help="folder of the codec of generation")
    parser.add_argument("--start", type=Path, help="an understanding model that has learned from the teacher's corpus")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder of everything that is made")
    given = parser.parse_args(arguments)
    if given.start is not None and not given.start.is_dir():
        parser.error(f"--start: there is no folder '{given.start}'")
    sources = Sources(given.teacher, given.raw, given.texts, given.codec, given.start)
    return Rounds(given.settings, sources, given.out, run).take()


if __name__ == "__main__":
    print(main())
