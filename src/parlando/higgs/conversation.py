"""A ChatML conversation as turns and voices, for models that were trained on single utterances."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from parlando.core.errors import InputError
from parlando.core.types import Reference, Voice
from parlando.models.higgs.parts.chatml import SCENE_END, SCENE_START, AudioContent, Message, TextContent
from parlando.text.tags import parse_turns

SPEAKER_TAG = re.compile(r"\[SPEAKER(\d+)\]")
NAMED_LINE = re.compile(r"^[ \t]*Speaker[ \t_]?([A-Za-z]|\d{1,2})[ \t]*:", re.IGNORECASE | re.MULTILINE)
SPEAKER_LINE = re.compile(r"SPEAKER(\d+):[ \t]*([^\n]*)")
SCENE = re.compile(f"{re.escape(SCENE_START)}(.*?)(?:{re.escape(SCENE_END)}|$)", re.DOTALL)
MARKUP = re.compile(r"<\|[^|<>]*\|>|<SE(?:_[se])?>\[[^\[\]<>\n]*\]</SE(?:_[se])?>")
FEMININE = re.compile(r"\b(feminine|female|woman|women|girl|lady|she|her|mother)\b", re.IGNORECASE)
MASCULINE = re.compile(r"\b(masculine|male|man|men|boy|gentleman|he|his|father)\b", re.IGNORECASE)


@dataclass(frozen=True)
class SpokenTurn:
    """Words for one speaker, by number."""

    speaker: int
    text: str


@dataclass
class Conversation:
    """What is to be spoken, and what the messages say of each speaker: words, or clips with or without transcript."""

    turns: list[SpokenTurn] = field(default_factory=list)
    descriptions: dict[int, str] = field(default_factory=dict)
    references: dict[int, list[Reference]] = field(default_factory=dict)


def read_conversation(messages: Sequence[Message], clips: Sequence[np.ndarray]) -> Conversation:
    """Read messages whose audio contents have the codes ``clips``, in order.

    Raises:
        InputError: there are no messages, or the last one has no words of a user to speak.
    """
    if not messages or messages[-1].role != "user":
        raise InputError("the last message must be a user's, with the words to speak; add one")
    conversation, remaining = Conversation(), iter(clips)
    transcript = ""
    for message in messages:
        texts, own_clips = _split(message, remaining)
        if message.role == "assistant":
            _add_replies(conversation, transcript, own_clips)
        elif message.role == "user":
            transcript = "\n".join(text for _, text in texts)
            _add_clips(conversation, own_clips)
        else:
            _add_descriptions(conversation, "".join(text for _, text in texts))
            _add_clips(conversation, own_clips)
    conversation.turns = spoken_turns(transcript)
    if not conversation.turns:
        raise InputError("the last message has no words to speak; put text into it")
    return conversation


def spoken_turns(text: str) -> list[SpokenTurn]:
    """Split at ``[SPEAKERn]`` tags, or at lines that begin with ``Speaker A:``; words before are speaker 0's."""
    names: dict[str, int] = {}

    def tag(match: re.Match[str]) -> str:
        return f"[SPEAKER{names.setdefault(match[1].casefold(), len(names))}] "

    turns = parse_turns(NAMED_LINE.sub(tag, MARKUP.sub(" ", text)))
    return [SpokenTurn(int((turn.speaker or "0").removeprefix("SPEAKER")), turn.text) for turn in turns]


def cast(conversation: Conversation, voices: Mapping[str, Voice], default: str) -> dict[int, Voice]:
    """A voice for each speaker: its clip, else the voice so described, else one of the gender that is told.

    Several speakers of whom nothing is told alternate between feminine and masculine, as in the published system
    message.
    """
    speakers = sorted({turn.speaker for turn in conversation.turns})
    chosen: dict[int, Voice] = {}
    for speaker in speakers:
        references = conversation.references.get(speaker)
        if references:
            chosen[speaker] = Voice(f"speaker{speaker}", references=tuple(references[:1]))
            continue
        told = conversation.descriptions.get(speaker, "")
        if not told and len(speakers) > 1:
            told = "masculine" if speaker % 2 else "feminine"
        taken = {voice.name for voice in chosen.values()}
        chosen[speaker] = _matching(told, voices, default, taken)
    return chosen


def _matching(told: str, voices: Mapping[str, Voice], default: str, taken: set[str]) -> Voice:
    if told in voices:
        return voices[told]
    ordered = [voices[default], *(voice for name, voice in voices.items() if name != default)]
    exact = next((voice for voice in ordered if told and voice.description == told), None)
    if exact is not None:
        return exact
    gender = next((pattern for pattern in (FEMININE, MASCULINE) if pattern.search(told)), None)
    fitting = [voice for voice in ordered if gender is None or gender.search(voice.description or "")]
    free = [voice for voice in fitting if voice.name not in taken]
    return (free or fitting or ordered)[0]


def _split(
    message: Message, remaining: Iterator[np.ndarray]
) -> tuple[list[tuple[int, str]], list[tuple[int, np.ndarray]]]:
    """A message's texts and clips, each with the speaker that was named last before it."""
    texts: list[tuple[int, str]] = []
    clips: list[tuple[int, np.ndarray]] = []
    speaker = 0
    for part in message.parts():
        if isinstance(part, TextContent):
            texts.append((speaker, part.text))
            named = [*SPEAKER_LINE.finditer(part.text), *SPEAKER_TAG.finditer(part.text)]
            speaker = int(max(named, key=re.Match.start).group(1)) if named else speaker
        elif isinstance(part, AudioContent):
            clips.append((speaker, next(remaining)))
    return texts, clips


def _add_replies(conversation: Conversation, transcript: str, clips: Iterable[tuple[int, np.ndarray]]) -> None:
    """An assistant's clip says the words of the user's turn before it."""
    turns = spoken_turns(transcript)
    speaker = turns[0].speaker if turns else 0
    words = " ".join(turn.text for turn in turns)
    for _, codes in clips:
        conversation.references.setdefault(speaker, []).append(Reference(words, codes))


def _add_clips(conversation: Conversation, clips: Iterable[tuple[int, np.ndarray]]) -> None:
    for speaker, codes in clips:
        conversation.references.setdefault(speaker, []).append(Reference("", codes))


def _add_descriptions(conversation: Conversation, system: str) -> None:
    scene = SCENE.search(system)
    for match in SPEAKER_LINE.finditer(scene.group(1) if scene else system):
        description = MARKUP.sub("", match.group(2)).strip()
        if description:
            conversation.descriptions[int(match.group(1))] = description
