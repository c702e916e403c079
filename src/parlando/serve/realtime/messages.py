"""What clients of the Realtime protocol send, field by field, in its general and its beta dialect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from parlando.serve.bodies import Body, RequestBody
from parlando.serve.schemas import VoiceName

Modality = Literal["text", "audio"]
Modalities = Annotated[list[Modality], Field(min_length=1, max_length=2)]
ItemId = Annotated[str, Field(min_length=1, max_length=64)]
MostTokens = Annotated[int, Field(ge=1, le=4096)] | Literal["inf"]
OFF = "none"
# Where null switches something off, rather than leaving it out.
SWITCHES = ("turn_detection", "transcription", "input_audio_transcription")
BETA_FORMATS = {"pcm16": "audio/pcm", "g711_ulaw": "audio/pcmu", "g711_alaw": "audio/pcma"}
LONGEST_TEXT = 20_000


class AudioFormat(Body):
    """Samples of 16 bits at 24 kHz, or telephony's eight bits at 8 kHz."""

    type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"]
    without_effect: ClassVar[frozenset[str]] = frozenset({"rate"})


def _format(value: Any) -> Any:
    return {"type": BETA_FORMATS.get(value, value)} if isinstance(value, str) else value


AnyFormat = Annotated[AudioFormat, BeforeValidator(_format)]


class TurnDetection(Body):
    """When a turn is over; ``semantic_vad`` is told by silence too, of a length that its eagerness says."""

    type: Literal["server_vad", "semantic_vad", "none"] = "server_vad"
    threshold: Annotated[float | None, Field(ge=0, le=1)] = None
    prefix_padding_ms: Annotated[int | None, Field(ge=0, le=10_000)] = None
    silence_duration_ms: Annotated[int | None, Field(ge=0, le=30_000)] = None
    create_response: bool | None = None
    interrupt_response: bool | None = None
    eagerness: Literal["low", "medium", "high", "auto"] | None = None
    without_effect: ClassVar[frozenset[str]] = frozenset({"idle_timeout_ms"})


class Transcription(Body):
    """Whether the client is told what it said, by the server's own recogniser, and in which language that is."""

    type: Literal["none"] | None = None
    language: Annotated[str | None, Field(max_length=16)] = None
    without_effect: ClassVar[frozenset[str]] = frozenset({"model", "prompt"})


class InputAudio(Body):
    """How audio comes in."""

    format: AnyFormat | None = None
    turn_detection: TurnDetection | None = None
    transcription: Transcription | None = None
    without_effect: ClassVar[frozenset[str]] = frozenset({"noise_reduction"})


class OutputAudio(Body):
    """How audio goes out."""

    format: AnyFormat | None = None
    voice: VoiceName | None = None
    speed: Annotated[float | None, Field(ge=0.25, le=4)] = None


class Audio(Body):
    """Both."""

    input: InputAudio | None = None
    output: OutputAudio | None = None


class Answering(Body):
    """What a session and a single response have in common."""

    instructions: Annotated[str | None, Field(max_length=LONGEST_TEXT)] = None
    output_modalities: Modalities | None = None
    modalities: Modalities | None = None
    audio: Audio | None = None
    voice: VoiceName | None = None
    output_audio_format: AnyFormat | None = None
    max_output_tokens: MostTokens | None = None
    max_response_output_tokens: MostTokens | None = None
    without_effect: ClassVar[frozenset[str]] = frozenset(
        {"tools", "tool_choice", "parallel_tool_calls", "prompt", "reasoning", "temperature", "metadata"}
    )


class SessionBody(Answering):
    """The settings of a session, of either dialect."""

    type: Literal["realtime"] | None = None
    input_audio_format: AnyFormat | None = None
    input_audio_transcription: Transcription | None = None
    turn_detection: TurnDetection | None = None
    speed: Annotated[float | None, Field(ge=0.25, le=4)] = None
    without_effect: ClassVar[frozenset[str]] = Answering.without_effect | {
        *("model", "id", "object", "expires_at", "include", "tracing", "truncation", "client_secret"),
        "input_audio_noise_reduction",
    }


class Content(Body):
    """A part of a message: words, or a recording in the session's input format."""

    type: Literal["input_text", "input_audio", "output_text", "output_audio", "text", "audio"]
    text: Annotated[str | None, Field(max_length=LONGEST_TEXT)] = None
    audio: str | None = None
    transcript: Annotated[str | None, Field(max_length=LONGEST_TEXT)] = None


class ItemBody(Body):
    """A message of the conversation."""

    id: ItemId | None = None
    type: Literal["message"]
    role: Literal["user", "assistant", "system"]
    content: Annotated[list[Content], Field(min_length=1, max_length=16)]
    without_effect: ClassVar[frozenset[str]] = frozenset({"object", "status", "phase"})


class ResponseBody(Answering):
    """What one response has that is not the session's; ``conversation`` none leaves it out of the conversation."""

    conversation: Annotated[str, Field(max_length=64)] = "auto"
    input: Annotated[list[ItemBody] | None, Field(max_length=256)] = None


class Message(RequestBody):
    """Any event of a client."""

    event_id: Annotated[str | None, Field(max_length=512)] = None


class SessionUpdate(Message):
    """Change the session."""

    type: Literal["session.update"]
    session: SessionBody


class Append(Message):
    """More audio, in base64."""

    type: Literal["input_audio_buffer.append"]
    audio: str


class BufferSign(Message):
    """Take the audio so far as a turn, or forget it."""

    type: Literal["input_audio_buffer.commit", "input_audio_buffer.clear"]


class ItemCreate(Message):
    """Add a message."""

    type: Literal["conversation.item.create"]
    previous_item_id: ItemId | None = None
    item: ItemBody


class ItemTruncate(Message):
    """Tell how much of an answer was heard."""

    type: Literal["conversation.item.truncate"]
    item_id: ItemId
    content_index: Annotated[int, Field(ge=0, le=16)]
    audio_end_ms: Annotated[int, Field(ge=0, le=2**31)]


class ItemSign(Message):
    """Take a message away, or ask for it."""

    type: Literal["conversation.item.delete", "conversation.item.retrieve"]
    item_id: ItemId


class ResponseCreate(Message):
    """Answer now."""

    type: Literal["response.create"]
    response: ResponseBody = Field(default_factory=ResponseBody)


class ResponseCancel(Message):
    """Leave off answering."""

    type: Literal["response.cancel"]
    response_id: ItemId | None = None


ClientMessage = Annotated[
    SessionUpdate | Append | BufferSign | ItemCreate | ItemTruncate | ItemSign | ResponseCreate | ResponseCancel,
    Field(discriminator="type"),
]


def with_switches(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A message in which null, where it switches something off, says so."""
    told = {}
    for name, value in raw.items():
        if isinstance(value, dict):
            told[name] = with_switches(value)
        else:
            told[name] = {"type": OFF} if value is None and name in SWITCHES else value
    return told
