"""A language model from nothing but a corpus that was annotated, and a sentence that it says.

python recipes/in_turn/voice.py corpus/manifest.jsonl --codec runs/codec -o runs/voice

Packs and encodes what `parlando annotate` kept, trains the recipe beside this file, and makes a model of it whose voice
is whoever says most.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from parlando.data.manifest import read_manifest

MODEL = """name = {name}
default_voice = {voice}

[sampling]
temperature = 0.5
top_k = 16
top_p = 0.9
repetition_window = 7
repetition_limit = 8
"""
FEWEST_SENTENCES = 3
RECIPE = Path(__file__).with_name("lm.toml")
SENTENCE = "The rain had stopped before we reached the village."
Run = Callable[[Sequence[str]], None]


def parlando(arguments: Sequence[str]) -> None:
    """Run one command of Parlando."""
    subprocess.run([sys.executable, "-m", "parlando", *arguments], check=True)


def speakers_of(manifest: Path) -> list[str]:
    """The speakers of a corpus, who says most first: a model's own voice, which takes some sentences."""
    spoken = Counter(utterance.speaker for utterance in read_manifest(manifest))
    ordered = sorted(spoken, key=lambda name: (-spoken[name], name))
    if not ordered or spoken[ordered[0]] < FEWEST_SENTENCES:
        lost = manifest.with_name("rejected.jsonl")
        raise SystemExit(f"nobody's {FEWEST_SENTENCES} sentences were kept of the recordings; see {lost}")
    return ordered


def make_voice(run: Run, corpus: Path, codec: str, recipe: Path, out: Path, options: Sequence[str]) -> Path:
    """The model folder, ``out/model``, whose language model is trained with these options of `parlando train lm`."""
    speakers = speakers_of(corpus)
    packed, codes, lm, model = (str(out / name) for name in ("annotated", "codes", "lm", "model"))
    run(["data", "pack", str(corpus), "-o", packed])
    run(["data", "encode", packed, codec, "-o", codes])
    own = recipe.read_text(encoding="utf-8")
    named = written(out / "lm.toml", f"{own}\n{_table('mix.descriptions', speakers)}")
    run(["train", "lm", named, "--codes", codes, "--codec", codec, *options, "-o", lm])
    described = MODEL.format(name=_quoted("-".join(out.resolve().parts[-2:])), voice=_quoted(speakers[0]))
    settings = written(out / "model.toml", f"{described}\n{_table('voices', speakers[:1])}")
    run(["train", "assemble", settings, "--codec", codec, "--lm", lm, "--codes", codes, "-o", model])
    return Path(model)


def _table(name: str, speakers: Sequence[str]) -> str:
    """Speakers as a table of a recipe: each is described by the name alone."""
    return f"[{name}]\n" + "".join(f"{_quoted(each)} = {_quoted(each)}\n" for each in speakers)


def _quoted(text: str) -> str:
    """As TOML writes a text, which is as JSON does but for letters that JSON would escape."""
    return json.dumps(text, ensure_ascii=False)


def written(path: Path, text: str) -> str:
    """The path of a file with this text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return str(path)


def main(arguments: Sequence[str] | None = None, run: Run = parlando) -> None:
    """Train, and say a sentence."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, help="manifest of the annotated corpus")
    parser.add_argument("--codec", required=True, help="folder of a codec, or a model that has one")
    parser.add_argument("--recipe", type=Path, default=RECIPE, help="of the language model")
    parser.add_argument("--steps", type=int, default=900, help="of training")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder of everything that is made")
    given = parser.parse_args(arguments)
    options = ["--steps", str(given.steps)]
    model = make_voice(run, given.corpus, given.codec, given.recipe, given.out, options)
    run(["say", SENTENCE, "--model", str(model), "-o", str(given.out / "said.wav")])


if __name__ == "__main__":
    main()
