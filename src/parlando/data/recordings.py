"""Somebody's recordings: a folder of audio files with their texts beside them, or a list of both.

What cannot be learned from is listed with its reason, skipped and counted; nothing else stops because of it.
"""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm import tqdm

from parlando.audio.clip import Clip
from parlando.audio.files import read_audio
from parlando.audio.silence import speech_spans
from parlando.core.errors import AudioError, FileMissingError, InputError, TextError
from parlando.data.checking import letter_errors
from parlando.data.manifest import Utterance
from parlando.data.sentences import sentence_key
from parlando.text.normalize import normalize

AUDIO_SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a")
LIST_SUFFIXES = (".csv", ".tsv", ".txt", ".jsonl")
_PATHS, _TEXTS = ("path", "audio", "file", "wav", "id"), ("text", "transcript", "words", "sentence")
_SPOKEN = "spoken"  # no phone's name: what is said there, nobody knows

Transcribe = Callable[[Clip], str]


@dataclass(frozen=True)
class RecordingLimits:
    """What a recording may be: how long, how many letters are said in a second, how many may be heard otherwise."""

    shortest_seconds: float = 0.5
    longest_seconds: float = 15.0
    fewest_letters: float = 3.0
    most_letters: float = 32.0
    most_errors: float = 0.5


DEFAULT_LIMITS = RecordingLimits()


@dataclass(frozen=True)
class Recording:
    """A file, and what is said in it, if that is written down."""

    audio: Path
    text: str | None


@dataclass(frozen=True)
class Fault:
    """A recording that is skipped: ``kind`` is what is counted, ``why`` what is told."""

    audio: Path
    kind: str
    why: str

    def __str__(self) -> str:
        """One line of a list."""
        return f"{self.audio}: {self.kind}: {self.why}"


@dataclass(frozen=True)
class CheckedRecordings:
    """What can be learned from, with paths relative to the folder it was checked for, and what is skipped."""

    utterances: tuple[Utterance, ...]
    faults: tuple[Fault, ...]

    @property
    def seconds(self) -> float:
        """How long the usable ones are together."""
        return sum(utterance.seconds for utterance in self.utterances)

    def __str__(self) -> str:
        """One line."""
        counts = Counter(fault.kind for fault in self.faults)
        skipped = ", ".join(f"{count} {kind}" for kind, count in counts.most_common())
        asked = len(self.utterances) + len(self.faults)
        return f"{len(self.utterances)} of {asked} recordings, {self.seconds / 60:.1f} minutes" + (
            f"; skipped: {skipped}" if skipped else ""
        )


def find_recordings(source: Path) -> list[Recording]:
    """The recordings of a folder, whose texts have the same names, or those of a list (see `AUDIO_SUFFIXES`).

    Raises:
        FileMissingError: there is no such folder or list.
        InputError: there are none in it, or a list is not one.
    """
    if source.is_dir():
        found = [Recording(path, _text_beside(path)) for path in sorted(source.rglob("*")) if _is_audio(path)]
    elif source.is_file():
        found = list(_listed(source))
    else:
        raise FileMissingError(source, "folder of recordings")
    if not found:
        raise InputError(
            f"'{source}' holds no recordings; give a folder of files such as one.wav with their words in one.txt"
        )
    return found


def _is_audio(path: Path) -> bool:
    return path.suffix.lower() in AUDIO_SUFFIXES and path.is_file() and not path.name.startswith(".")


def _text_beside(audio: Path) -> str | None:
    path = audio.with_suffix(".txt")
    return path.read_text(encoding="utf-8-sig", errors="replace") if path.is_file() else None


def _listed(source: Path) -> Iterator[Recording]:
    if source.suffix.lower() not in LIST_SUFFIXES:
        raise InputError(f"'{source}' is not a list of recordings; give a folder, or one of {', '.join(LIST_SUFFIXES)}")
    try:
        lines = source.read_text(encoding="utf-8-sig").splitlines()
        rows = _json_rows(lines) if source.suffix.lower() == ".jsonl" else _rows(lines)
    except (ValueError, csv.Error) as error:
        raise InputError(f"'{source}' cannot be read as a list of recordings ({error}); save it as UTF-8") from error
    for name, text in rows:
        yield Recording(_located(source.parent, name), text.strip() or None)


def _located(folder: Path, name: str) -> Path:
    """The file of a row, which may leave out the suffix and the folder ``wavs``, as LJSpeech's does."""
    places = [folder / name, *(folder / part / f"{name}{end}" for part in ("", "wavs") for end in AUDIO_SUFFIXES)]
    return next((place for place in places if place.is_file()), places[0])


def _json_rows(lines: Sequence[str]) -> list[tuple[str, str]]:
    tables = [json.loads(line) for line in lines if line.strip()]
    return [(_value(table, _PATHS), _value(table, _TEXTS, "")) for table in tables]


def _value(table: dict[str, str], names: Sequence[str], otherwise: str | None = None) -> str:
    value = next((table[name] for name in names if name in table), otherwise)
    if value is None:
        raise ValueError(f"a row has none of {', '.join(names)}")
    return str(value)


def _rows(lines: Sequence[str]) -> list[tuple[str, str]]:
    """Rows separated by bars, tabs or commas; with names of columns, or a path and then its text."""
    filled = [line for line in lines if line.strip()]
    if not filled:
        return []
    separator = next((mark for mark in "|\t" if mark in filled[0]), ",")
    rows = list(csv.reader(filled)) if separator == "," else [line.split(separator) for line in filled]
    head = [cell.strip().lower() for cell in rows[0]]
    if not set(head) & set(_TEXTS):
        return [(row[0].strip(), row[1] if len(row) > 1 else "") for row in rows]
    tables = [dict(zip(head, row, strict=False)) for row in rows[1:]]
    return [(_value(table, _PATHS), _value(table, _TEXTS, "")) for table in tables]


@dataclass(frozen=True)
class RecordingCheck:
    """How recordings are checked: whose they are, in which language, and who listens, if anybody does."""

    speaker: str
    language: str = "en"
    transcribe: Transcribe | None = None
    limits: RecordingLimits = DEFAULT_LIMITS

    def run(self, recordings: Sequence[Recording], folder: Path) -> CheckedRecordings:
        """The usable recordings with paths from ``folder``, where their manifest will be, and the others' faults.

        Raises:
            InputError: a recording has no text, and nobody listens.
        """
        untold = [recording.audio for recording in recordings if recording.text is None]
        if untold and self.transcribe is None:
            raise InputError(
                f"{len(untold)} of {len(recordings)} recordings have no text, such as '{untold[0]}'; write what is "
                f"said into {untold[0].with_suffix('.txt').name} beside it, or name a recogniser: --asr whisper"
            )
        utterances: list[Utterance] = []
        faults: list[Fault] = []
        for recording in tqdm(recordings, desc="check", unit="recording"):
            result = self._checked(recording)
            if isinstance(result, Fault):
                faults.append(result)
            else:
                name = os.path.relpath(recording.audio.resolve(), folder.resolve())
                utterances.append(replace(result, id=f"{len(utterances):05d}", audio=name))
        return CheckedRecordings(tuple(utterances), tuple(faults))

    def _checked(self, recording: Recording) -> Utterance | Fault:
        limits = self.limits
        try:
            clip = read_audio(recording.audio)
        except (AudioError, FileMissingError) as error:
            return Fault(recording.audio, "unreadable", str(error))
        spans, rate = speech_spans(clip.samples, clip.sample_rate), clip.sample_rate
        spoken = (spans[-1].end - spans[0].start) / rate if spans else 0.0
        if not spans:
            return Fault(recording.audio, "silent", "nobody speaks in it")
        if not limits.shortest_seconds <= spoken <= limits.longest_seconds:
            kind, bound = ("too short", limits.shortest_seconds), ("too long", limits.longest_seconds)
            name, limit = kind if spoken < limits.shortest_seconds else bound
            return Fault(recording.audio, name, f"{spoken:.1f} s of speech; the limit is {limit:g} s, cut it")
        text = self._text(recording, clip)
        if fault := self._misfit(recording, text, clip, spoken):
            return fault
        phones = (("pau", spans[0].start / rate), (_SPOKEN, spans[-1].end / rate), ("pau", len(clip.samples) / rate))
        return Utterance("", "", self.speaker, self.language, text, round(spoken, 3), phones)

    def _text(self, recording: Recording, clip: Clip) -> str:
        if recording.text is not None:
            return " ".join(recording.text.split())
        return " ".join(self.transcribe(clip).split()) if self.transcribe is not None else ""

    def _misfit(self, recording: Recording, text: str, clip: Clip, spoken: float) -> Fault | None:
        """What is wrong with a text, if anything."""
        limits, where = self.limits, recording.audio
        try:
            letters = len(sentence_key(normalize(text, self.language)).replace(" ", ""))
        except TextError as error:
            return Fault(where, "without text", str(error))
        if not letters:
            return Fault(where, "without text", "nothing is written down that can be said")
        if not limits.fewest_letters <= letters / spoken <= limits.most_letters:
            return Fault(where, "mislabelled", f"{letters} letters in {spoken:.1f} s cannot be what is said in it")
        if self.transcribe is not None and recording.text is not None:
            heard = self.transcribe(clip)
            if letter_errors(text, heard, self.language) > limits.most_errors:
                return Fault(where, "mislabelled", f"heard is '{heard}'")
        return None
