"""The audio that the model is measured against: recordings of the same sentences, or a teacher that says them now."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from tqdm import tqdm

from parlando.audio.clip import Clip, as_mono
from parlando.audio.files import read_audio
from parlando.core.errors import InputError
from parlando.data import flite
from parlando.data.imports import import_table
from parlando.data.manifest import read_manifest
from parlando.data.synthesise import sentence_key

TABLE_NAME = "metadata.tsv"


def held_out_sentences(limit: int | None = None) -> list[str]:
    """The 100 sentences that no training of the default model saw: prompts of CMU Arctic (Kominek and Black, 2003)."""
    text = files("parlando.evaluate").joinpath("data", "heldout_en.txt").read_text(encoding="utf-8")
    return text.splitlines()[:limit]


def _recordings(path: Path) -> dict[str, Path]:
    """The first recording of every sentence, by sentence key, in a manifest or in a folder with a table."""
    if path.suffix == ".jsonl":
        found = [(u.text, path.parent / u.audio) for u in read_manifest(path)]
    else:
        with tempfile.TemporaryDirectory(prefix="parlando-") as folder:
            manifest = Path(folder).resolve() / "manifest.jsonl"
            import_table(path / TABLE_NAME if path.is_dir() else path, manifest)
            found = [(u.text, (manifest.parent / u.audio).resolve()) for u in read_manifest(manifest)]
    return {sentence_key(text): audio for text, audio in reversed(found)}


def recorded(path: Path, sentences: Sequence[str]) -> list[Clip]:
    """Recordings of these sentences from a ``.jsonl`` manifest, a tab-separated table or a folder that holds one.

    Raises:
        FileMissingError: the manifest, the table or a recording is not there.
        InputError: a sentence has no recording.
    """
    recordings = _recordings(path)
    absent = [s for s in sentences if sentence_key(s) not in recordings]
    if absent:
        raise InputError(
            f"'{path}' has no recording of {len(absent)} of {len(sentences)} sentences, the first is '{absent[0]}'; "
            "give recordings of the evaluated sentences, or use a teacher"
        )
    return [read_audio(recordings[sentence_key(s)]) for s in sentences]


def taught(teacher: str, sentences: Sequence[str]) -> list[Clip]:
    """These sentences as a Flite voice says them.

    Raises:
        MissingDependencyError: Flite is not installed.
        VoiceNotFoundError: Flite has no such voice.
    """
    spoken = (flite.speak(s, teacher) for s in tqdm(sentences, desc=f"teacher {teacher}", unit="sentence"))
    return [Clip(as_mono(s.samples), s.sample_rate) for s in spoken]
