"""Audio as it comes over the wire: base64 of 16-bit samples, or of telephony's eight (G.711)."""

from __future__ import annotations

import base64
import binascii
from functools import cache

import numpy as np

from parlando.audio.clip import PCM_FULL_SCALE
from parlando.core.errors import AudioError
from parlando.serve.realtime.settings import PCM

ULAW, ULAW_BIAS, ULAW_FULL_SCALE = "audio/pcmu", 33, 8192.0
ALAW_FULL_SCALE, ALAW_MASK = 4096.0, 0x55


def decoded(audio: str, format: str) -> np.ndarray:
    """Samples (float32 [n]) of a piece of audio.

    Raises:
        AudioError: it is not base64, or half of a sample.
    """
    try:
        data = base64.b64decode(audio, validate=True)
    except (binascii.Error, ValueError) as error:
        raise AudioError("audio: it is not base64; encode the samples again") from error
    if format != PCM:
        table = _ulaw() if format == ULAW else _alaw()
        return table[np.frombuffer(data, np.uint8)]
    if len(data) % 2:
        raise AudioError(f"audio: {len(data)} bytes are not whole samples of 16 bits; send an even number")
    return np.frombuffer(data, "<i2").astype(np.float32) / PCM_FULL_SCALE


@cache
def _ulaw() -> np.ndarray:
    """What each byte of µ-law means: sign, three bits of exponent, four of mantissa, all inverted."""
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    exponent, mantissa = (code >> 4) & 7, code & 15
    size = ((2 * mantissa + ULAW_BIAS) << exponent) - ULAW_BIAS
    return (np.where(code & 0x80, -size, size) / ULAW_FULL_SCALE).astype(np.float32)


@cache
def _alaw() -> np.ndarray:
    """What each byte of A-law means: the same parts, every other bit inverted, the lowest two segments alike."""
    code = np.arange(256, dtype=np.int32) ^ ALAW_MASK
    exponent, mantissa = (code >> 4) & 7, code & 15
    size = np.where(exponent == 0, 2 * mantissa + 1, (2 * mantissa + ULAW_BIAS) << np.maximum(exponent - 1, 0))
    return (np.where(code & 0x80, size, -size) / ALAW_FULL_SCALE).astype(np.float32)
