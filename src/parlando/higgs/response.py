"""What the published interface returns, with its field names."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from parlando.core.errors import AudioError
from parlando.models.higgs.parts.chatml import AudioContent


@dataclass
class HiggsAudioResponse:
    """One reply.

    ``audio`` is float32 [n] or None when none was made, ``generated_audio_tokens`` the first clip's codes [codebook,
    frame], still delayed, ``usage`` counts ``prompt_tokens``, ``completion_tokens`` (text tokens and frames of all
    clips), ``total_tokens`` and ``cached_tokens``.
    """

    audio: np.ndarray | None = None
    generated_audio_tokens: np.ndarray | None = None
    sampling_rate: int | None = None
    generated_text: str = ""
    generated_text_tokens: np.ndarray | None = None
    usage: dict[str, int] | None = None


@dataclass
class HiggsAudioStreamerDelta:
    """One step of a reply: a text token (int64 [1]) with its text, or a delayed frame (int64 [codebook]).

    ``audio`` holds the samples (float32 [n], perhaps none) that became final with it; the published interface leaves
    decoding to its user. ``finish_reason`` ("stop" or "length") comes with the last delta.
    """

    text: str | None = None
    text_tokens: Tensor | None = None
    audio_tokens: Tensor | None = None
    finish_reason: str | None = None
    audio: np.ndarray | None = None


def clip_source(content: AudioContent) -> str | bytes:
    """Where a clip is to be read from: a path, or its bytes.

    Raises:
        AudioError: there is neither, the bytes are no base64, or the path is an address on the web.
    """
    if content.audio_url not in ("", "placeholder"):
        if content.audio_url.startswith(("http://", "https://")):
            raise AudioError(f"'{content.audio_url}' is on the web; download it and give its path, or raw_audio")
        return content.audio_url
    if not content.raw_audio:
        raise AudioError("an audio content has neither a path in audio_url nor base64 in raw_audio; give one of them")
    try:
        return base64.b64decode(content.raw_audio, validate=True)
    except binascii.Error as error:
        raise AudioError(f"raw_audio is not base64 ({error}); encode the whole audio file with it") from error
