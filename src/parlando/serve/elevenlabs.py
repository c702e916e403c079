"""ElevenLabs' words: its output formats, and what its bodies and forms ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from fastapi import Query, UploadFile
from pydantic import AfterValidator, Field, ValidationError

from parlando.core.errors import ConfigError, nearest
from parlando.serve.bodies import Body, FormBody, RequestBody
from parlando.serve.cosyvoice import prompt_recording
from parlando.serve.livetext import pieces_of
from parlando.serve.schemas import LanguageName, Words
from parlando.serve.service import Making, Service, Utterance
from parlando.serve.voices import Recording

THEIR_MODELS = "eleven_"
PCM_RATES = (8000, 16000, 22050, 24000, 32000, 44100, 48000)
OUTPUTS = (
    "mp3_22050_32",
    "mp3_24000_48",
    *(f"mp3_44100_{kilobits}" for kilobits in (32, 64, 96, 128, 192)),
    *(f"{codec}_{rate}" for codec in ("pcm", "wav") for rate in PCM_RATES),
    *(f"opus_48000_{kilobits}" for kilobits in (32, 64, 96, 128, 192)),
    "ulaw_8000",
    "alaw_8000",
)
DEFAULT_OUTPUT = "mp3_44100_128"
RAW_FILE = "pcm_s16le_16"


@dataclass(frozen=True)
class Output:
    """What an ``output_format`` says."""

    format: str
    sample_rate: int
    bits_per_second: int | None

    @classmethod
    def of(cls, name: str) -> Output:
        """Read a name such as mp3_44100_128.

        Raises:
            ConfigError: it is none of theirs.
        """
        if name not in OUTPUTS:
            raise ConfigError(f"output_format: there is no '{name[:40]}'.{nearest(name[:40], OUTPUTS)}")
        format, rate, *kilobits = name.split("_")
        return cls(format, int(rate), int(kilobits[0]) * 1000 if kilobits else None)

    @property
    def making(self) -> Making:
        """What makes chunks into pieces of it."""
        return pieces_of(self.format, self.sample_rate, self.bits_per_second)


# Refused by whoever reads it, in words of its own; told here.
OutputName = Annotated[str, Query(json_schema_extra={"enum": [*OUTPUTS]})]


class VoiceSettings(Body):
    """Of ElevenLabs' settings, the one that has a meaning here."""

    without_effect: ClassVar[frozenset[str]] = frozenset(
        ("clone_strength", "similarity_boost", "stability", "style", "use_speaker_boost")
    )
    speed: Annotated[float, Field(ge=0.25, le=4.0)] = 1.0


Seed = Annotated[
    int,
    Field(ge=-1, le=2**32 - 1, description="-1 draws one."),
    AfterValidator(lambda seed: None if seed < 0 else seed),
]
PASSED_OVER = (
    "apply_language_text_normalization apply_text_normalization next_request_ids next_text "
    "previous_request_ids previous_text pronunciation_dictionary_locators use_pvc_as_ivc"
)


class SpeechBody(RequestBody):
    """A body of ``POST /v1/text-to-speech/{voice}``."""

    without_effect: ClassVar[frozenset[str]] = frozenset(PASSED_OVER.split())
    text: Words
    model_id: Annotated[str, Field(max_length=256)] | None = None
    language_code: LanguageName | None = None
    voice_settings: VoiceSettings = VoiceSettings()
    seed: Seed | None = None


class ChangeForm(FormBody):
    """A form of ``POST /v1/speech-to-speech/{voice}``."""

    without_effect: ClassVar[frozenset[str]] = frozenset(("remove_background_noise", "seed"))
    audio: UploadFile = Field(description="The recording to say in another voice.")
    model_id: Annotated[str, Field(max_length=256)] | None = None
    voice_settings: Annotated[str, Field(max_length=4096, description="JSON, of which speed is heeded.")] = "{}"
    file_format: Literal["pcm_s16le_16", "other"] = "other"

    @property
    def settings(self) -> VoiceSettings:
        """What the JSON says.

        Raises:
            ConfigError: it is none, or says something else.
        """
        try:
            return VoiceSettings.model_validate_json(self.voice_settings)
        except ValidationError as error:
            raise ConfigError('voice_settings: expected JSON such as {"speed": 1.2}') from error


def utterance_of(voice_id: str, body: SpeechBody, output: Output) -> Utterance:
    """What a body asks for; their models' names all mean the default one."""
    return Utterance(
        text=body.text,
        voice=voice_id,
        model=None if (body.model_id or THEIR_MODELS).startswith(THEIR_MODELS) else body.model_id,
        language=body.language_code,
        speed=body.voice_settings.speed,
        sample_rate=output.sample_rate,
        options={} if body.seed is None else {"seed": body.seed},
    )


def conversion_of(service: Service, voice_id: str, form: ChangeForm, audio: bytes, output: Output) -> Utterance:
    """A recording, to be said in another voice: by the model that is named, else the first that can.

    Raises:
        InputError: no model that is meant can.
        ConfigError: the settings are no JSON.
    """
    named = None if (form.model_id or THEIR_MODELS).startswith(THEIR_MODELS) else form.model_id
    host = service.converter(named)
    return Utterance(
        text=Recording(prompt_recording(audio) if form.file_format == RAW_FILE else audio),
        voice=voice_id,
        model=host.name,
        speed=form.settings.speed,
        sample_rate=output.sample_rate,
    )
