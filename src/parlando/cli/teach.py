"""`parlando data synthesise`, `check` and `install-teacher`: speech by a teacher, and what a judge makes of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from parlando.cli.options import command
from parlando.cli.sources import read_text_file
from parlando.core.errors import ConfigError, FileMissingError

if TYPE_CHECKING:
    from parlando.data.checking import Listener
    from parlando.data.teachers.protocol import Teacher

RANGE = re.compile(r"(?P<stem>\w*?)(?P<first>\d+)\.\.(?P=stem)(?P<last>\d+)")
TEMPOS = 0.5, 2.0
ANY_RECOGNISER, USUAL_RECOGNISER = "asr", "whisper"


def read_sentences(paths: list[Path]) -> Iterator[str]:
    """Sentences of text files, a line each: the last tab-separated column, or what stands in double quotes.

    Raises:
        FileMissingError: a file is not there.
        TextError: one is not UTF-8.
    """
    for path in paths:
        for line in read_text_file(path).splitlines():
            last = line.rstrip("\n").split("\t")[-1]
            yield last.split('"')[1] if last.startswith("(") and last.count('"') >= 2 else last


def parse_weights(text: str) -> dict[str, int]:
    """``slt=5,rms=4`` as a table; ``mix_000..mix_009=2`` gives ten voices two shares each.

    Raises:
        ConfigError: an entry is not a name and a whole number, or not a range from a lower to a higher number.
    """
    pairs = [entry.strip().partition("=") for entry in text.split(",")]
    if not all(name and value.isdigit() for name, _, value in pairs):
        raise ConfigError(
            f"--voices: '{text}' is not a valid list of voices and shares; use NAME=NUMBER,…, such as slt=5,rms=4"
        )
    return {voice: int(value) for name, _, value in pairs for voice in _in_range(name)}


def _in_range(name: str) -> list[str]:
    if ".." not in name:
        return [name]
    match = RANGE.fullmatch(name)
    if match is None or int(match["first"]) > int(match["last"]):
        raise ConfigError(f"voices '{name}' are not a range of the form mix_000..mix_199")
    width = len(match["first"])
    return [f"{match['stem']}{number:0{width}}" for number in range(int(match["first"]), int(match["last"]) + 1)]


def parse_tempo(text: str) -> tuple[float, float]:
    """``0.8-1.25`` as slowest and fastest, ``1.1`` as both.

    Raises:
        ConfigError: it is neither, or beyond `TEMPOS`.
    """
    slowest, _, fastest = text.partition("-")
    try:
        ends = float(slowest), float(fastest or slowest)
    except ValueError:
        ends = 0.0, 0.0
    if not TEMPOS[0] <= ends[0] <= ends[1] <= TEMPOS[1]:
        raise ConfigError(f"tempo '{text}' is not of the form 0.8-1.25, or not within {TEMPOS[0]} and {TEMPOS[1]}")
    return ends


@dataclass(frozen=True, kw_only=True)
class SynthesiseOptions:
    """Options of `parlando data synthesise`."""

    texts: Annotated[list[Path], typer.Argument(help="Text files, one sentence a line.")]
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the corpus.")]
    teacher: Annotated[
        str | None, typer.Option(help="flite, festival or kokoro; default: who has the voices, or flite.")
    ] = None
    voices: Annotated[str | None, typer.Option(help="Voices and their shares: slt=5,rms=4 or mix_000..mix_199=1.")] = (
        None
    )
    language: Annotated[str, typer.Option(help="en; kokoro also zh, es, fr, hi, it, ja and pt.")] = "en"
    tempo: Annotated[str, typer.Option(help="Each sentence's tempo is drawn from here: 0.8-1.25 (kokoro).")] = "1"
    test: Annotated[Path | None, typer.Option(help="Sentences to keep out.")] = None
    limit: Annotated[int | None, typer.Option(help="At most so many sentences.")] = None
    backend: Annotated[str, typer.Option(help="What computes kokoro: auto, openvino or onnxruntime.")] = "auto"
    check: Annotated[
        str | None, typer.Option(help="Leave out what a recogniser mishears: asr, or a judge's name or URL.")
    ] = None
    most_errors: Annotated[float, typer.Option(help="Share of wrong letters that --check lets pass.")] = 0.1
    workers: Annotated[int | None, typer.Option(help="Processes; default: one per core.", min=1)] = None

    def chosen(self) -> tuple[Teacher, dict[str, int]]:
        """The teacher, and its voices with their shares."""
        from parlando.data.teachers import find_teacher, teacher_of
        from parlando.data.teachers.kokoro import Kokoro

        weights = parse_weights(self.voices) if self.voices is not None else {}
        name = self.teacher or (teacher_of(next(iter(weights))).name if weights else "flite")
        teacher = find_teacher(name)
        if isinstance(teacher, Kokoro):
            teacher = replace(teacher, backend=self.backend)
        return teacher, weights or parse_weights(teacher.shares(self.language))


@command(SynthesiseOptions)
def synthesise_corpus(options: SynthesiseOptions) -> None:
    """Speak sentences with voices of flite, festival or kokoro.

    Phone times are kept, and with kokoro word times, pitch and energy, too. It resumes where it stopped.

    Example: parlando data synthesise sentences.txt -o corpus/synthetic --test heldout.txt
    """
    from parlando.data.card import write_card
    from parlando.data.checking import corpus_yield
    from parlando.data.sentences import sentence_key
    from parlando.data.synthesise import MANIFEST, Manner, plan_jobs, synthesise

    manner = Manner(options.language, *parse_tempo(options.tempo))
    test_keys = {sentence_key(text) for text in read_sentences([options.test] if options.test else [])}
    written = list(read_sentences(options.texts))
    teacher, weights = options.chosen()
    sentences = list(teacher.sentences(written, options.language))
    jobs = plan_jobs(sentences, weights, test_keys, manner)[: options.limit]
    manifest = options.out / MANIFEST
    try:
        synthesise(teacher, jobs, options.out, options.workers)
        if options.check is not None:
            _check(manifest, options.check, options.most_errors, options.workers)
    except KeyboardInterrupt:  # what was made so far may be used, too
        if manifest.is_file():
            write_card(manifest, teacher)
        raise
    card = write_card(manifest, teacher)
    typer.echo(f"{corpus_yield(manifest)}; see {card}\n{len(jobs)} sentences in {manifest}", err=True)


@dataclass(frozen=True, kw_only=True)
class CheckOptions:
    """Options of `parlando data check`."""

    manifest: Annotated[Path, typer.Argument(help="Manifest of a corpus.")]
    asr: Annotated[str, typer.Option(help="The recogniser: a judge's name or URL.")] = USUAL_RECOGNISER
    most_errors: Annotated[float, typer.Option(help="Share of wrong letters that is let pass.")] = 0.1
    workers: Annotated[int | None, typer.Option(help="Processes; default: one per core.", min=1)] = None


@command(CheckOptions)
def check_recordings(options: CheckOptions) -> None:
    """Leave out what a recogniser does not hear as written.

    The audio stays; the manifest loses the lines, left_out.jsonl gains them. It resumes where it stopped.

    Example: parlando data check corpus/synthetic/manifest.jsonl --asr whisper
    """
    typer.echo(_check(options.manifest, options.asr, options.most_errors, options.workers), err=True)


def _check(manifest: Path, recogniser: str, most_errors: float, workers: int | None) -> str:
    from parlando.data.checking import check_corpus

    if not manifest.is_file():
        raise FileMissingError(manifest, "manifest")
    name = USUAL_RECOGNISER if recogniser == ANY_RECOGNISER else recogniser
    open_recogniser(name)  # what is missing is said once, and not by every worker
    return str(check_corpus(manifest, partial(open_recogniser, name), most_errors, workers))


def open_recogniser(name: str) -> Listener:
    """A judge that hears words."""
    from parlando.evaluate.judges.registry import asr

    return asr(name)


def install_teacher(
    name: Annotated[str, typer.Argument(help="kokoro; flite and festival come from the system's packages.")],
    voices_from: Annotated[
        Path | None, typer.Option(help="Folder or .tgz with Kokoro's voices, where npm cannot be used.")
    ] = None,
) -> None:
    """Install a teacher, to speak offline afterwards.

    Example: parlando data install-teacher kokoro
    """
    from parlando.data.teachers import find_teacher
    from parlando.data.teachers.kokoro.install import install

    teacher = find_teacher(name)
    if name != "kokoro":
        raise ConfigError(
            f"{name} comes from the system's packages; run: apt-get install {teacher.sources[0].origin[5:]}"
        )
    files = install(voices_from)
    teacher.prepare()
    typer.echo(f"kokoro and {len(files.voices.names)} voices in {files.home}", err=True)
