"""ElevenLabs' words: its output formats, what a body asks for, and voices and models as its clients list them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, Field

from parlando.core.errors import ConfigError, nearest
from parlando.serve.schemas import LanguageName, Words
from parlando.serve.service import Service, Utterance
from parlando.serve.voices import Listed

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


class VoiceSettings(BaseModel):
    """Of ElevenLabs' settings, the one that has a meaning here."""

    speed: Annotated[float, Field(ge=0.25, le=4.0, allow_inf_nan=False)] | None = None


class SpeechBody(BaseModel):
    """A body of ``POST /v1/text-to-speech/{voice}``."""

    text: Words
    model_id: Annotated[str, Field(max_length=256)] | None = None
    language_code: LanguageName | None = None
    voice_settings: VoiceSettings | None = None
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] | None = None


def utterance_of(voice_id: str, body: SpeechBody, output: Output) -> Utterance:
    """What a body asks for; their models' names all mean the default one."""
    settings = body.voice_settings or VoiceSettings()
    return Utterance(
        text=body.text,
        voice=voice_id,
        model=None if (body.model_id or THEIR_MODELS).startswith(THEIR_MODELS) else body.model_id,
        language=body.language_code,
        speed=settings.speed or 1.0,
        sample_rate=output.sample_rate,
        options={} if body.seed is None else {"seed": body.seed},
    )


def own_voices(service: Service, caller: str) -> list[dict[str, Any]]:
    """Every voice that a caller may use, in their shape; names that stand for others are left out."""
    return [voice_card(each) for each in service.shelf.listed(service.host(None), caller) if each.stands_for is None]


def voice_card(voice: Listed) -> dict[str, Any]:
    """A voice as their clients see it."""
    return {
        "voice_id": voice.name,
        "name": voice.name,
        "category": "cloned" if voice.origin == "uploaded" else "premade",
        "description": voice.description or "",
        "labels": {"language": voice.language},
        "samples": None,
        "preview_url": None,
        "settings": None,
    }


def model_card(service: Service, name: str) -> dict[str, Any]:
    """A model as their clients see it."""
    voices = service.hosts[name].synthesizer.voices.values()
    return {
        "model_id": name,
        "name": name,
        "description": f"{name}, spoken by Parlando",
        "can_do_text_to_speech": True,
        "can_do_voice_conversion": False,
        "can_be_finetuned": False,
        "can_use_style": False,
        "can_use_speaker_boost": False,
        "serves_pro_voices": False,
        "maximum_text_length_per_request": service.config.limits.max_input_characters,
        "languages": [{"language_id": code, "name": code} for code in sorted({each.language for each in voices})],
    }
