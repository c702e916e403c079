"""A corpus as codes: what the language model trains on, made once by the codec's encoder.

A share of the utterances is encoded again at another speed, which moves pitch, formants and tempo together: each
(speaker, speed) pair is one more voice for the model to follow from a reference.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from parlando.core.config import from_mapping, read_json
from parlando.core.errors import ConfigError, FileMissingError
from parlando.data.sampler import at_speed
from parlando.data.shards import COMPLETE as PACKED
from parlando.data.shards import Entry, PackedCorpus
from parlando.models.higgs.spectral import SpectralCodec

COMPLETE = "codes.json"
SPEEDS = (0.84, 0.9, 0.95, 1.06, 1.12, 1.19)


@dataclass(frozen=True)
class Spoken:
    """One utterance as codes: ``frames`` rows from ``start`` in the codes' file, said by ``speaker`` at ``speed``."""

    id: str
    speaker: str
    speed: float
    language: str
    text: str
    split: str
    start: int
    frames: int

    @property
    def voice(self) -> str:
        """What makes two utterances one voice."""
        return f"{self.speaker}@{self.speed:g}"


@dataclass(frozen=True)
class Codes:
    """What ``codes.json`` says of a folder of codes; it is written last."""

    num_codebooks: int
    codebook_size: int


class TokenCorpus:
    """Read access to a folder that `encode_corpus` wrote."""

    def __init__(self, folder: Path) -> None:
        index = folder / "index.jsonl"
        for file in (index, folder / COMPLETE):
            if not file.is_file():
                raise FileMissingError(file, "encoded corpus")
        with index.open(encoding="utf-8") as lines:
            self.utterances = [Spoken(**json.loads(line)) for line in lines]
        self.folder = folder
        described = from_mapping(Codes, read_json(folder / COMPLETE), str(folder / COMPLETE))
        self.num_codebooks, self.codebook_size = described.num_codebooks, described.codebook_size
        self._codes = np.memmap(folder / "codes.i16", dtype=np.int16, mode="r").reshape(-1, self.num_codebooks)
        self._labels = np.memmap(folder / "labels.u8", dtype=np.uint8, mode="r")

    @property
    def frames(self) -> int:
        """Code frames in the folder."""
        return len(self._codes)

    def codes(self, spoken: Spoken) -> np.ndarray:
        """Codes (int64 [codebook, frame])."""
        return self._codes[spoken.start : spoken.start + spoken.frames].T.astype(np.int64)

    def labels(self, spoken: Spoken) -> np.ndarray:
        """Phone label per frame (int64 [frame])."""
        return self._labels[spoken.start : spoken.start + spoken.frames].astype(np.int64)


def _versions(corpus: PackedCorpus, warp_share: float) -> Iterator[tuple[Entry, float]]:
    generator = np.random.default_rng(5)
    for entry in corpus.entries:
        if entry.split == "test":
            continue
        yield entry, 1.0
        if generator.random() < warp_share:
            yield entry, float(generator.choice(SPEEDS))


def _at_speed(corpus: PackedCorpus, entry: Entry, speed: float) -> tuple[np.ndarray, np.ndarray]:
    wave, labels = corpus.samples(entry), corpus.labels(entry)
    if speed == 1.0:
        return wave, labels
    frame = corpus.config.frame_samples
    frames = int(len(wave) / speed) // frame
    warped = np.interp(np.arange(frames * frame) * speed, np.arange(len(wave)), wave).astype(np.float32)
    return warped, at_speed(labels, speed, frames)


class _Worker:
    """Encodes one utterance at a time with a corpus and a codec of its own, one thread each."""

    current: _Worker

    def __init__(self, packed: Path, codec: SpectralCodec, device: str) -> None:
        self.corpus, self.codec, self.device = PackedCorpus(packed), codec.to(device).eval(), device

    @classmethod
    def start(cls, packed: Path, codec: SpectralCodec, device: str) -> None:
        """Set up this process."""
        torch.set_num_threads(1)
        torch.set_flush_denormal(True)
        cls.current = cls(packed, codec, device)

    @classmethod
    def run(cls, version: tuple[Entry, float]) -> tuple[np.ndarray, np.ndarray]:
        """Codes (int16 [frame, codebook]) and each frame's first label (uint8 [frame])."""
        worker = cls.current
        wave, labels = _at_speed(worker.corpus, *version)
        codes = worker.codec.encode(torch.from_numpy(wave)[None].to(worker.device))[0].T
        return codes.cpu().numpy().astype(np.int16), labels[: len(codes), 0]


def begin_codes(folder: Path) -> None:
    """Make a folder ready to be written; what was complete in it no longer is.

    Raises:
        ConfigError: it holds a packed corpus, whose files have the same names.
    """
    if (folder / PACKED).exists():
        raise ConfigError(f"'{folder}' holds a packed corpus; name another folder for its codes")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / COMPLETE).unlink(missing_ok=True)


def encode_corpus(
    corpus: PackedCorpus, codec: SpectralCodec, folder: Path, warp_share: float = 0.25, device: str = "cpu"
) -> int:
    """Encode every utterance outside the test split, on all cores or on one GPU; returns the number of frames.

    Raises:
        ConfigError: ``folder`` holds a packed corpus.
    """
    begin_codes(folder)
    versions, start = list(_versions(corpus, warp_share)), 0
    workers = 1 if device.startswith("cuda") else os.cpu_count()
    context = multiprocessing.get_context("spawn")
    with (
        (folder / "codes.i16").open("wb") as codes_file,
        (folder / "labels.u8").open("wb") as labels_file,
        (folder / "index.jsonl").open("w", encoding="utf-8") as index,
        context.Pool(workers, _Worker.start, (corpus.folder, codec.cpu(), device)) as pool,
    ):
        encoded = tqdm(pool.imap(_Worker.run, versions, chunksize=16), total=len(versions), unit="clip", desc="encode")
        for (entry, speed), (codes, labels) in zip(versions, encoded, strict=True):
            codes_file.write(codes.tobytes())
            labels_file.write(labels.tobytes())
            spoken = Spoken(entry.id, entry.speaker, speed, entry.language, entry.text, entry.split, start, len(codes))
            index.write(json.dumps(asdict(spoken), ensure_ascii=False) + "\n")
            start += len(codes)
    described = Codes(codec.num_codebooks, codec.codebook_size)
    (folder / COMPLETE).write_text(json.dumps(asdict(described)), encoding="utf-8")
    return start
