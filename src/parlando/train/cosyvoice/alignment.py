"""Which phoneme of a text each frame of its speech says, from the frames' phone labels."""

from __future__ import annotations

import numpy as np

from parlando.core.types import Prompt
from parlando.data.shards import PHONES
from parlando.models.cosyvoice.tokenizer import TextTokenizer

UNALIGNED = -1
_STRESSES = "012"
_DETOUR = 0.5


def align(frames: np.ndarray, phonemes: np.ndarray) -> np.ndarray:
    """The phoneme of each frame (int64 [frame]), `UNALIGNED` where they differ; both are phones by number.

    The monotone path with the most agreement; of equal ones, that nearest to an even pace (dynamic time warping).
    """
    if not len(phonemes):
        return np.full(len(frames), UNALIGNED)
    places = np.arange(len(phonemes))
    agree = frames[:, None] == phonemes
    even = np.abs(places / len(phonemes) - np.arange(len(frames))[:, None] / max(1, len(frames)))
    best, before = np.zeros(len(phonemes)), []
    for gain in agree - _DETOUR * even:
        reached = np.maximum.accumulate(best)
        before.append(np.maximum.accumulate(np.where(best == reached, places, 0)))
        best = reached + gain
    path = np.empty(len(frames), dtype=np.int64)
    place = int(best.argmax())
    for frame in reversed(range(len(frames))):
        path[frame] = place
        place = int(before[frame][place])
    return np.where(agree[np.arange(len(frames)), path], path, UNALIGNED)


class TextAligner:
    """Finds where in a prompt stands what each of its codes says; words that are read by letters are left out."""

    def __init__(self, tokenizer: TextTokenizer) -> None:
        surfaces = (tokenizer.decode([index]) for index in range(tokenizer.vocab_size))
        names = [text[1:-1].rstrip(_STRESSES) if text[:1] == "{" else "" for text in surfaces]
        phones = [PHONES.index(name) if name in PHONES else UNALIGNED for name in names]
        self._phones, self._end_of_prompt = np.array([*phones, UNALIGNED]), tokenizer.end_of_prompt

    def positions(self, prompt: Prompt, labels: np.ndarray) -> np.ndarray:
        """The position of each code's phoneme (int64 [code]), `UNALIGNED` where none is; an instruction has none."""
        tokens = np.array(prompt.tokens)
        phones = self._phones[np.minimum(tokens, len(self._phones) - 1)]
        for end in np.flatnonzero(tokens == self._end_of_prompt):
            phones[:end] = UNALIGNED
        places = np.flatnonzero(phones != UNALIGNED)
        found = align(labels, phones[places])
        return np.where(found == UNALIGNED, UNALIGNED, np.append(places, UNALIGNED)[found])
