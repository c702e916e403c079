"""How long a corpus's sentences are, by what they are made of."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from parlando.core.errors import ConfigError
from parlando.data.tokens import TokenCorpus
from parlando.text.length import LengthPrior
from parlando.text.normalize import normalize


class Measures(Protocol):
    """A tokenizer that can tell how much there is to say."""

    def measure(self, text: str) -> tuple[int, int]:
        """Spoken units and pauses."""
        ...


def fit_length_prior(corpus: TokenCorpus, tokenizer: Measures, voice: str) -> LengthPrior:
    """Least squares of frames on spoken units and pauses over one voice's training utterances.

    Raises:
        ConfigError: the corpus has too few of them.
    """
    chosen = [s for s in corpus.utterances if s.speaker == voice and s.speed == 1.0 and s.split == "train"]
    if len(chosen) < 3:
        raise ConfigError(f"the encoded corpus has {len(chosen)} utterances of '{voice}'; a length prior needs three")
    measured = [tokenizer.measure(normalize(s.text)) for s in chosen]
    design = np.array([[1.0, units, pauses] for units, pauses in measured])
    solution, *_ = np.linalg.lstsq(design, np.array([s.frames for s in chosen], dtype=np.float64), rcond=None)
    return LengthPrior(*(round(float(value), 3) for value in solution))
