"""A packed corpus becomes codes and embeddings of who speaks, on all cores or on one GPU, by whatever can make them."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar, cast

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from tqdm import tqdm

from parlando.core.errors import ConfigError
from parlando.data.shards import Entry, PackedCorpus
from parlando.data.tokens import (
    SPEAKERS,
    Codes,
    EncodedUtterance,
    TokenCorpus,
    begin_codes,
    heard_at_speed,
    write_described,
)

SPEEDS = (0.84, 0.9, 0.95, 1.06, 1.12, 1.19)
T = TypeVar("T")


class Encoder(Protocol):
    """What turns waveforms into codes: a trained codec does, and `TokenizerEncoder`."""

    @property
    def num_codebooks(self) -> int:
        """Codes per frame."""
        ...

    @property
    def codebook_size(self) -> int:
        """How many different codes a codebook has."""
        ...

    def encode(self, wave: Float[Tensor, "batch sample"]) -> Int[Tensor, "batch codebook frame"]:
        """Codes of clips of one length."""
        ...

    def to(self, device: str, /) -> Self:
        """Move the weights there."""
        ...


class Embedder(Protocol):
    """What tells whose voice it is; `SpeakerEmbedder` does."""

    @property
    def dim(self) -> int:
        """Size of an embedding."""
        ...

    def embed(self, wave: Float[Tensor, " sample"]) -> Float[Tensor, " dim"]:
        """The embedding of one clip."""
        ...

    def to(self, device: str, /) -> Self:
        """Move the weights there."""
        ...


def _versions(corpus: PackedCorpus, warp_share: float) -> Iterator[tuple[Entry, float]]:
    generator = np.random.default_rng(5)
    for entry in corpus.entries:
        if entry.split == "test":
            continue
        yield entry, 1.0
        if generator.random() < warp_share:
            yield entry, float(generator.choice(SPEEDS))


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
            spoken = EncodedUtterance(
                entry.id, entry.speaker, speed, entry.language, entry.text, entry.split, start, len(codes)
            )
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


def _bar(things: Iterable[T], total: int, what: str) -> Iterable[T]:
    return tqdm(things, total=total, unit="clip", desc=what)
