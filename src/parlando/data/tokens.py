"""A corpus as codes: a storage format, of which a language model is trained; `train.encode` makes it.

A share of the utterances may be encoded again at another speed, which moves pitch, formants and tempo together: each
(speaker, speed) pair is one more voice for the model to follow from a reference.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from parlando.core.config import from_mapping, read_json
from parlando.core.errors import ConfigError, FileMissingError
from parlando.data.sampler import at_speed
from parlando.data.shards import COMPLETE as PACKED
from parlando.data.shards import Entry, PackedCorpus

COMPLETE, SPEAKERS = "codes.json", "speakers.f32"


@dataclass(frozen=True)
class EncodedUtterance:
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
            self.utterances = [EncodedUtterance(**json.loads(line)) for line in lines]
        self.folder = folder
        described = from_mapping(Codes, read_json(folder / COMPLETE), str(folder / COMPLETE))
        self.num_codebooks, self.codebook_size = described.num_codebooks, described.codebook_size
        codes = np.memmap(folder / "codes.i16", dtype=np.int16, mode="r")
        self._codes: np.ndarray = codes.reshape(-1, self.num_codebooks)
        self._labels: np.ndarray = np.memmap(folder / "labels.u8", dtype=np.uint8, mode="r")
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

    def codes(self, spoken: EncodedUtterance) -> np.ndarray:
        """Codes (int64 [codebook, frame])."""
        return self._codes[spoken.start : spoken.start + spoken.frames].T.astype(np.int64)

    def labels(self, spoken: EncodedUtterance) -> np.ndarray:
        """Phone label per frame (int64 [frame])."""
        return self._labels[spoken.start : spoken.start + spoken.frames].astype(np.int64)


def heard_at_speed(corpus: PackedCorpus, entry: Entry, speed: float) -> tuple[np.ndarray, np.ndarray]:
    """Samples and phone labels of an utterance as it was encoded at a speed."""
    wave, labels = corpus.samples(entry), corpus.labels(entry)
    if speed == 1.0:
        return wave, labels
    frame = corpus.config.frame_samples
    frames = int(len(wave) / speed) // frame
    warped = np.interp(np.arange(frames * frame) * speed, np.arange(len(wave)), wave).astype(np.float32)
    return warped, at_speed(labels, speed, frames)


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


def write_described(folder: Path, described: Codes) -> None:
    """Write ``codes.json``, which makes a folder of codes complete."""
    (folder / COMPLETE).write_text(json.dumps(asdict(described)), encoding="utf-8")
