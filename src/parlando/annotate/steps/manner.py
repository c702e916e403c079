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
PLACES = {
    "quiet": "Audio is recorded from a quiet room.",
    "room": "Audio is recorded in a room with some echo.",
    "hall": "Audio is recorded in a large hall.",
    "telephone": "Audio is recorded over a telephone.",
    "noisy": "Audio is recorded in a noisy place.",
}
SOUNDS = {
    "music": "music",
    "bell": "a bell",
    "knock": "knocking",
    "siren": "a siren",
    "beep": "beeping",
    "applause": "applause",
}
"""How a caption says what `parlando.text.answer` has names for."""


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
    """Where it was recorded, in a sentence or two; as an understanding model has it, where one was asked."""
    understood = facts.get("understood")
    place = understood["place"] if understood else _place(facts)
    behind = [SOUNDS[event] for event in understood["events"]] if understood else _behind(facts)
    if facts.get("overlap_share", 0.0) >= BACKGROUND_SHARE:
        behind.append("another voice")
    return f"{PLACES[place]} There is {' and '.join(behind)} in the background." if behind else PLACES[place]


def _place(facts: Mapping[str, Any]) -> str:
    """By bandwidth, noise and reverberation."""
    snr, decay = facts.get("snr_decibels", CLEAN_DECIBELS), facts.get("decay_seconds") or 0.0
    if facts.get("bandwidth_hz", TELEPHONE_HZ) < TELEPHONE_HZ:
        return "telephone"
    if snr < NOISY_DECIBELS:
        return "noisy"
    return "hall" if decay >= HALL_SECONDS else "room" if decay >= ECHO_SECONDS else "quiet"


def _behind(facts: Mapping[str, Any]) -> list[str]:
    return [SOUNDS["music"]] if facts.get("music_share", 0.0) >= BACKGROUND_SHARE else []


def describe_speaker(facts: Mapping[str, Any]) -> str:
    """Gender, pitch, rate, liveliness and emotion, as far as they are known and stand out."""
    rate = facts.get("letters_per_second")
    low, _, high = facts.get("pitch_range_hz") or (0.0, 0.0, 0.0)
    parts = _voice(facts)
    if rate is not None:
        parts.append("slow" if rate < SLOW_LETTERS else "fast" if rate > FAST_LETTERS else "moderate pace")
    if low:
        octaves = float(np.log2(high / low))
        parts += ["monotone"] if octaves < FLAT_OCTAVES else ["expressive"] if octaves > LIVELY_OCTAVES else []
    feeling = _feeling(facts)
    return "; ".join([*parts, *([] if feeling in (None, *NEUTRAL) else [feeling])]) or "a speaker"


def _voice(facts: Mapping[str, Any]) -> list[str]:
    """Gender and pitch, of the one speaker whom an understanding model heard, else as they were measured."""
    heard = (facts.get("understood") or {}).get("speakers", ())
    if len(heard) == 1 and heard[0]["gender"] != "unknown":
        gender, pitch = heard[0]["gender"], heard[0]["pitch"]
    else:
        gender = facts.get("gender", "unknown") if facts.get("gender_confidence", 0.0) >= SURE_GENDER else "unknown"
        pitch = pitch_of(gender, (facts.get("pitch_range_hz") or (0.0, 0.0))[1])
    return [*([gender] if gender != "unknown" else []), *([f"{pitch} pitch"] if pitch != "medium" else [])]


def _feeling(facts: Mapping[str, Any]) -> str | None:
    """The emotion, where the listener of emotions is sure, or where only an understanding model was asked."""
    feeling: str | None = facts.get("emotion")
    if feeling is not None:
        return feeling if facts["emotions"][feeling] >= SURE_FEELING else None
    told: str | None = (facts.get("understood") or {}).get("emotion")
    return told
