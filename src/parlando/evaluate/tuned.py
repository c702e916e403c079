"""How near a fine-tuned voice comes: its own sentences beside recordings that it did not learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from tqdm import tqdm

from parlando.audio.clip import Clip
from parlando.audio.files import read_audio
from parlando.data.manifest import Utterance
from parlando.evaluate.judges.base import Asr, SpeakerEncoder, unit
from parlando.evaluate.scoring.strict import rates
from parlando.evaluate.wer import ErrorRates
from parlando.result import Speech


class Speaker(Protocol):
    """Whatever speaks; `parlando.Synthesizer` does."""

    def say(self, text: str, *, seed: int | None = None) -> Speech:
        """Say it."""
        ...


@dataclass(frozen=True)
class Spoken:
    """A sentence, as it was recorded and as it is spoken now."""

    text: str
    language: str
    recorded: Clip
    made: Clip


def speak(speaker: Speaker, sentences: Sequence[Utterance], folder: Path, seed: int) -> list[Spoken]:
    """Have sentences spoken whose recordings are in a manifest of ``folder``."""
    bar = tqdm(sentences, desc="speak", unit="sentence")
    made = ((each, speaker.say(each.text, seed=seed)) for each in bar)
    return [
        Spoken(each.text, each.language, read_audio(folder / each.audio), Clip(said.samples, said.sample_rate))
        for each, said in made
    ]


def similarity_line(pairs: Sequence[Spoken], judge: SpeakerEncoder) -> str:
    """What a speaker encoder says: of sentences to recordings, of the voices, and of the recordings to each other."""
    recorded = np.stack([judge.embed(pair.recorded) for pair in pairs])
    made = np.stack([judge.embed(pair.made) for pair in pairs])
    others = (recorded @ recorded.T)[~np.eye(len(pairs), dtype=bool)]
    between = f"{others.mean():.3f}" if len(others) else "unknown"
    return (
        f"  similarity to the recordings: {(made @ recorded.T).mean():.3f} by sentences, "
        f"{unit(made.mean(axis=0)) @ unit(recorded.mean(axis=0)):.3f} of the voices; "
        f"the recordings to each other: {between} ({judge.card})"
    )


def wer_line(pairs: Sequence[Spoken], judge: Asr) -> str:
    """What a recogniser hears wrong in the sentences, and in their recordings."""
    made, recorded = (_rates(pairs, [getattr(pair, which) for pair in pairs], judge) for which in ("made", "recorded"))
    return f"  words heard wrong: {made}; in the recordings {recorded} ({judge.card})"


def _rates(pairs: Sequence[Spoken], clips: Sequence[Clip], judge: Asr) -> ErrorRates:
    heard = [judge.hear(clip, pair.language) for pair, clip in zip(pairs, clips, strict=True)]
    return rates([pair.text for pair in pairs], heard, [pair.language for pair in pairs])
