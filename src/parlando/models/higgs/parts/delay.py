"""The delay pattern (MusicGen, Copet et al., 2023): codebook i runs i frames behind codebook 0.

A clip of T frames in K codebooks becomes T + K + 1 delayed frames: row i is i + 1 times BOS, its T codes, then K - i
times EOS. Frame 0 is therefore all BOS, and each row's first EOS is the one the model learns to say.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

import numpy as np

from parlando.core.types import IGNORED_LABEL


def build_delay(codes: np.ndarray, bos: int, eos: int) -> np.ndarray:
    """Delay a clip: int64 [codebook, frame] without BOS and EOS -> int64 [codebook, frame + codebook + 1]."""
    num_codebooks, num_frames = codes.shape
    closed = np.concatenate([codes, np.full((num_codebooks, 1), eos)], axis=1).astype(np.int64)
    source = _source_frame(num_codebooks, num_frames + num_codebooks + 1)
    delayed = np.take_along_axis(closed, source.clip(0, num_frames), axis=1)
    return np.where(source < 0, np.int64(bos), delayed)


def labels(delayed: np.ndarray) -> np.ndarray:
    """Training labels of a delayed clip, at the same positions (the loss shifts): int64 [codebook, delayed frame].

    Each codebook is supervised from its own first code to its own EOS; everything else is `IGNORED_LABEL`.
    """
    num_codebooks, num_delayed = delayed.shape
    source = _source_frame(num_codebooks, num_delayed)
    supervised = (source >= 0) & (source <= num_delayed - num_codebooks - 1)
    return np.where(supervised, delayed, np.int64(IGNORED_LABEL))


def _source_frame(num_codebooks: int, num_delayed: int) -> np.ndarray:
    """The clip's frame that stands at each place of a delayed clip: int64 [codebook, delayed frame]."""
    return np.arange(num_delayed)[None, :] - np.arange(num_codebooks)[:, None] - 1


class Undelay:
    """Delayed frames in, one at a time; whole frames out as soon as their last code is known.

    An all-BOS frame opens a clip; the first frame that holds an EOS closes it, and nothing comes out until the next one
    opens. A clip that is cut short loses only the frames whose last codes were never made. State: the last K delayed
    frames.
    """

    def __init__(self, num_codebooks: int, bos: int, eos: int) -> None:
        self._bos, self._eos = bos, eos
        self._recent: deque[np.ndarray] = deque(maxlen=num_codebooks)
        self.ended = True

    def push(self, frame: Sequence[int] | np.ndarray) -> np.ndarray | None:
        """Take one delayed frame [codebook]; returns the frame [codebook] that it completes, if any.

        A BOS drawn inside a clip is no code; it becomes the last code of its codebook, as in the published model.
        """
        codes = np.asarray(frame, dtype=np.int64)
        if (codes == self._bos).all():
            self._recent.clear()
            self.ended = False
            return None
        if self.ended:
            return None
        self._recent.append(codes)
        if len(self._recent) < len(codes):
            return None
        whole = np.stack(self._recent).diagonal()
        self.ended = bool((whole == self._eos).any())
        return None if self.ended else np.minimum(whole, self._bos - 1)

    def push_all(self, frames: Iterable[Sequence[int]]) -> np.ndarray:
        """Take several delayed frames; returns the frames they complete: int64 [codebook, frame]."""
        whole = [codes for codes in map(self.push, frames) if codes is not None]
        return np.stack(whole, axis=1) if whole else np.zeros((self._recent.maxlen or 0, 0), dtype=np.int64)
