"""What CosyVoice's clients ask for, over HTTP and gRPC alike, as utterances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from parlando.audio.files import encode_audio
from parlando.core.errors import AudioError, InputError
from parlando.serve.names import SPEAKERS
from parlando.serve.service import Service, Utterance
from parlando.serve.voices import Recording

PROMPT_RATE = 16_000
PCM_FULL_SCALE = 32768.0


@dataclass(frozen=True)
class Asked:
    """One of their five kinds of request: what is empty or ``None`` was not part of it."""

    text: str
    speaker: str | None = None
    recording: bytes | None = None
    recording_text: str = ""
    instructions: str | None = None
    speed: float = 1.0
    seed: int | None = None
    sample_rate: int | None = None


def utterance_of(service: Service, asked: Asked) -> Utterance:
    """What is asked for, with the default model.

    Raises:
        InputError: instructions, and this server's model follows none.
    """
    follows = service.config.instructions or service.host(None).synthesizer.model.takes_instructions
    if asked.instructions is not None and not follows:
        raise InputError(
            "this model follows no instructions; ask for the words alone, by inference_sft or inference_zero_shot"
        )
    recording = None if asked.recording is None else Recording(asked.recording, asked.recording_text.strip() or None)
    return Utterance(
        text=asked.text,
        voice=recording or (None if asked.speaker is None else speaker_of(service, asked.speaker)),
        instructions=asked.instructions,
        speed=asked.speed,
        sample_rate=asked.sample_rate,
        options={} if asked.seed is None else {"seed": asked.seed},
    )


def speaker_of(service: Service, name: str) -> str:
    """A voice by their speaker's name; their own speakers stand for somebody of the kind."""
    return name if service.voices.is_fixed(service.host(None), name) else SPEAKERS.get(name, name)


def prompt_recording(audio: bytes) -> bytes:
    """A recording as gRPC clients send it, bare 16-bit samples at 16 kHz, as a file; a WAV file is left as it is.

    Raises:
        AudioError: it is empty, or half a sample is left over.
    """
    if audio[:4] == b"RIFF":
        return audio
    if not audio or len(audio) % 2:
        raise AudioError("prompt_audio: expected 16-bit samples at 16 kHz, or a WAV file")
    return encode_audio(np.frombuffer(audio, "<i2").astype(np.float32) / PCM_FULL_SCALE, PROMPT_RATE)
