"""Chat messages as utterances: recordings in the messages are the voices, the last user message is what they say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from parlando.core.errors import InputError
from parlando.serve.schemas import ChatMessage, ChatRequest, ClipPart, TextPart, decode_recording
from parlando.serve.service import Utterance
from parlando.serve.voices import Recording
from parlando.text.tags import find_script, parse_turns

NARRATOR = "SPEAKER0"
SPEAKER = re.compile(r"\[(SPEAKER\d+)\]")


@dataclass
class _Heard:
    """What the messages before the last one say: recordings by speaker, and instructions."""

    recordings: dict[str, Recording] = field(default_factory=dict)
    instructions: list[str] = field(default_factory=list)


def utterances_of(body: ChatRequest, voices: Sequence[str]) -> list[Utterance]:
    """What is to be said, turn by turn: at ``[SPEAKERn]`` tags, or where lines begin with names (``Speaker A: Hi.``).

    A speaker's voice is the recording in the messages: the words of an assistant's recording are those of the message
    before it, other recordings have their words beside them. Speakers without one take ``audio.voice`` and then the
    other voices, in turn.

    Raises:
        InputError: the last message has no words of a user.
        AudioError: a recording is not base64.
    """
    *before, last = body.messages
    words = _words(last)
    if last.role != "user" or not words.strip():
        raise InputError("messages: the last message must be a user's, with the words to speak; add one")
    heard = _listen(before)
    turns = [(turn.speaker or NARRATOR, turn.text) for turn in find_script(words) or parse_turns(words)]
    speakers = list(dict.fromkeys(speaker for speaker, _ in turns))
    named = body.audio.voice
    free = [None if named is None else named, *(voice for voice in voices if voice != named)]
    cast: dict[str, Recording | str | None] = dict(heard.recordings)
    for index, speaker in enumerate(each for each in speakers if each not in heard.recordings):
        cast[speaker] = free[index % len(free)]
    instructions = "\n".join(heard.instructions) or None
    return [
        Utterance(text, cast[speaker], body.model, instructions=instructions, options=body.options())
        for speaker, text in turns
    ]


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
