"""What a session is set to, whichever dialect said so, and how each dialect writes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from parlando.converse.turns import TurnOptions
from parlando.serve.realtime.messages import BETA_FORMATS, OFF, Answering, SessionBody, Transcription, TurnDetection

PCM = "audio/pcm"
RATES = {PCM: 24_000, "audio/pcmu": 8000, "audio/pcma": 8000}
ENCODERS = {PCM: "pcm", "audio/pcmu": "ulaw", "audio/pcma": "alaw"}
BETA_NAMES = {general: beta for beta, general in BETA_FORMATS.items()}
# Seconds of silence after which a turn is over, by how eager the client is to have it answered.
EAGERNESS = {"low": 1.2, "medium": 0.8, "auto": 0.8, "high": 0.4}
MS = 1000


@dataclass(frozen=True)
class Watch:
    """How turns are found: server_vad or semantic_vad, and what happens at them."""

    kind: str = "server_vad"
    turns: TurnOptions = field(default_factory=TurnOptions)
    eagerness: str = "auto"
    create_response: bool = True
    interrupt_response: bool = True

    def changed(self, told: TurnDetection) -> Watch:
        """These settings, with what a message says instead."""
        kind = told.type
        base = self if kind == self.kind else Watch(kind)
        eagerness = told.eagerness or base.eagerness
        given = {
            "threshold": told.threshold,
            "lead_seconds": None if told.prefix_padding_ms is None else told.prefix_padding_ms / MS,
            "silence_seconds": None if told.silence_duration_ms is None else told.silence_duration_ms / MS,
        }
        if kind == "semantic_vad":
            given["silence_seconds"] = EAGERNESS[eagerness]
        return replace(
            base,
            turns=replace(base.turns, **{name: value for name, value in given.items() if value is not None}),
            eagerness=eagerness,
            create_response=base.create_response if told.create_response is None else told.create_response,
            interrupt_response=base.interrupt_response if told.interrupt_response is None else told.interrupt_response,
        )

    def described(self) -> dict[str, Any]:
        """As both dialects write it."""
        acts = {"create_response": self.create_response, "interrupt_response": self.interrupt_response}
        if self.kind == "semantic_vad":
            return {"type": self.kind, "eagerness": self.eagerness, **acts}
        times = {
            "prefix_padding_ms": round(self.turns.lead_seconds * MS),
            "silence_duration_ms": round(self.turns.silence_seconds * MS),
        }
        return {"type": self.kind, "threshold": self.turns.threshold, **times, **acts}


@dataclass(frozen=True)
class Output:
    """How an answer is given: in which words, which voice and which format."""

    modality: str = "audio"
    instructions: str | None = None
    format: str = PCM
    voice: str | None = None
    speed: float = 1.0
    most_tokens: int | str = "inf"

    @property
    def sample_rate(self) -> int:
        """Of the audio."""
        return RATES[self.format]

    @property
    def encoder(self) -> str:
        """The format's name here."""
        return ENCODERS[self.format]

    def changed(self, told: Answering) -> Output:
        """These settings, with what a message says instead."""
        general = told.audio.output if told.audio is not None else None
        modalities = told.output_modalities or told.modalities
        format = told.output_audio_format or (general.format if general else None)
        speed = getattr(told, "speed", None) or (general.speed if general else None)
        given: dict[str, Any] = {
            "modality": None if modalities is None else "audio" if "audio" in modalities else "text",
            "instructions": told.instructions,
            "format": None if format is None else format.type,
            "voice": told.voice or (general.voice if general else None),
            "speed": speed,
            "most_tokens": told.max_output_tokens or told.max_response_output_tokens,
        }
        return replace(self, **{name: value for name, value in given.items() if value is not None})


@dataclass(frozen=True)
class Settings:
    """All of a session's; ``watch`` is nothing where the client itself says when a turn is over."""

    output: Output = field(default_factory=Output)
    input_format: str = PCM
    watch: Watch | None = field(default_factory=Watch)
    transcribes: bool = False
    language: str | None = None

    @property
    def input_rate(self) -> int:
        """Of the audio that comes in."""
        return RATES[self.input_format]

    def changed(self, told: SessionBody) -> Settings:
        """These settings, with what a message says instead.

        Raises:
            ConfigError: a value is out of range.
        """
        general = told.audio.input if told.audio is not None else None
        format = told.input_audio_format or (general.format if general else None)
        detection = told.turn_detection or (general.turn_detection if general else None)
        transcription = told.input_audio_transcription or (general.transcription if general else None)
        return replace(
            self,
            output=self.output.changed(told),
            input_format=self.input_format if format is None else format.type,
            watch=self._watched(detection),
            **_transcribed(transcription),
        )

    def _watched(self, told: TurnDetection | None) -> Watch | None:
        if told is None:
            return self.watch
        return None if told.type == OFF else (self.watch or Watch(told.type)).changed(told)

    def described(self, beta: bool) -> dict[str, Any]:
        """As a dialect writes them."""
        output = self.output
        watch = None if self.watch is None else self.watch.described()
        transcription = {"model": "parlando", "language": self.language} if self.transcribes else None
        if beta:
            return {
                "modalities": [output.modality] if output.modality == "text" else ["text", "audio"],
                "instructions": output.instructions or "",
                "voice": output.voice,
                "input_audio_format": BETA_NAMES[self.input_format],
                "output_audio_format": BETA_NAMES[output.format],
                "input_audio_transcription": transcription,
                "turn_detection": watch,
                "speed": output.speed,
                "tools": [],
                "tool_choice": "none",
                "max_response_output_tokens": output.most_tokens,
            }
        heard = {"format": shape_of(self.input_format), "transcription": transcription, "turn_detection": watch}
        said = {"format": shape_of(output.format), "voice": output.voice, "speed": output.speed}
        return {
            "type": "realtime",
            "output_modalities": [output.modality],
            "instructions": output.instructions or "",
            "audio": {"input": heard, "output": said},
            "tools": [],
            "tool_choice": "none",
            "max_output_tokens": output.most_tokens,
        }


def shape_of(format: str) -> dict[str, Any]:
    """A format as the general dialect writes it."""
    return {"type": format, "rate": RATES[format]} if format == PCM else {"type": format}


def _transcribed(told: Transcription | None) -> Mapping[str, Any]:
    if told is None:
        return {}
    return {"transcribes": told.type != OFF, "language": told.language}
