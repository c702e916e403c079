"""How a segment is said: rate, range of the pitch, emotion; and the caption that says all of it in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from parlando.annotate.models import EmotionListener
from parlando.annotate.rows import Row
from parlando.annotate.step import Lazy, Step
from parlando.annotate.workspace import Workspace
from parlando.audio.pitch import pitch_track
from parlando.audio.silence import speech_seconds
from parlando.audio.voicing import pitch_of
from parlando.models.higgs.parts.chatml import GENERATE_INSTRUCTION, TextContent, system_content
from parlando.text.scripts import length

QUANTILES = (0.1, 0.5, 0.9)
SPEAKER = "SPEAKER0"
SURE_GENDER, SURE_FEELING = 0.7, 0.5
NEUTRAL = ("neutral", "unknown", "<unk>", "other")
SLOW_LETTERS, FAST_LETTERS = 10.0, 17.0
"""Letters per second of speech, pauses apart."""
FLAT_OCTAVES, LIVELY_OCTAVES = 0.35, 0.9
"""Between the pitch's tenth and ninetieth percentile."""
NOISY_DECIBELS, CLEAN_DECIBELS = 18.0, 30.0
ECHO_SECONDS, HALL_SECONDS = 0.45, 0.8
TELEPHONE_HZ = 4100.0
BACKGROUND_SHARE = 0.1


@dataclass(frozen=True)
class Manner(Step):
    """Rate and pitch of a segment."""

    name = "manner"

    @property
    def settings(self) -> Mapping[str, Any]:
        """Nothing can be set."""
        return {"quantiles": list(QUANTILES)}

    def run(self, row: Row, work: Workspace) -> Iterable[Row]:
        """The row with its measures."""
        clip = work.read(row.facts["audio"], row.facts["start"], row.facts["end"])
        spoken = max(speech_seconds(clip.samples, clip.sample_rate), 0.1)
        track = pitch_track(clip.samples, clip.sample_rate)
        voiced = track[track > 0]
        pitch = [round(float(each), 1) for each in np.quantile(voiced, QUANTILES)] if len(voiced) else []
        letters = length("".join(row.facts["words"]))
        yield self.tell(
            row,
            {
                "speech_seconds": round(spoken, 3),
                "letters_per_second": round(letters / spoken, 2),
                "words_per_minute": round(60 * row.facts["words_said"] / spoken, 1),
                "pitch_range_hz": pitch,
            },
        )


@dataclass(frozen=True)
class Emotions(Step):
    """The emotion of a segment."""

    listener: Lazy[EmotionListener]

    name = "emotion"

    @property
    def settings(self) -> Mapping[str, Any]:
        """Who hears."""
        return {"model": self.listener.card}

    def run(self, row: Row, work: Workspace) -> Iterable[Row]:
        """The row with the likeliest emotion and the probabilities of all."""
        clip = work.read(row.facts["audio"], row.facts["start"], row.facts["end"])
        heard = {name: round(float(value), 3) for name, value in self.listener().feel(clip).probabilities.items()}
        likeliest = max(sorted(heard), key=lambda name: heard[name])
        yield self.tell(row, {"emotion": likeliest, "emotions": heard})


@dataclass(frozen=True)
class Describe(Step):
    """The caption: a scene and a speaker in the words of Higgs Audio's system messages."""

    name = "describe"

    @property
    def settings(self) -> Mapping[str, Any]:
        """Nothing can be set."""
        return {}

    def run(self, row: Row, work: Workspace) -> Iterable[Row]:
        """The row with scene, speaker and the whole system message."""
        scene, speaker = describe_scene(row.facts), describe_speaker(row.facts)
        content = system_content(GENERATE_INSTRUCTION, scene, [(SPEAKER, speaker)])
        system = "".join(part.text if isinstance(part, TextContent) else str(part) for part in content)
        yield self.tell(row, {"scene": scene, "speaker_description": speaker, "system": system})


def describe_scene(facts: Mapping[str, Any]) -> str:
    """Where it was recorded, in a sentence or two."""
    snr, decay = facts.get("snr_decibels", CLEAN_DECIBELS), facts.get("decay_seconds") or 0.0
    if facts.get("bandwidth_hz", TELEPHONE_HZ) < TELEPHONE_HZ:
        place = "Audio is recorded over a telephone."
    elif snr < NOISY_DECIBELS:
        place = "Audio is recorded in a noisy place."
    elif decay >= HALL_SECONDS:
        place = "Audio is recorded in a large hall."
    elif decay >= ECHO_SECONDS:
        place = "Audio is recorded in a room with some echo."
    else:
        place = "Audio is recorded from a quiet room."
    behind = [
        what
        for name, what in (("music_share", "music"), ("overlap_share", "another voice"))
        if facts.get(name, 0.0) >= BACKGROUND_SHARE
    ]
    return f"{place} There is {' and '.join(behind)} in the background." if behind else place


def describe_speaker(facts: Mapping[str, Any]) -> str:
    """Gender, pitch, rate, liveliness and emotion, as far as they are known and stand out."""
    gender = facts.get("gender", "unknown")
    sure = facts.get("gender_confidence", 0.0) >= SURE_GENDER
    parts = [gender] if sure else []
    low, middle, high = facts.get("pitch_range_hz") or (0.0, 0.0, 0.0)
    pitch = pitch_of(gender if sure else "unknown", middle)
    parts += [f"{pitch} pitch"] if pitch != "medium" else []
    rate = facts.get("letters_per_second")
    if rate is not None:
        parts.append("slow" if rate < SLOW_LETTERS else "fast" if rate > FAST_LETTERS else "moderate pace")
    if low:
        octaves = float(np.log2(high / low))
        parts += ["monotone"] if octaves < FLAT_OCTAVES else ["expressive"] if octaves > LIVELY_OCTAVES else []
    feeling = facts.get("emotion")
    if feeling not in (None, *NEUTRAL) and facts["emotions"][feeling] >= SURE_FEELING:
        parts.append(feeling)
    return "; ".join(parts) or "a speaker"
