"""What the codec alone loses: recordings through codes and back, by mel distance and by the recogniser."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from parlando.audio.clip import Clip
from parlando.audio.mel import MelConfig, MelSpectrogram
from parlando.audio.resample import resample
from parlando.core.types import Frame, Prompt
from parlando.evaluate.recognise import recognise
from parlando.evaluate.report import markdown_table
from parlando.evaluate.wer import ErrorRates, error_rates
from parlando.models.higgs.parts.delay import build_delay

WINDOW_SECONDS, HOPS_PER_WINDOW, NUM_BANDS = 0.04, 4, 80


@dataclass(frozen=True)
class CodecReport:
    """Over all clips: ``mel_distance`` is the mean absolute difference of log-mel magnitudes (natural logarithm)."""

    model: str
    clips: int
    audio_seconds: float
    mel_distance: float
    recording_rates: ErrorRates
    codec_rates: ErrorRates
    difference_points: float


def resynthesise(model: Any, clip: Clip) -> Clip:
    """A clip through the codes of a Higgs model and back, by the decoder that synthesis uses.

    Raises:
        AudioError: the clip is too short, too long or silent.
    """
    config = model.lm.config
    codes = model.encode(clip.samples, clip.sample_rate)
    delayed = build_delay(codes, config.stream_bos, config.stream_eos)
    frames = [Frame(config.audio_out_id, tuple(int(code) for code in column)) for column in delayed.T]
    nothing = Prompt((), np.zeros(0, dtype=bool), np.zeros((0, len(codes)), dtype=np.int64))
    return Clip(model.decoder.open(nothing).push(frames, final=True), model.decoder.sample_rate)


def mel_distance(original: Clip, copy: Clip) -> float:
    """Mean absolute difference of log-mel magnitudes, at the copy's rate and over the length that both have."""
    rate = copy.sample_rate
    window = round(WINDOW_SECONDS * rate)
    mel = MelSpectrogram(MelConfig(rate, window, window // HOPS_PER_WINDOW, NUM_BANDS))
    waves = (resample(original.samples, original.sample_rate, rate), copy.samples)
    length = min(map(len, waves))
    first, second = (mel(torch.from_numpy(np.ascontiguousarray(wave[:length]))[None]) for wave in waves)
    return float((first - second).abs().mean())


def run_codec(
    model: str, through: Callable[[Clip], Clip], clips: Sequence[Clip], sentences: Sequence[str]
) -> CodecReport:
    """Send recordings of ``sentences`` ``through`` a codec, and compare."""
    copies = [through(clip) for clip in tqdm(clips, desc="codec", unit="clip")]
    recorded = error_rates(sentences, recognise(clips, label="recognise the recordings"))
    copied = error_rates(sentences, recognise(copies, label="recognise the copies"))
    return CodecReport(
        model=model,
        clips=len(clips),
        audio_seconds=sum(clip.duration_seconds for clip in clips),
        mel_distance=float(np.mean([mel_distance(*pair) for pair in zip(clips, copies, strict=True)])),
        recording_rates=recorded,
        codec_rates=copied,
        difference_points=100 * (copied.wer - recorded.wer),
    )


def codec_markdown(report: CodecReport) -> str:
    """The report as a table."""
    facts = [
        ("WER of the recordings", str(report.recording_rates)),
        ("WER of the copies", str(report.codec_rates)),
        ("difference", f"{report.difference_points:+.1f} points"),
        ("mel distance", f"{report.mel_distance:.3f}"),
        ("audio", f"{report.clips} clips, {report.audio_seconds:.0f} s"),
    ]
    return markdown_table((f"codec of {report.model}", "value"), facts)
