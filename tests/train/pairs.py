"""Folders of preference pairs, written from made-up takes of tiny models."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import parlando
from parlando.core.types import Frame
from parlando.data.preferences import Pair, Take, write_pairs
from parlando.models.higgs.parts.delay import build_delay

SENTENCES = (
    "One.", "Two of us.", "My dog ran home.", "Rain fell all day.", "She reads.",
    "The sun is warm.", "A red boat.", "He was late again.",
)  # fmt: skip


def higgs_frames(model, codes: np.ndarray) -> np.ndarray:
    """A clip's frames as the model would have made them, with their ramps."""
    lm = model.config.lm
    delayed = build_delay(codes, lm.stream_bos, lm.stream_eos).T
    return np.concatenate([np.full((len(delayed), 1), lm.audio_out_id), delayed], axis=1)


def cosyvoice_frames(model, codes: np.ndarray) -> np.ndarray:
    return np.concatenate([np.full((codes.shape[1], 1), model.config.lm.speech_id), codes.T], axis=1)


def random_pairs(folder: Path, frames_of, sentences=SENTENCES, seed: int = 0, least: int = 6) -> list[Pair]:
    """Pairs of random takes; the rejected ones of every third sentence never end."""
    model, generator, pairs = parlando.load(folder, "cpu").model, np.random.default_rng(seed), []
    sizes = model.codebook_sizes
    for place, text in enumerate(sentences):
        prompt = model.prompts.build(text, model.voices[model.default_voice])
        chosen, rejected = (
            frames_of(model, generator.integers(sizes[0], size=(len(sizes), int(count))))
            for count in generator.integers(least, least + 9, 2)
        )
        ends = place % 3 > 0
        worse = Take(1, rejected if ends else rejected[:least], "end" if ends else "repetition", {"wer": 1.0})
        pairs.append(Pair(text, prompt, Take(0, chosen, "end", {"wer": 0.0}), worse, 1.0))
    return pairs


def write(folder: Path, pairs: list[Pair], sizes) -> Path:
    folder.mkdir(exist_ok=True)
    write_pairs(folder, pairs, {"codebook_sizes": list(sizes)})
    return folder


def frames_fed(take: Take) -> list[Frame]:
    return [Frame(token, tuple(codes)) for token, *codes in take.frames.tolist()]
