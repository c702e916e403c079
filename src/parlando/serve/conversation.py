"""Chat messages as utterances: recordings in the messages are the voices, the last user message is what they say."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from parlando.core.errors import InputError
from parlando.core.types import Voice
from parlando.serve.names import contrasting
from parlando.serve.schemas import ChatMessage, ChatRequest, ClipPart, TextPart, decode_recording
from parlando.serve.service import Utterance
from parlando.serve.voices import Recording
from parlando.text.dialogue import dialogue_turns

NARRATOR = "SPEAKER0"
SPEAKER = re.compile(r"\[(SPEAKER\d+)\]")


@dataclass
class _Heard:
    """What the messages before the last one say: recordings by speaker, and instructions."""

    recordings: dict[str, Recording] = field(default_factory=dict)
    instructions: list[str] = field(default_factory=list)


def utterances_of(body: ChatRequest, voices: Mapping[str, Voice], default: str | None) -> list[Utterance]:
    """What is to be said, turn by turn: at ``[SPEAKERn]`` tags, or where a dialogue names who speaks.

    A speaker's voice is the recording in the messages: the words of an assistant's recording are those of the message
    before it, other recordings have their words beside them. Whoever is named is the n-th of them. Speakers without
    one take the voice of their own name, else ``audio.voice`` and then the other voices, in turn.

    Raises:
        InputError: the last message has no words of a user.
        AudioError: a recording is not base64.
    """
    *before, last = body.messages
    words = _words(last)
    if last.role != "user" or not words.strip():
        raise InputError("messages: the last message must be a user's, with the words to speak; add one")
    heard = _listen(before)
    turns = _numbered([(turn.speaker or NARRATOR, turn.text) for turn in dialogue_turns(words)], voices)
    speakers = list(dict.fromkeys(speaker for speaker, _ in turns))
    cast: dict[str, Recording | str | None] = {
        **{name: name for name in speakers if name in voices},
        **heard.recordings,
    }
    free = _free(voices, body.audio.voice or default, cast)
    for index, speaker in enumerate(each for each in speakers if each not in cast):
        cast[speaker] = free[index % len(free)]
    instructions = "\n".join(heard.instructions) or None
    return [
        Utterance(text, cast[speaker], body.model, instructions=instructions, options=body.options())
        for speaker, text in turns
    ]


def _numbered(turns: Sequence[tuple[str, str]], voices: Mapping[str, Voice]) -> list[tuple[str, str]]:
    """The turns with speakers as recordings know them, ``SPEAKER0`` and so on; whoever is named as a voice stays so."""
    named = list(dict.fromkeys(name for name, _ in turns if not SPEAKER.fullmatch(f"[{name}]") and name not in voices))
    return [(f"SPEAKER{named.index(name)}" if name in named else name, text) for name, text in turns]


def _free(voices: Mapping[str, Voice], first: str | None, cast: Mapping[str, object]) -> list[str | None]:
    """The voices for speakers without one, in turn; ``None`` is the model's own."""
    if first is None:
        return [None]
    return [name for name in contrasting(voices, first) if name == first or name not in cast]


def _listen(messages: Sequence[ChatMessage]) -> _Heard:
    heard, asked = _Heard(), ""
    for message in messages:
        words = _words(message)
        said = asked if message.role == "assistant" and not words else words
        speakers = SPEAKER.findall(said) or [NARRATOR]
        transcript = SPEAKER.sub(" ", said).strip() or None
        for number, (data, place) in enumerate(_clips(message)):
            speaker = speakers[min(number, len(speakers) - 1)]
            heard.recordings.setdefault(speaker, decode_recording(data, transcript, place))
        if message.role in ("system", "developer") and words.strip():
            heard.instructions.append(words.strip())
        asked = words if message.role == "user" else ""
    return heard


def _words(message: ChatMessage) -> str:
    if isinstance(message.content, str):
        return message.content
    return "\n".join(part.text for part in message.content or () if isinstance(part, TextPart))


def _clips(message: ChatMessage) -> list[tuple[str, str]]:
    """The recordings in a message, each with what to call it."""
    if isinstance(message.content, str) or message.content is None:
        return []
    parts = [part for part in message.content if not isinstance(part, TextPart)]
    return [
        (part.input_audio.data, "input_audio") if isinstance(part, ClipPart) else (part.audio_url.url, "audio_url")
        for part in parts
    ]
