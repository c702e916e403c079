"""A test corpus for `parlando annotate` whose truth is known: who says what when, and which files hold no speech.

    python recipes/annotation/make_test.py test/ --minutes 60 --speech corpus/manifest.jsonl --speech voice/table.tsv

Flite speaks by itself; ``--speech`` adds real or synthetic speech (a manifest, or a table as `parlando data import`
takes it), ``--foreign`` a folder of speech in other languages. ``test/raw`` is to be annotated, ``test/truth.jsonl``
says what is in it.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from parlando.audio.files import read_audio, write_audio
from parlando.audio.resample import resample
from parlando.audio.silence import speech_spans
from parlando.audio.sounds import music, noise
from parlando.data.details import read_details
from parlando.data.manifest import read_manifest
from parlando.data.teachers.flite import FLITE_VOICES, speak

RATE = 24_000
FLITE_TEXTS = (
    "The harbour was quiet, and the boats were moving slowly in the evening wind.",
    "She put the letter on the table and asked him to read it again.",
    "There is a small garden behind the house where my brother grows tomatoes.",
    "We should leave before seven, because the road is busy in the morning.",
    "Nobody had told the children that the school was closed for the winter.",
    "He opened the window, looked at the rain, and decided to stay at home.",
    "The old bridge has been repaired twice since the beginning of the year.",
    "Please remember to bring the blue folder when you come to the office.",
    "A good teacher listens first and gives advice when it is wanted.",
    "They walked along the river until they found a place to cross.",
)
SHARES = {"speech": 0.5, "dialogue": 0.25, "music": 0.08, "noise": 0.05, "silence": 0.04, "foreign": 0.08}
"""Of the minutes; damaged files come besides."""
SENTENCES_IN_A_FILE, TURNS_IN_A_DIALOGUE = 4, 6
PAUSE_SECONDS = (0.5, 1.1)
ROOM_LEVEL = 2e-4
SPEECHLESS_SECONDS = 12.0


@dataclass(frozen=True)
class Said:
    """A sentence as somebody said it: mono at `RATE`, cut to its speech; words have times where they are known."""

    samples: np.ndarray
    text: str
    speaker: str
    words: tuple[tuple[str, float, float], ...] = ()


@dataclass
class Truth:
    """What a file is: ``reasons`` are those it may be rejected for, none where its turns are to be kept.

    ``of`` is the file that it is a copy of.
    """

    file: str
    kind: str
    seconds: float
    reasons: tuple[str, ...] = ()
    turns: list[dict] = field(default_factory=list)
    of: str = ""


def by_flite(voice: str, seed: int) -> Iterator[Said]:
    """Sentences by one of flite's voices, without end."""
    generator = np.random.default_rng(seed)
    while True:
        text = str(generator.choice(FLITE_TEXTS))
        spoken = speak(text, voice)
        wave = resample(spoken.samples.astype(np.float32) / 32768, spoken.sample_rate, RATE)
        yield trimmed(Said(wave, text, f"flite-{voice}"))


def recorded(source: Path) -> dict[str, list[tuple[Path, str]]]:
    """The recordings and texts of a manifest or a table, by their speakers."""
    if source.suffix == ".tsv":
        with source.open(encoding="utf-8", newline="") as lines:
            rows = [(row["path"], row["text"], row["speaker"]) for row in csv.DictReader(lines, delimiter="\t")]
    else:
        rows = [(each.audio, each.text, each.speaker) for each in read_manifest(source)]
    found: dict[str, list[tuple[Path, str]]] = defaultdict(list)
    for path, text, speaker in rows:
        found[speaker].append((source.parent / path, text))
    return found


def by_recordings(speaker: str, recordings: Sequence[tuple[Path, str]], seed: int) -> Iterator[Said]:
    """The recordings of one speaker in a drawn order, again and again."""
    generator = np.random.default_rng(seed)
    while True:
        for place in generator.permutation(len(recordings)):
            path, text = recordings[place]
            details = read_details(path)
            words = details.words if details is not None else ()
            yield trimmed(Said(read_audio(path, RATE).samples, text, speaker, words))


def voices(sources: Sequence[Path], seed: int) -> list[list[Iterator[Said]]]:
    """All speakers, by where they come from."""
    flite = [by_flite(name, seed) for name in FLITE_VOICES[:3]]
    return [flite, *([by_recordings(*each, seed) for each in recorded(path).items()] for path in sources)]


def trimmed(said: Said) -> Said:
    """Cut to its speech, at one level."""
    spans = speech_spans(said.samples, RATE)
    first, last = spans[0].start, spans[-1].end
    wave = said.samples[first:last]
    wave = wave * np.float32(0.08 / max(float(np.sqrt(np.square(wave).mean())), 1e-6))
    # A teacher's last symbol lasts into the silence behind it.
    longest = len(wave) / RATE
    words = tuple((word, start - first / RATE, min(end - first / RATE, longest)) for word, start, end in said.words)
    return Said(wave.clip(-0.98, 0.98), said.text, said.speaker, words)


def room(seconds: float, generator: np.random.Generator) -> np.ndarray:
    return (ROOM_LEVEL * generator.standard_normal(round(seconds * RATE))).astype(np.float32)


def laid_out(pieces: Sequence[Said], generator: np.random.Generator) -> tuple[np.ndarray, list[dict]]:
    """Pieces one after the other with pauses between them, and when each is said."""
    parts, turns = [room(generator.uniform(*PAUSE_SECONDS), generator)], []
    for said in pieces:
        start = sum(map(len, parts)) / RATE
        words = [[word, round(start + a, 3), round(start + b, 3)] for word, a, b in said.words]
        end = start + len(said.samples) / RATE
        turns.append({"speaker": said.speaker, "start": start, "end": end, "text": said.text, "words": words})
        parts += [said.samples, room(generator.uniform(*PAUSE_SECONDS), generator)]
    return np.concatenate(parts) + room(sum(map(len, parts)) / RATE, generator), turns


class Maker:
    """Writes files and notes what is in them."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.raw, self.generator = folder / "raw", np.random.default_rng(seed)
        self.truths: list[Truth] = []
        self.raw.mkdir(parents=True, exist_ok=True)

    def write(self, kind: str, wave: np.ndarray, reasons: Sequence[str] = (), turns: Sequence[dict] = ()) -> Path:
        name = f"{kind}_{len(self.truths):04d}.flac"
        write_audio(self.raw / name, wave, RATE)
        self.truths.append(Truth(name, kind, len(wave) / RATE, tuple(reasons), list(turns)))
        return self.raw / name

    def speech(self, seconds: float, sources: Sequence[Sequence[Iterator[Said]]]) -> None:
        """Files of one speaker each."""
        self._talk("speech", seconds, sources, 1, SENTENCES_IN_A_FILE)

    def dialogues(self, seconds: float, sources: Sequence[Sequence[Iterator[Said]]]) -> None:
        """Files of two speakers by turns."""
        self._talk("dialogue", seconds, sources, 2, TURNS_IN_A_DIALOGUE // 2)

    def _talk(
        self, kind: str, seconds: float, sources: Sequence[Sequence[Iterator[Said]]], count: int, rounds: int
    ) -> None:
        made = 0.0
        while made < seconds:
            talking = [self._drawn(sources)]
            while len(talking) < count:
                talking += [each for each in [self._drawn(sources)] if each not in talking]
            pieces = [next(voice) for _ in range(rounds) for voice in talking]
            wave, turns = laid_out(pieces, self.generator)
            self.write(kind, wave, turns=turns)
            made += len(wave) / RATE

    def _drawn(self, sources: Sequence[Sequence[Iterator[Said]]]) -> Iterator[Said]:
        """Each source is as likely as the others, however many speakers it has."""
        source = sources[self.generator.integers(len(sources))]
        return source[self.generator.integers(len(source))]

    def speechless(self, minutes: float) -> None:
        """Music, noise and silence."""
        kinds = {
            "music": (music, ("music", "no speech", "singing")),
            "noise": (noise, ("no speech",)),
            "silence": (lambda seconds, rate, generator: room(seconds, generator), ("silent", "no speech")),
        }
        for kind, (make, reasons) in kinds.items():
            for _ in range(max(1, round(minutes * 60 * SHARES[kind] / SPEECHLESS_SECONDS))):
                self.write(kind, make(SPEECHLESS_SECONDS, RATE, self.generator), reasons)

    def foreign(self, folder: Path, seconds: float) -> None:
        """Speech in another language, file by file."""
        made = 0.0
        for path in sorted(each for each in folder.rglob("*") if each.suffix in (".wav", ".flac", ".mp3", ".ogg")):
            if made < seconds:
                wave = read_audio(path, RATE).samples
                self.write("foreign", wave, ("wrong language",))
                made += len(wave) / RATE

    def damaged(self, whole: Path) -> None:
        """Files that hold nothing, or nothing that can be read."""
        content = whole.read_bytes()
        files = {
            "empty.wav": (b"", ("empty",)),
            "text.mp3": (b"These are words, and no recording at all.\n" * 50, ("not audio",)),
            "locked.flac": (np.random.default_rng(3).bytes(60_000), ("encrypted",)),
            "salted.wav": (b"Salted__" + np.random.default_rng(4).bytes(9_000), ("encrypted",)),
            "broken.flac": (content[: len(content) // 2] + bytes(400) + content[len(content) // 2 :], ("damaged",)),
            "head.wav": (b"RIFF\x24\x00\x00\x00WAVEfmt ", ("damaged", "empty")),
            "copy.flac": (content, ("duplicate",)),
        }
        for name, (bytes_of, reasons) in files.items():
            (self.raw / name).write_bytes(bytes_of)
            of = whole.name if name == "copy.flac" else ""
            self.truths.append(Truth(name, "damaged", 0.0, reasons, of=of))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--speech", type=Path, action="append", default=[])
    parser.add_argument("--foreign", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    sources = voices(given.speech, given.seed)
    maker = Maker(given.folder, given.seed)
    maker.speech(given.minutes * 60 * SHARES["speech"], sources)
    maker.dialogues(given.minutes * 60 * SHARES["dialogue"], sources)
    maker.speechless(given.minutes)
    if given.foreign:
        maker.foreign(given.foreign, given.minutes * 60 * SHARES["foreign"])
    maker.damaged(maker.raw / maker.truths[0].file)
    lines = (json.dumps(asdict(truth), ensure_ascii=False) + "\n" for truth in maker.truths)
    (given.folder / "truth.jsonl").write_text("".join(lines), encoding="utf-8")
    print(f"{len(maker.truths)} files, {sum(truth.seconds for truth in maker.truths) / 60:.1f} minutes")


if __name__ == "__main__":
    main()
