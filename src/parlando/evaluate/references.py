"""The audio that the model is measured against: recordings of the same sentences, or a teacher that says them now."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from tqdm import tqdm

from parlando.audio.clip import Clip, as_mono
from parlando.audio.files import read_audio
from parlando.core.errors import InputError, VoiceNotFoundError
from parlando.data.imports import import_table
from parlando.data.manifest import Utterance, read_manifest
from parlando.data.sentences import sentence_key
from parlando.data.teachers import flite

TABLE_NAME = "metadata.tsv"
REFERENCE_SECONDS = 8.0


def held_out_sentences(limit: int | None = None) -> list[str]:
    """The 100 sentences that no training of the default model saw: prompts of CMU Arctic (Kominek and Black, 2003)."""
    text = files("parlando.evaluate").joinpath("data", "heldout_en.txt").read_text(encoding="utf-8")
    return text.splitlines()[:limit]


def _utterances(path: Path) -> list[Utterance]:
    """What a manifest, a table or a folder with a table lists, with absolute paths."""
    if path.suffix == ".jsonl":
        return _located(path)
    with tempfile.TemporaryDirectory(prefix="parlando-") as folder:
        manifest = Path(folder).resolve() / "manifest.jsonl"
        import_table(path / TABLE_NAME if path.is_dir() else path, manifest)
        return _located(manifest)


def listed_utterances(path: Path) -> list[Utterance]:
    """What a manifest, a table or a folder with a table lists: the held-out sentences, or all where it has none.

    Raises:
        FileMissingError: the manifest, the table or a recording is not there.
    """
    found = _utterances(path)
    kept = {sentence_key(sentence) for sentence in held_out_sentences()}
    by_sentence = {key: u for u in reversed(found) if (key := sentence_key(u.text)) in kept}
    return list(reversed(by_sentence.values())) or found


def _located(manifest: Path) -> list[Utterance]:
    return [replace(u, audio=str((manifest.parent / u.audio).resolve())) for u in read_manifest(manifest)]


def recorded(path: Path, sentences: Sequence[str]) -> list[Clip]:
    """Recordings of these sentences; errors as for `recorded_utterances`."""
    return [read_audio(utterance.audio) for utterance in recorded_utterances(path, sentences)]


def recorded_utterances(path: Path, sentences: Sequence[str]) -> list[Utterance]:
    """Recordings of these sentences from a ``.jsonl`` manifest, a tab-separated table or a folder that holds one.

    Raises:
        FileMissingError: the manifest, the table or a recording is not there.
        InputError: a sentence has no recording.
    """
    recordings = {sentence_key(u.text): u for u in reversed(_utterances(path))}
    absent = [s for s in sentences if sentence_key(s) not in recordings]
    if absent:
        raise InputError(
            f"'{path}' has no recording of {len(absent)} of {len(sentences)} sentences, the first is '{absent[0]}'; "
            "give recordings of the evaluated sentences, or use a teacher"
        )
    return [recordings[sentence_key(s)] for s in sentences]


def taught(teacher: str, sentences: Sequence[str]) -> list[Clip]:
    """These sentences as a Flite voice says them.

    Raises:
        MissingDependencyError: Flite is not installed.
        VoiceNotFoundError: Flite has no such voice.
    """
    if teacher not in flite.FLITE_VOICES:
        raise VoiceNotFoundError(teacher, flite.FLITE_VOICES)
    spoken = (flite.speak(s, teacher) for s in tqdm(sentences, desc=f"teacher {teacher}", unit="sentence"))
    return [Clip(as_mono(s.samples), s.sample_rate) for s in spoken]


def speakers(path: Path, most: int) -> dict[str, tuple[Clip, str]]:
    """For each of the first ``most`` speakers the recording nearest to `REFERENCE_SECONDS`, and what is said in it.

    Raises:
        FileMissingError: the manifest, the table or a recording is not there.
    """
    chosen: dict[str, Utterance] = {}
    for utterance in _utterances(path):
        held = chosen.get(utterance.speaker)
        if held is None or _distance(utterance) < _distance(held):
            chosen[utterance.speaker] = utterance
    return {name: (read_audio(u.audio), u.text) for name, u in sorted(chosen.items())[:most]}


def _distance(utterance: Utterance) -> float:
    return abs(utterance.seconds - REFERENCE_SECONDS)
