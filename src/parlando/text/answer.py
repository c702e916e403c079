"""What was heard in a recording, as one line of text: where, what else sounded, who spoke, and what each said.

``<place:telephone><event:music><speaker:feminine,high><speaker:masculine,low><1>hello there.<2>good morning.``
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

PLACES = ("quiet", "room", "hall", "telephone", "noisy")
EVENTS = ("music", "bell", "knock", "siren", "beep", "applause")
EMOTIONS = ("neutral", "happy", "sad", "angry", "surprised")
GENDERS, PITCHES = ("feminine", "masculine", "unknown"), ("low", "medium", "high")
MOST_SPEAKERS = 4

PLACE_TAGS = tuple(f"<place:{name}>" for name in PLACES)
EVENT_TAGS = tuple(f"<event:{name}>" for name in EVENTS)
EMOTION_TAGS = tuple(f"<emotion:{name}>" for name in EMOTIONS)
SPEAKER_TAGS = tuple(f"<speaker:{gender},{pitch}>" for gender in GENDERS for pitch in PITCHES)
TURN_TAGS = tuple(f"<{number}>" for number in range(1, MOST_SPEAKERS + 1))

_PIECE = re.compile(r"<([^<>]*)>|([^<>]+)")
_BRACKETS = re.compile(r"[<>]+")


@dataclass(frozen=True)
class HeardSpeaker:
    """How somebody sounds; the pitch is that among voices of the gender."""

    gender: str = "unknown"
    pitch: str = "medium"


@dataclass(frozen=True)
class Turn:
    """What a speaker says, counted from 0."""

    speaker: int
    text: str


@dataclass(frozen=True)
class Answer:
    """What was heard: events in the order of `EVENTS`, speakers in the order in which they begin."""

    place: str = PLACES[0]
    events: tuple[str, ...] = ()
    emotion: str | None = None
    speakers: tuple[HeardSpeaker, ...] = ()
    turns: tuple[Turn, ...] = ()

    @property
    def text(self) -> str:
        """All that is said."""
        return " ".join(turn.text for turn in self.turns if turn.text)


def write_header(answer: Answer) -> str:
    """All but what is said."""
    tags = [f"<place:{answer.place}>", *(f"<event:{name}>" for name in EVENTS if name in answer.events)]
    tags += [] if answer.emotion is None else [f"<emotion:{answer.emotion}>"]
    return "".join([*tags, *(f"<speaker:{each.gender},{each.pitch}>" for each in answer.speakers)])


def write_turns(turns: Sequence[Turn]) -> str:
    """What is said, in order; angle brackets of a text are left out."""
    return "".join(f"<{turn.speaker + 1}>{_plain(turn.text)}" for turn in turns)


def write_answer(answer: Answer) -> str:
    """The whole line."""
    return write_header(answer) + write_turns(answer.turns)


def _plain(text: str) -> str:
    return " ".join(_BRACKETS.sub(" ", text).split())


def parse_answer(line: str) -> Answer:
    """What can be read of a line, whatever it holds: a tag that says nothing known is passed over.

    Words before the first turn are the first speaker's; who speaks without having been described is unknown.
    """
    reading = _Reading()
    for tag, text in _PIECE.findall(line):
        if text:
            reading.say(text)
        else:
            reading.tag(tag)
    return reading.answer()


class _Reading:
    """What has been read so far."""

    def __init__(self) -> None:
        self._place, self._events, self._emotion = PLACES[0], set[str](), ""
        self._speakers: list[HeardSpeaker] = []
        self._turns: list[Turn] = []

    def tag(self, tag: str) -> None:
        key, _, value = tag.partition(":")
        gender, _, pitch = value.partition(",")
        if key in _TURNS:
            self._turns.append(Turn(int(key) - 1, ""))
        elif key == "place" and value in PLACES:
            self._place = value
        elif key == "event" and value in EVENTS:
            self._events.add(value)
        elif key == "emotion" and value in EMOTIONS:
            self._emotion = value
        elif key == "speaker" and gender in GENDERS and pitch in PITCHES and len(self._speakers) < MOST_SPEAKERS:
            self._speakers.append(HeardSpeaker(gender, pitch))

    def say(self, text: str) -> None:
        last = self._turns.pop() if self._turns else Turn(0, "")
        self._turns.append(Turn(last.speaker, _plain(f"{last.text} {text}")))

    def answer(self) -> Answer:
        turns = tuple(turn for turn in self._turns if turn.text)
        missing = max((turn.speaker + 1 for turn in turns), default=0) - len(self._speakers)
        speakers = (*self._speakers, *[HeardSpeaker()] * missing)
        events = tuple(name for name in EVENTS if name in self._events)
        return Answer(self._place, events, self._emotion or None, speakers, turns)


_TURNS = tuple(tag.strip("<>") for tag in TURN_TAGS)
