"""Phone times for recordings: forced alignment by pocketsphinx with flite's pronunciations.

Each word enters the aligner's dictionary with the pronunciation our lexicon gives it, so that recordings and
synthetic teachers carry labels from one phone set.
"""

from __future__ import annotations

import multiprocessing
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soxr
from tqdm import tqdm

from parlando.audio.files import read_audio
from parlando.core.errors import ConfigError, MissingDependencyError
from parlando.core.install import with_extra
from parlando.data.manifest import Utterance, append_manifest, read_manifest
from parlando.data.teachers import flite

ALIGNER_RATE = 16_000
FRAMES_PER_SECOND = 100
SILENCE_PHONE = "pau"
_WORD_PREFIX = "w-"
_RADIO_TO_ARPABET = {"ax": "AH", "axr": "ER"}


@cache
def _decoder() -> Any:
    try:
        from pocketsphinx import Decoder
    except ImportError as error:
        raise MissingDependencyError("pocketsphinx", with_extra("train")) from error
    return Decoder(lm=None, loglevel="FATAL", beam=1e-80, wbeam=1e-60, pbeam=1e-80, cmn="batch")


def _bare(phone: str) -> str:
    return phone.rstrip("0123456789")


def _enter_words(decoder: Any, text: str) -> list[list[str]]:
    """Give the aligner every word under a private name; returns the words' phones without stress."""
    words = [
        [_bare(p) for p in flite.pronounce(w.strip("'"))] for w in re.findall(r"[a-z']+", text.lower()) if w.strip("'")
    ]
    for index, phones in enumerate(words):
        entry = " ".join(_RADIO_TO_ARPABET.get(p, p.upper()) for p in phones)
        name = _entry_name(phones)
        if decoder.lookup_word(name) is None:
            decoder.add_word(name, entry, index == len(words) - 1)
    return words


def _entry_name(phones: Sequence[str]) -> str:
    return _WORD_PREFIX + "-".join(phones)


def _decode_once(decoder: Any, samples: np.ndarray) -> None:
    # Each clip's own mean, which the decoder would carry on, and a clip's times would depend on which came before it.
    decoder.reinit_feat()
    decoder.start_utt()
    decoder.process_raw(samples.tobytes(), full_utt=True)
    decoder.end_utt()


class Aligned(NamedTuple):
    """(start, end) of every word that has letters, and (phone, end) pairs, if these fit, too; all in seconds."""

    words: list[tuple[float, float]]
    phones: list[tuple[str, float]] | None


def align(samples: np.ndarray, text: str) -> list[tuple[str, float]] | None:
    """(phone, end in seconds) pairs of a 16 kHz int16 clip, or ``None`` when the text does not fit the sound."""
    aligned = align_words(samples, text)
    return None if aligned is None else aligned.phones


def align_words(samples: np.ndarray, text: str) -> Aligned | None:
    """The same with the words' times, which are known oftener: phones are looked for within each word's own time."""
    decoder = _decoder()
    words = [phones for phones in _enter_words(decoder, text) if phones]
    if not words:
        return None
    decoder.set_align_text(" ".join(_entry_name(phones) for phones in words))
    try:
        _decode_once(decoder, samples)
    except RuntimeError:
        return None
    if decoder.hyp() is None:
        return None
    spoken = [each for each in decoder.seg() if each.word.startswith(_WORD_PREFIX)]
    times = [(each.start_frame / FRAMES_PER_SECOND, (each.end_frame + 1) / FRAMES_PER_SECOND) for each in spoken]
    try:
        decoder.set_alignment()
        _decode_once(decoder, samples)
    except RuntimeError:
        return Aligned(times, None)
    return Aligned(times, list(_phones(decoder, iter(words))))


def _phones(decoder: Any, words: Iterator[list[str]]) -> Iterator[tuple[str, float]]:
    for entry in decoder.get_alignment():
        names = next(words) if entry.name.startswith(_WORD_PREFIX) else [SILENCE_PHONE]
        for name, phone in zip(names, entry, strict=True):
            yield name, (phone.start + phone.duration) / FRAMES_PER_SECOND


def _align_utterance(arguments: tuple[Utterance, Path]) -> Utterance:
    utterance, folder = arguments
    clip = read_audio(folder / utterance.audio)
    pcm = (soxr.resample(clip.samples, clip.sample_rate, ALIGNER_RATE) * 32767).clip(-32768, 32767).astype(np.int16)
    phones = align(pcm, utterance.text)
    return replace(utterance, phones=None if phones is None else tuple(phones))


def align_manifest(source: Path, target: Path, workers: int | None = None) -> int:
    """Align every utterance of ``source`` into ``target`` (resumable); returns how many could not be aligned.

    Raises:
        FileMissingError: there is no such manifest.
        ConfigError: ``target`` is in another folder, where its paths to the audio would lead nowhere.
        MissingDependencyError: the aligner or the pronunciations are not installed.
    """
    if source.parent.resolve() != target.parent.resolve():
        raise ConfigError(
            f"'{target}' must be in the folder of '{source}': a manifest's audio paths are relative to it"
        )
    done = {u.id: u for u in read_manifest(target)} if target.exists() else {}
    missing = [(u, source.parent) for u in read_manifest(source) if u.id not in done]
    failed = sum(u.phones is None for u in done.values())
    with multiprocessing.get_context("spawn").Pool(workers or os.cpu_count()) as pool:
        aligned = pool.imap_unordered(_align_utterance, missing, chunksize=4)
        for utterance in tqdm(aligned, total=len(missing) + len(done), initial=len(done), unit="clip"):
            append_manifest(target, [utterance])
            failed += utterance.phones is None
    return failed
