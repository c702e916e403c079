"""The picture of an `AudioReport`: waveform and log-mel spectrogram, by matplotlib."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from parlando.audio.mel import MelConfig, MelSpectrogram, hz_to_mel
from parlando.audio.report import AudioReport
from parlando.core.errors import ConfigError, FileMissingError, MissingDependencyError
from parlando.core.install import with_extra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PICTURE_FORMATS = ("png", "svg", "pdf")
INK, WAVE, SPEECH, CLICK = "#22313f", "#2a6f97", "#cfe8d5", "#d1495b"
BANDS = 96
COLUMNS = 1600
RANGE_DECIBELS = 80.0
HOP_SECONDS = 0.005
WINDOW_SECONDS = 0.04
TICKS_HZ = (100, 250, 500, 1000, 2000, 4000, 8000, 12000, 16000, 20000)


def check_picture(path: str | os.PathLike[str]) -> Path:
    """The path, if a picture can be drawn there.

    Raises:
        ConfigError: the ending names no format of pictures that there is.
        MissingDependencyError: matplotlib is not installed.
        FileMissingError: its folder is not there.
    """
    target = Path(path)
    if target.suffix.lower().lstrip(".") not in PICTURE_FORMATS:
        raise ConfigError(f"'{target}' names no format of pictures here; use .{', .'.join(PICTURE_FORMATS)}")
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError("matplotlib", with_extra("plots")) from error
    if not target.parent.is_dir():
        raise FileMissingError(target.parent, "folder")
    return target


def draw_report(report: AudioReport, out_png: str | os.PathLike[str]) -> None:
    """Draw waveform, speech, clicks and spectrogram over one time axis in seconds; errors as for `check_picture`."""
    target = check_picture(out_png)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6.2), dpi=130, facecolor="white", layout="constrained")
    _draw(figure, report)
    partial = target.with_name(f".{target.name}.part")
    try:
        figure.savefig(partial, format=target.suffix.lower().lstrip("."))
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _draw(figure: Figure, report: AudioReport) -> None:
    wave, mel = figure.subplots(2, 1, sharex=True, height_ratios=(1, 2.2))
    wave.set_title(Path(report.name).name, loc="left", color=INK, fontsize=13, fontweight="bold", pad=26)
    facts = wave.text(0, 1.07, "   ·   ".join(_facts(report)), transform=wave.transAxes, color=INK, fontsize=8.5)
    facts.set_in_layout(False)
    _draw_wave(wave, report)
    image = _draw_mel(mel, report)
    bar = figure.colorbar(image, ax=(wave, mel), pad=0.012, fraction=0.03, aspect=32)
    bar.set_label("level (dB re maximum)", color=INK)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=INK, labelsize=9)
    for axes in (wave, mel):
        axes.tick_params(colors=INK, labelsize=9)
        axes.spines[["top", "right"]].set_visible(False)
    mel.set_xlabel("time (s)", color=INK)
    mel.set_xlim(0, report.clip.duration_seconds)


def _facts(report: AudioReport) -> list[str]:
    shown = {"duration", "sample rate", "loudness", "peak", "clipped", "longest pause", "pitch (median)"}
    return [f"{name} {value}" for name, value in report.rows() if name in shown]


def _draw_wave(axes: Axes, report: AudioReport) -> None:
    rate, samples = report.clip.sample_rate, report.clip.samples
    for index, span in enumerate(report.speech):
        label = "speech" if index == 0 else None
        axes.axvspan(span.start / rate, span.end / rate, color=SPEECH, linewidth=0, label=label)
    width = max(1, len(samples) // COLUMNS)
    starts = np.arange(0, len(samples), width)
    low, high = np.minimum.reduceat(samples, starts), np.maximum.reduceat(samples, starts)
    axes.fill_between(starts / rate, low, high, color=WAVE, linewidth=0.4, edgecolor=WAVE)
    for index, click in enumerate(report.clicks):
        axes.axvline(click / rate, color=CLICK, linewidth=0.9, label="click" if index == 0 else None)
    limit = min(1.0, 1.15 * float(np.abs(samples).max()) + 0.01)
    axes.set_ylim(-limit, limit)
    axes.set_ylabel("amplitude (full scale 1)", color=INK)
    if report.speech or report.clicks:
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1.13), fontsize=8.5, frameon=False, ncols=2, labelcolor=INK)


def _draw_mel(axes: Axes, report: AudioReport) -> Any:
    rate = report.clip.sample_rate
    levels = _mel_decibels(report)
    top = hz_to_mel(rate / 2)
    extent = (0.0, report.clip.duration_seconds, 0.0, top)
    image = axes.imshow(
        levels.T, origin="lower", aspect="auto", extent=extent, cmap="magma", vmin=-RANGE_DECIBELS, vmax=0
    )
    shown = [hz for hz in TICKS_HZ if hz < rate / 2]
    axes.set_yticks(
        [hz_to_mel(float(hz)) for hz in shown], [f"{hz / 1000:g} kHz" if hz >= 1000 else f"{hz} Hz" for hz in shown]
    )
    axes.set_ylabel("frequency (mel scale)", color=INK)
    return image


def _mel_decibels(report: AudioReport) -> np.ndarray:
    """Levels [frame, band] in decibels under the strongest, at most some thousand frames."""
    rate, samples = report.clip.sample_rate, report.clip.samples
    hop = max(round(HOP_SECONDS * rate), len(samples) // (2 * COLUMNS))
    size = 1 << math.ceil(math.log2(max(WINDOW_SECONDS * rate, hop)))
    config = MelConfig(rate, size, hop, BANDS, floor=1e-7)
    whole = -(-len(samples) // hop) * hop
    wave = torch.from_numpy(np.pad(samples, (0, whole - len(samples))))
    with torch.no_grad():
        levels = MelSpectrogram(config)(wave[None])[0].numpy() * (20 / math.log(10))
    return (levels - levels.max()).clip(-RANGE_DECIBELS, 0)
