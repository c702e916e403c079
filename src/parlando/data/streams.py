"""An encoded corpus in shards (tar files as WebDataset lays them out), for corpora that no index in memory can hold.

A batch knows its shard by its number alone: a run goes on in the middle of one, and processes read different ones.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from parlando.core.config import from_mapping, read_json
from parlando.core.errors import CheckpointError, ConfigError
from parlando.core.folder import write_json
from parlando.data.tokens import EncodedUtterance, TokenCorpus

COMPLETE = "streams.json"
# Batches take turns on so many shards at a time: any number of processes that divides it reads shards of its own.
LANES = 64
_KEPT_SHARDS = 4


@dataclass(frozen=True)
class Shard:
    """A tar file, and how many utterances and frames are in it."""

    file: str
    utterances: int
    frames: int


@dataclass(frozen=True)
class Streams:
    """What ``streams.json`` says of a folder of shards; it is written last. ``validation`` is in all windows."""

    num_codebooks: int
    codebook_size: int
    train: tuple[Shard, ...]
    validation: Shard


class Window(TokenCorpus):
    """The utterances of some shards, in memory."""

    def __init__(self, folder: Path, described: Streams, shards: Sequence[Shard]) -> None:
        self.folder, self.speaker_dim, self._speakers = folder, 0, None
        self.num_codebooks, self.codebook_size = described.num_codebooks, described.codebook_size
        read = [each for shard in shards for each in _read_shard(folder / shard.file)]
        starts = np.cumsum([0, *(len(codes) for _, codes, _ in read)])
        self.utterances = [
            replace(spoken, start=int(start)) for (spoken, _, _), start in zip(read, starts, strict=False)
        ]
        self._codes = np.concatenate([codes for _, codes, _ in read])
        self._labels = np.concatenate([labels for _, _, labels in read])


class StreamedCorpus:
    """Read access to a folder that `write_shards` wrote."""

    def __init__(self, folder: Path) -> None:
        """Raises:
        FileMissingError: there is no ``streams.json``, which is written last.
        ConfigError: it is damaged, or has no shard to train on.
        """
        self.folder = folder
        self.described = from_mapping(Streams, read_json(folder / COMPLETE), str(folder / COMPLETE))
        if not self.described.train:
            raise ConfigError(f"'{folder}' has no shard to train on; write it again (parlando data shard)")
        self._windows: OrderedDict[int, Window] = OrderedDict()

    def shard_of(self, number: int, batches_per_shard: int) -> int:
        """Which shard a batch is drawn from: lanes take shards in turn, in another order in every epoch."""
        count = len(self.described.train)
        lanes = min(LANES, count)
        turn, lane = divmod(number, lanes)
        place = (turn // batches_per_shard) * lanes + lane
        epoch, within = divmod(place, count)
        return int(np.random.default_rng((53, epoch)).permutation(count)[within])

    def window(self, shard: int) -> Window:
        """A shard's utterances, and those for validation; the last few are kept."""
        if shard not in self._windows:
            shards = (self.described.train[shard], self.described.validation)
            self._windows[shard] = Window(self.folder, self.described, shards)
            if len(self._windows) > _KEPT_SHARDS:
                self._windows.popitem(last=False)
        self._windows.move_to_end(shard)
        return self._windows[shard]


def is_streamed(folder: Path) -> bool:
    """Whether a folder of codes is one of shards."""
    return (folder / COMPLETE).is_file()


def read_codebook_size(folder: Path) -> int:
    """Of a folder of codes, in shards or not.

    Raises:
        FileMissingError, ConfigError: it holds no whole encoded corpus.
    """
    if is_streamed(folder):
        return StreamedCorpus(folder).described.codebook_size
    return TokenCorpus(folder).codebook_size


def write_shards(corpus: TokenCorpus, folder: Path, utterances_per_shard: int = 1000, seed: int = 0) -> Streams:
    """Write an encoded corpus as shards of shuffled utterances.

    Raises:
        ConfigError: there are no utterances to train on, or less than one is wanted in a shard.
    """
    if utterances_per_shard < 1:
        raise ConfigError(f"a shard must hold at least 1 utterance, got {utterances_per_shard}")
    train = [spoken for spoken in corpus.utterances if spoken.split == "train"]
    if not train:
        raise ConfigError(f"'{corpus.folder}' has no utterances to train on")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / COMPLETE).unlink(missing_ok=True)
    order = np.random.default_rng(seed).permutation(len(train))
    parts = [order[start : start + utterances_per_shard] for start in range(0, len(train), utterances_per_shard)]
    held = [spoken for spoken in corpus.utterances if spoken.split == "validation"]
    described = Streams(
        corpus.num_codebooks,
        corpus.codebook_size,
        tuple(
            _write_shard(corpus, [train[i] for i in part], folder, f"train-{number:06d}.tar")
            for number, part in enumerate(parts)
        ),
        _write_shard(corpus, held, folder, "validation.tar"),
    )
    write_json(folder / COMPLETE, asdict(described))
    return described


def _write_shard(corpus: TokenCorpus, utterances: Sequence[EncodedUtterance], folder: Path, name: str) -> Shard:
    with tarfile.open(folder / name, "w", format=tarfile.USTAR_FORMAT) as tar:
        for number, spoken in enumerate(utterances):
            described = json.dumps(asdict(spoken), ensure_ascii=False).encode()
            arrays = (corpus.codes(spoken).T.astype(np.int16), corpus.labels(spoken).astype(np.uint8))
            contents = {"json": described, "codes.npy": _npy(arrays[0]), "labels.npy": _npy(arrays[1])}
            for kind, content in contents.items():
                entry = tarfile.TarInfo(f"{number:06d}.{kind}")
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    return Shard(name, len(utterances), sum(spoken.frames for spoken in utterances))


def _npy(array: np.ndarray) -> bytes:
    written = io.BytesIO()
    np.save(written, array, allow_pickle=False)
    return written.getvalue()


def _read_shard(path: Path) -> Iterator[tuple[EncodedUtterance, np.ndarray, np.ndarray]]:
    """Utterances with codes (int16 [frame, codebook]) and labels (uint8 [frame]).

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    parts: dict[str, dict[str, bytes]] = {}
    try:
        with tarfile.open(path) as tar:
            for entry in tar:
                key, _, kind = entry.name.partition(".")
                content = tar.extractfile(entry)
                parts.setdefault(key, {})[kind] = content.read() if content else b""
        for part in parts.values():
            codes, labels = (
                np.load(io.BytesIO(part[kind]), allow_pickle=False) for kind in ("codes.npy", "labels.npy")
            )
            yield EncodedUtterance(**json.loads(part["json"])), codes, labels
    except (OSError, tarfile.TarError, KeyError, ValueError, TypeError) as error:
        raise CheckpointError(f"'{path}' is not a whole shard ({error}); copy it or write it again") from error
