"""Recordings as the published interface passes them: paths, file objects or tensors [1, sample] and `load_wav`."""

from __future__ import annotations

import logging
from os import PathLike
from typing import BinaryIO

import torch
from jaxtyping import Float
from torch import Tensor

from parlando.audio.check import DEFAULT_LIMITS, used_spans
from parlando.audio.clip import Clip, as_mono
from parlando.audio.files import read_audio
from parlando.audio.resample import resample
from parlando.audio.silence import Span, speech_spans
from parlando.core.errors import AudioError

logger = logging.getLogger(__name__)
TENSOR_RATE = 16_000
Recording = str | PathLike[str] | BinaryIO | Tensor


def load_wav(wav: str | PathLike[str] | BinaryIO, target_sr: int, min_sr: int = 16_000) -> Float[Tensor, "1 sample"]:
    """A recording as one channel at ``target_sr`` hertz.

    Raises:
        FileMissingError: there is no such file.
        AudioError: it is not audio, or its rate is below ``min_sr``.
    """
    clip = _read(wav)
    if clip.sample_rate < min_sr:
        raise AudioError(
            f"'{wav}': recorded at {clip.sample_rate} Hz; at least {min_sr} Hz are needed, record it again"
        )
    return torch.from_numpy(resample(as_mono(clip.samples), clip.sample_rate, target_sr))[None]


def as_clip(recording: Recording) -> Clip:
    """A recording in any of its forms; a tensor is taken to be at 16 kHz, as published snippets have it.

    Raises:
        FileMissingError: there is no such file.
        AudioError: it is not audio, or a tensor of another shape than [1, sample] or [sample].
    """
    if not isinstance(recording, Tensor):
        return _read(recording)
    if recording.ndim not in (1, 2) or (recording.ndim == 2 and recording.shape[0] != 1):
        raise AudioError(f"a prompt tensor of shape {list(recording.shape)}; give [1, sample] at {TENSOR_RATE} Hz")
    return Clip(recording.detach().float().cpu().reshape(-1).numpy(), TENSOR_RATE)


def as_prompt(recording: Recording) -> Clip:
    """A recording to clone; of more than the 30 s that a prompt may have, its best 30 s, with a warning.

    Best is where most of it is speech, from a pause on. Errors are as for `as_clip`.
    """
    clip = as_clip(recording)
    longest = round(DEFAULT_LIMITS.used_seconds * clip.sample_rate)
    if len(clip.samples) <= longest:
        return clip
    mono = as_mono(clip.samples)
    spans = speech_spans(mono, clip.sample_rate)
    windows = (used_spans(spans[index:], longest) for index in range(len(spans)))
    best = max(windows, key=lambda window: sum(map(len, window)), default=[Span(0, longest)])
    start, end = best[0].start, best[-1].end
    logger.warning(
        "a prompt of %.1f s; only %.1f s to %.1f s of it are used, and prompt_text must be of that part alone",
        len(mono) / clip.sample_rate,
        start / clip.sample_rate,
        end / clip.sample_rate,
    )
    return Clip(mono[start:end], clip.sample_rate)


def _read(recording: str | PathLike[str] | BinaryIO) -> Clip:
    """A file object is left where it was, since published snippets use the same one several times."""
    if isinstance(recording, str | PathLike):
        return read_audio(recording)
    start = recording.tell()
    try:
        return read_audio(recording)
    finally:
        recording.seek(start)
