"""A corpus as codes: what the language model trains on, made once by a codec or a speech tokenizer.

A share of the utterances is encoded again at another speed, which moves pitch, formants and tempo together: each
(speaker, speed) pair is one more voice for the model to follow from a reference.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import torch
from tqdm import tqdm

from parlando.core.config import from_mapping, read_json
from parlando.core.errors import ConfigError, FileMissingError
from parlando.data.sampler import at_speed
from parlando.data.shards import COMPLETE as PACKED
from parlando.data.shards import Entry, PackedCorpus
from parlando.train.encoders import Embedder, Encoder

COMPLETE, SPEAKERS = "codes.json", "speakers.f32"
T = TypeVar("T")
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
    """What ``codes.json`` says of a folder of codes; it is written last.

    ``speaker_dim`` is the size of an embedding in ``speakers.f32``, 0 where there is no such file.
    """

    num_codebooks: int
    codebook_size: int
    speaker_dim: int = 0


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
        self.speaker_dim = described.speaker_dim
        self._speakers: np.ndarray | None = None
        if described.speaker_dim:
            speakers = np.memmap(folder / SPEAKERS, dtype=np.float32, mode="r")
            self._speakers = speakers.reshape(-1, described.speaker_dim)

    @property
    def speakers(self) -> np.ndarray:
        """One embedding per utterance, in their order (float32 [utterance, dim]).

        Raises:
            ConfigError: the corpus was encoded without.
        """
        if self._speakers is None:
            raise ConfigError(f"'{self.folder}' has no speaker embeddings; encode the corpus again with --speaker")
        return self._speakers

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


def heard_at_speed(corpus: PackedCorpus, entry: Entry, speed: float) -> tuple[np.ndarray, np.ndarray]:
    """Samples and phone labels of an utterance as it was encoded at a speed."""
    wave, labels = corpus.samples(entry), corpus.labels(entry)
    if speed == 1.0:
        return wave, labels
    frame = corpus.config.frame_samples
    frames = int(len(wave) / speed) // frame
    warped = np.interp(np.arange(frames * frame) * speed, np.arange(len(wave)), wave).astype(np.float32)
    return warped, at_speed(labels, speed, frames)


class _Worker:
    """Encodes, or tells the voice of, one utterance at a time; each process has a corpus and a network of its own."""

    current: _Worker

    def __init__(self, packed: Path, network: Encoder | Embedder, device: str) -> None:
        self.corpus, self.network, self.device = PackedCorpus(packed), network.to(device), device

    @classmethod
    def start(cls, packed: Path, network: Encoder | Embedder, device: str) -> None:
        """Set up this process."""
        torch.set_num_threads(1)
        torch.set_flush_denormal(True)
        cls.current = cls(packed, network, device)

    @classmethod
    def encode(cls, version: tuple[Entry, float]) -> tuple[np.ndarray, np.ndarray]:
        """Codes (int16 [frame, codebook]) and each frame's first label (uint8 [frame])."""
        worker = cls.current
        wave, labels = heard_at_speed(worker.corpus, *version)
        encoder = cast("Encoder", worker.network)
        codes = encoder.encode(torch.from_numpy(wave)[None].to(worker.device))[0].T
        return codes.cpu().numpy().astype(np.int16), labels[: len(codes), 0]

    @classmethod
    def embed(cls, version: tuple[Entry, float]) -> np.ndarray:
        """The embedding (float32 [dim])."""
        worker = cls.current
        wave, _ = heard_at_speed(worker.corpus, *version)
        embedding = cast("Embedder", worker.network).embed(torch.from_numpy(wave).to(worker.device))
        return embedding.float().cpu().numpy()


@contextmanager
def _processes(corpus: PackedCorpus, network: Encoder | Embedder, device: str) -> Iterator[Any]:
    """A pool on all cores, or one process on a GPU."""
    workers = 1 if device.startswith("cuda") else os.cpu_count()
    context = multiprocessing.get_context("spawn")
    with context.Pool(workers, _Worker.start, (corpus.folder, network.to("cpu"), device)) as pool:
        yield pool


def begin_codes(folder: Path) -> None:
    """Make a folder ready to be written; what was complete in it no longer is.

    Raises:
        ConfigError: it holds a packed corpus, whose files have the same names.
    """
    if (folder / PACKED).exists():
        raise ConfigError(f"'{folder}' holds a packed corpus; name another folder for its codes")
    folder.mkdir(parents=True, exist_ok=True)
    for name in (COMPLETE, SPEAKERS):
        (folder / name).unlink(missing_ok=True)


def encode_corpus(
    corpus: PackedCorpus, encoder: Encoder, folder: Path, warp_share: float = 0.25, device: str = "cpu"
) -> int:
    """Encode every utterance outside the test split, on all cores or on one GPU; returns the number of frames.

    Raises:
        ConfigError: ``folder`` holds a packed corpus.
    """
    begin_codes(folder)
    versions, start = list(_versions(corpus, warp_share)), 0
    with (
        (folder / "codes.i16").open("wb") as codes_file,
        (folder / "labels.u8").open("wb") as labels_file,
        (folder / "index.jsonl").open("w", encoding="utf-8") as index,
        _processes(corpus, encoder, device) as pool,
    ):
        encoded = pool.imap(_Worker.encode, versions, chunksize=16)
        for (entry, speed), (codes, labels) in _bar(zip(versions, encoded, strict=True), len(versions), "encode"):
            codes_file.write(codes.tobytes())
            labels_file.write(labels.tobytes())
            spoken = Spoken(entry.id, entry.speaker, speed, entry.language, entry.text, entry.split, start, len(codes))
            index.write(json.dumps(asdict(spoken), ensure_ascii=False) + "\n")
            start += len(codes)
    write_described(folder, Codes(encoder.num_codebooks, encoder.codebook_size))
    return start


def embed_corpus(corpus: PackedCorpus, embedder: Embedder, folder: Path, device: str = "cpu") -> int:
    """Add ``speakers.f32``, who speaks in every utterance of an encoded corpus; returns the number of utterances.

    Raises:
        FileMissingError: the folder holds no encoded corpus.
        ConfigError: an utterance of it is not in the packed corpus.
        AudioError: one is silent or too short to tell.
    """
    tokens, entries = TokenCorpus(folder), {entry.id: entry for entry in corpus.entries}
    unknown = [spoken.id for spoken in tokens.utterances if spoken.id not in entries]
    if unknown:
        raise ConfigError(
            f"'{unknown[0]}' of '{folder}' is not in '{corpus.folder}'; name the packed corpus that was encoded"
        )
    versions = [(entries[spoken.id], spoken.speed) for spoken in tokens.utterances]
    with (folder / SPEAKERS).open("wb") as file, _processes(corpus, embedder, device) as pool:
        for embedding in _bar(pool.imap(_Worker.embed, versions, chunksize=16), len(versions), "embed"):
            file.write(embedding.tobytes())
    write_described(folder, Codes(tokens.num_codebooks, tokens.codebook_size, embedder.dim))
    return len(versions)


def write_described(folder: Path, described: Codes) -> None:
    """Write ``codes.json``, which makes a folder of codes complete."""
    (folder / COMPLETE).write_text(json.dumps(asdict(described)), encoding="utf-8")


def _bar(things: Iterable[T], total: int, what: str) -> Iterable[T]:
    return tqdm(things, total=total, unit="clip", desc=what)
