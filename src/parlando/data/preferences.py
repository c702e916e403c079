"""Sentences that a model said twice, and which way judges preferred: what preference tuning learns from.

``pairs.jsonl`` has a line for each pair, with the frames as the model made them; ``pairs.json``, which is written last,
says how they came to be. Between two runs, ``takes`` keeps every way in which a sentence was said.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from parlando.core.config import from_known, read_json
from parlando.core.errors import ConfigError, FileMissingError
from parlando.core.folder import write_json
from parlando.core.types import Prompt

PAIRS, COMPLETE, TAKES = "pairs.jsonl", "pairs.json", "takes"
_BY_THE_MODEL = ("end", "short")


@dataclass(frozen=True)
class Take:
    """One way in which a sentence was said.

    ``frames`` (int64 [frame, 1 + codebook]) are the token and the codes of every step, in the family's own order of
    time; ``finish`` is why it ended, as a `SentenceReport` has it; ``scores`` are what judges found, by name.
    """

    seed: int
    frames: np.ndarray
    finish: str
    scores: Mapping[str, float]

    @property
    def ended(self) -> bool:
        """Whether it ended by itself, as it should."""
        return self.finish == "end"

    @property
    def says_end(self) -> bool:
        """Whether the model itself ended it, be it too soon."""
        return self.finish in _BY_THE_MODEL

    def after(self, prompt: Prompt) -> Prompt:
        """The whole sequence: what the model was given, and what it made of it."""
        spoken = len(self.frames)
        return replace(
            prompt,
            tokens=(*prompt.tokens, *self.frames[:, 0].tolist()),
            audio_mask=np.concatenate([prompt.audio_mask, np.ones(spoken, dtype=bool)]),
            codes=np.concatenate([prompt.codes, self.frames[:, 1:]]),
        )


@dataclass(frozen=True)
class Takes:
    """A sentence, what the model was given, and all the ways in which it was said; ``failed`` counts what was not."""

    sentence: str
    prompt: Prompt
    takes: tuple[Take, ...]
    failed: int = 0


@dataclass(frozen=True)
class Pair:
    """Two takes of a sentence, of which one is better by ``margin``."""

    sentence: str
    prompt: Prompt
    chosen: Take
    rejected: Take
    margin: float


@dataclass(frozen=True)
class _Described:
    codebook_sizes: tuple[int, ...]


class PairCorpus:
    """Read access to a folder that `write_pairs` wrote."""

    def __init__(self, folder: Path) -> None:
        """Raises:
        FileMissingError: the folder holds no pairs.
        ConfigError: a line is not a pair, or there is none.
        """
        for file in (folder / PAIRS, folder / COMPLETE):
            if not file.is_file():
                raise FileMissingError(file, "preference pairs (parlando data preferences)")
        self.folder = folder
        described = from_known(_Described, read_json(folder / COMPLETE), str(folder / COMPLETE))
        self.codebook_sizes = described.codebook_sizes
        lines = (folder / PAIRS).read_text(encoding="utf-8").splitlines()
        self.pairs = [self._pair(line, number) for number, line in enumerate(lines, 1)]
        if not self.pairs:
            raise ConfigError(
                f"'{folder}' holds no pair: no sentence was said clearly better once than another time; "
                "make them with more takes, a higher temperature or a smaller margin"
            )

    def _pair(self, line: str, number: int) -> Pair:
        try:
            data = json.loads(line)
            chosen, rejected = _take(data["chosen"]), _take(data["rejected"])
            pair = Pair(data["sentence"], _prompt(data["prompt"]), chosen, rejected, float(data["margin"]))
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ConfigError(f"{self.folder / PAIRS}:{number}: not a preference pair ({error})") from error
        sizes = {part.shape[1] for part in (pair.prompt.codes, chosen.frames[:, 1:], rejected.frames[:, 1:])}
        if sizes != {len(self.codebook_sizes)}:
            raise ConfigError(f"{self.folder / PAIRS}:{number}: not {len(self.codebook_sizes)} codes in every frame")
        return pair


def write_pairs(folder: Path, pairs: Iterable[Pair], described: Mapping[str, Any]) -> None:
    """Write pairs, then how they came to be; ``codebook_sizes`` must be a part of that."""
    (folder / COMPLETE).unlink(missing_ok=True)
    with (folder / PAIRS).open("w", encoding="utf-8") as lines:
        for pair in pairs:
            takes = {"chosen": _take_data(pair.chosen), "rejected": _take_data(pair.rejected)}
            data = {"sentence": pair.sentence, "margin": pair.margin, **takes, "prompt": _prompt_data(pair.prompt)}
            lines.write(json.dumps(data, ensure_ascii=False) + "\n")
    write_json(folder / COMPLETE, described)


def write_takes(path: Path, takes: Takes) -> None:
    """Keep the takes of a sentence: a file that is there whole or not at all."""
    data = {
        "sentence": takes.sentence,
        "takes": [_take_data(take) for take in takes.takes],
        "failed": takes.failed,
        "prompt": _prompt_data(takes.prompt),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
    os.replace(partial, path)


def read_takes(path: Path) -> Takes:
    """What `write_takes` wrote.

    Raises:
        ConfigError: it is damaged.
    """
    try:
        data = read_json(path)
        takes = tuple(map(_take, data["takes"]))
        return Takes(data["sentence"], _prompt(data["prompt"]), takes, data["failed"])
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"'{path}' is damaged ({error}); delete it") from error


def _take_data(take: Take) -> dict[str, Any]:
    return {
        "seed": take.seed,
        "finish": take.finish,
        "scores": dict(take.scores),
        "frames": take.frames.tolist(),
    }


def _take(data: Mapping[str, Any]) -> Take:
    return Take(int(data["seed"]), _rows(data["frames"]), str(data["finish"]), dict(data["scores"]))


def _prompt_data(prompt: Prompt) -> dict[str, Any]:
    return {
        "tokens": list(prompt.tokens),
        "audio": np.flatnonzero(prompt.audio_mask).tolist(),
        "codes": prompt.codes.tolist(),
        "codebooks": prompt.codes.shape[1],
    }


def _prompt(data: Mapping[str, Any]) -> Prompt:
    mask = np.zeros(len(data["tokens"]), dtype=bool)
    mask[data["audio"]] = True
    codes = _rows(data["codes"], int(data["codebooks"]))
    if len(codes) != mask.sum():
        raise ValueError(f"{mask.sum()} places for codes and {len(codes)} frames")
    return Prompt(tuple(map(int, data["tokens"])), mask, codes)


def _rows(data: Any, columns: int = 0) -> np.ndarray:
    """Numbers as int64 [row, column]; without a row, as wide as said."""
    rows = np.array(data, dtype=np.int64)
    if not rows.size:
        return np.zeros((0, columns), dtype=np.int64)
    if rows.ndim != 2:
        raise ValueError("frames of unequal size")
    return rows
