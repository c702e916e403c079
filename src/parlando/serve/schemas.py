"""The bodies of OpenAI's and our own requests and answers, field by field."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from parlando.core.errors import AudioError
from parlando.serve.bodies import Body, RequestBody
from parlando.serve.voices import Recording
from parlando.text.normalize import LANGUAGES
from parlando.text.reading import AUTOMATIC

AudioName = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]
ChatAudioName = Literal["mp3", "opus", "aac", "flac", "wav", "pcm", "pcm16"]


class VoiceId(Body):
    """A voice as an object."""

    id: str = Field(max_length=128)


def _voice_name(value: Any) -> Any:
    return value.get("id", value) if isinstance(value, dict) else value


VoiceName = Annotated[str, BeforeValidator(_voice_name, json_schema_input_type=str | VoiceId), Field(max_length=128)]

# Refused by whoever reads the text, in words of its own; told here.
# The description holds the bound as a float, so it names the last whole number that is one.
Seed = Annotated[
    int,
    Field(ge=-1, le=2**63 - 1, description="-1 draws one.", json_schema_extra={"maximum": 2**63 - 1024}),
    AfterValidator(lambda seed: None if seed < 0 else seed),
]
LanguageName = Annotated[str, Field(max_length=16, json_schema_extra={"enum": [*LANGUAGES, AUTOMATIC]})]


class Sampling(RequestBody):
    """How frames are drawn; what is left out is the model's own choice."""

    seed: Seed | None = None
    temperature: Annotated[float | None, Field(ge=0, le=10)] = None
    top_k: Annotated[int | None, Field(ge=-1, le=2**31, description="0 and -1 switch it off.")] = None
    top_p: Annotated[float | None, Field(gt=0, le=1)] = None
    lead_silence_seconds: Annotated[
        float | None, Field(ge=0, le=60, description="Most silence before the first word; the rest is cut.")
    ] = None

    def options(self) -> dict[str, Any]:
        """The choices that were made, as options of `Synthesizer.stream`."""
        given = {"seed": self.seed, "temperature": self.temperature, "top_p": self.top_p}
        given["lead_silence_seconds"] = self.lead_silence_seconds
        chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        return chosen if self.top_k is None else {**chosen, "top_k": self.top_k if self.top_k > 0 else None}


# An empty one is a TextError, with what to do about it.
Words = Annotated[str, Field(json_schema_extra={"minLength": 1}, examples=["Hello there."])]


class SpeechFields(Sampling):
    """Who speaks, and how; the lower half is ours."""

    model: str | None = Field(default=None, max_length=256)
    voice: VoiceName | None = None
    instructions: str | None = Field(default=None, max_length=4096)
    speed: float = Field(default=1.0, ge=0.25, le=4.0)
    language: LanguageName | None = None
    sample_rate: Annotated[int | None, Field(ge=8000, le=48000, description="Hertz.")] = None
    ref_audio: str | None = Field(default=None, description="A recording to follow: base64, or a data: URL.")
    ref_text: str | None = Field(default=None, max_length=4096, description="What is said in it.")


class SpeechRequest(SpeechFields):
    """A body of ``POST /v1/audio/speech``; Higgs' own server has the fields without effect."""

    without_effect: ClassVar[frozenset[str]] = frozenset(
        ("audio_chunk_overlap_size", "audio_chunk_size", "max_tokens", "stop", "user")
    )
    input: Words
    response_format: AudioName = "mp3"
    stream_format: Literal["audio", "sse"] = "audio"
    stream: bool | None = Field(default=None, description="False: a finished file, with its true length.")
    sentences: bool = Field(default=False, description="Events also tell where each sentence begins and ends.")
    words: bool = Field(default=False, description="Events also tell when each word is heard.")


ContextName = Annotated[str, Field(max_length=128)]
DEFAULT_CONTEXT = "default"


class LiveStart(SpeechFields):
    """Over a WebSocket: a context with settings of its own; without this message it has none."""

    type: Literal["start"]
    context: ContextName = DEFAULT_CONTEXT
    response_format: AudioName = "pcm"
    words: bool = Field(default=False, description="Messages also tell when each word is heard.")


class LiveWords(RequestBody):
    """Over a WebSocket: more text."""

    type: Literal["text"]
    context: ContextName = DEFAULT_CONTEXT
    text: str


class LiveSign(RequestBody):
    """Over a WebSocket: speak what there is, speak it and end, or be silent. Without a context, all of them."""

    type: Literal["flush", "end", "cancel"]
    context: ContextName | None = None


LiveMessage = Annotated[LiveStart | LiveWords | LiveSign, Field(discriminator="type")]


class SpeechUsage(BaseModel):
    """What a request took: positions of prompts, frames made."""

    input_tokens: int
    output_tokens: int
    total_tokens: int


class TextPart(Body):
    """Words in a message."""

    type: Literal["text"]
    text: str


class ClipData(Body):
    """A recording in a message."""

    data: str
    format: str | None = Field(default=None, max_length=16)


class ClipPart(Body):
    """A recording in a message."""

    type: Literal["input_audio"]
    input_audio: ClipData


class ClipUrl(Body):
    """A recording as a data: URL."""

    url: str


class ClipUrlPart(Body):
    """A recording as a data: URL; no other address is fetched."""

    type: Literal["audio_url"]
    audio_url: ClipUrl


Part = Annotated[TextPart | ClipPart | ClipUrlPart, Field(discriminator="type")]


class ChatMessage(Body):
    """One message."""

    without_effect: ClassVar[frozenset[str]] = frozenset(
        ("annotations", "audio", "function_call", "name", "recipient", "refusal", "tool_call_id", "tool_calls")
    )
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[Part] | None = None


class ChatAudio(Body):
    """How a chat wants its audio."""

    voice: VoiceName | None = None
    format: ChatAudioName | None = None


class StreamOptions(Body):
    """What a streamed chat wants besides."""

    without_effect: ClassVar[frozenset[str]] = frozenset(("continuous_usage_stats", "include_obfuscation"))
    include_usage: bool = False


def _with_audio(wanted: list[str]) -> list[str]:
    if "audio" not in wanted:
        raise ValueError("this server answers with audio only; add 'audio', or leave modalities out")
    return wanted


Modalities = Annotated[
    list[Literal["text", "audio"]],
    AfterValidator(_with_audio),
    Field(json_schema_extra={"contains": {"const": "audio"}}),
]


# What only a model that writes could use.
WRITING = (
    "frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens metadata min_p "
    "moderation parallel_tool_calls prediction presence_penalty prompt_cache_key prompt_cache_retention "
    "reasoning_effort repetition_penalty response_format safety_identifier service_tier skip_special_tokens stop "
    "stop_token_ids store tool_choice tools top_logprobs user verbosity web_search_options"
)


class ChatRequest(Sampling):
    """A body of ``POST /v1/chat/completions``."""

    without_effect: ClassVar[frozenset[str]] = frozenset(WRITING.split())
    messages: list[ChatMessage] = Field(
        min_length=1,
        max_length=256,
        description="The last one is a user's, with the words to speak.",
        examples=[[{"role": "user", "content": "Hello there."}]],
    )
    model: str | None = Field(default=None, max_length=256)
    modalities: Modalities = Field(default=["text", "audio"])
    audio: ChatAudio = Field(default_factory=ChatAudio)
    stream: bool = False
    stream_options: StreamOptions | None = None
    n: Literal[1] = 1


def decode_recording(data: str, text: str | None, where: str) -> Recording:
    """A recording from base64 or a data: URL.

    Raises:
        AudioError: it is neither.
    """
    encoded = data
    if data[:5].lower() == "data:":
        head, comma, encoded = data.partition(",")
        if not comma or not head.endswith(";base64"):
            raise AudioError(f"{where}: a data: URL must be of the form data:audio/wav;base64,…")
    elif "://" in data[:16]:
        raise AudioError(f"{where}: addresses are not fetched; send the recording itself, in base64")
    try:
        audio = base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise AudioError(f"{where}: it is not base64 ({error}); encode the bytes of an audio file") from error
    if not audio:
        raise AudioError(f"{where}: it is empty; send the bytes of an audio file")
    return Recording(audio, text)
