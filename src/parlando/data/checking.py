"""Leave out of a corpus what a judge does not hear as it was written; resumable, on all cores."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from tqdm import tqdm

from parlando.audio.clip import Clip
from parlando.audio.files import read_audio
from parlando.core.errors import ConfigError
from parlando.data.manifest import Utterance, append_manifest, mend_manifest, read_manifest
from parlando.data.synthesise import LeftOut, leave_out, read_left_out
from parlando.text.edits import edits
from parlando.text.figures import in_figures
from parlando.text.normalize import LANGUAGES, normalize
from parlando.text.numbers import digits

HEARD = "heard.jsonl"
MOST_ERRORS = 0.1
MISHEARD = "misheard"
_BESIDE = re.compile(r"[\W_]+")


class Listener(Protocol):
    """Something that writes down what it hears."""

    @property
    def card(self) -> object:
        """Who it is; as a string: name, version and settings."""
        ...

    def hear(self, clip: Clip, language: str) -> str:
        """The words of a clip."""
        ...


@dataclass(frozen=True)
class Heard:
    """What a judge heard of an utterance, and the share of its letters that were wrong."""

    id: str
    judge: str
    text: str
    errors: float


@dataclass(frozen=True)
class Yield:
    """How much of what was asked for is in a corpus, and why the rest is not."""

    kept: int
    reasons: Counter[str]

    def __str__(self) -> str:
        """One line."""
        asked = self.kept + self.reasons.total()
        why = ", ".join(f"{count} {reason}" for reason, count in self.reasons.most_common())
        return f"{self.kept} of {asked} sentences kept ({self.kept / max(1, asked):.1%})" + (f"; {why}" if why else "")


def letter_errors(written: str, heard: str, language: str) -> float:
    """Letters to change, add or take away, over the letters written; spaces, marks and how numbers look apart.

    A recogniser groups digits as it likes, so numbers are compared digit by digit, too; the better likeness counts.
    """
    said = [_as_said(text, language) for text in (written, heard)]
    pairs = [said, [_by_digit(text) for text in said], [_by_digit(said[0]), _by_digit(heard)]]
    return min(_share(_BESIDE.sub("", wanted.lower()), _BESIDE.sub("", got.lower())) for wanted, got in pairs)


def _by_digit(text: str) -> str:
    return re.sub(r"\d+", lambda number: digits(number[0]), in_figures(text))


def _as_said(text: str, language: str) -> str:
    return normalize(text, language) if language in LANGUAGES else text


def _share(wanted: str, got: str) -> float:
    return edits(wanted, got) / max(1, len(wanted))


class _Worker:
    """Listens in a process of its own."""

    listener: Listener

    @classmethod
    def start(cls, open_listener: Callable[[], Listener]) -> None:
        """Set up this process."""
        cls.listener = open_listener()

    @classmethod
    def run(cls, arguments: tuple[Utterance, Path]) -> Heard:
        """Hear one utterance."""
        utterance, folder = arguments
        text = cls.listener.hear(read_audio(folder / utterance.audio), utterance.language)
        errors = letter_errors(utterance.text, text, utterance.language)
        return Heard(utterance.id, str(cls.listener.card), text, round(errors, 4))


def check_corpus(
    manifest: Path, open_listener: Callable[[], Listener], most_errors: float = MOST_ERRORS, workers: int | None = None
) -> Yield:
    """Hear every utterance of a manifest once, and move what has too many errors from it to the lines left out.

    ``open_listener`` is called in every worker process. What was heard is kept in `HEARD`; audio files stay.

    Raises:
        FileMissingError: there is no such manifest.
        ConfigError: ``most_errors`` is not a share.
    """
    if not 0 <= most_errors <= 1:
        raise ConfigError(f"the most errors that are let pass must be a share from 0 to 1, not {most_errors}")
    folder = manifest.parent
    utterances = list(read_manifest(manifest))
    heard = _hear(utterances, folder, open_listener, workers)
    # By the text, for what was heard before may have been compared otherwise.
    wrong = [u for u in utterances if letter_errors(u.text, heard[u.id].text, u.language) > most_errors]
    if wrong:
        leave_out(folder, [LeftOut(u.id, u.speaker, u.text, MISHEARD) for u in wrong])
        gone = {u.id for u in wrong}
        partial = manifest.with_suffix(".partial")
        partial.unlink(missing_ok=True)
        append_manifest(partial, [u for u in utterances if u.id not in gone])
        os.replace(partial, manifest)
    return corpus_yield(manifest)


def corpus_yield(manifest: Path) -> Yield:
    """How much of what was asked for is in a corpus."""
    kept = {u.id for u in read_manifest(manifest)}
    reasons = {each.id: each.reason for each in read_left_out(manifest.parent) if each.id not in kept}
    return Yield(len(kept), Counter(reasons.values()))


def read_heard(folder: Path) -> dict[str, Heard]:
    """What was heard so far, by the utterances' ids."""
    path = folder / HEARD
    mend_manifest(path)
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8") as lines:
        return {each.id: each for each in (Heard(**json.loads(line)) for line in lines)}


def _hear(
    utterances: Sequence[Utterance], folder: Path, open_listener: Callable[[], Listener], workers: int | None
) -> dict[str, Heard]:
    heard = read_heard(folder)
    missing = [(u, folder) for u in utterances if u.id not in heard]
    if not missing:
        return heard
    context = multiprocessing.get_context("spawn")
    with (
        (folder / HEARD).open("a", encoding="utf-8") as file,
        context.Pool(workers or os.cpu_count(), _Worker.start, (open_listener,)) as pool,
        tqdm(total=len(utterances), initial=len(utterances) - len(missing), unit="clip", desc="listening") as bar,
    ):
        for each in pool.imap_unordered(_Worker.run, missing):
            file.write(json.dumps(asdict(each), ensure_ascii=False) + "\n")
            file.flush()
            heard[each.id] = each
            bar.update()
    return heard
