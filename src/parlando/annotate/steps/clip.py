"""The clip of a segment: levelled, with soft edges, in the corpus's format; the same bytes wherever it is made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from parlando.annotate.rows import Row
from parlando.annotate.step import Step
from parlando.annotate.workspace import Workspace, whole_file
from parlando.audio.clip import Clip
from parlando.audio.files import encode_audio
from parlando.audio.ogg import steady

FADE_SECONDS = 0.005
ClipFormat = Literal["flac", "opus"]


@dataclass(frozen=True)
class WriteClip(Step):
    """A file in the corpus for a segment that is kept."""

    format: ClipFormat = "flac"

    name = "clip"

    @property
    def settings(self) -> Mapping[str, Any]:
        """The format."""
        return {"format": self.format, "fade_seconds": FADE_SECONDS}

    def run(self, row: Row, work: Workspace) -> Iterable[Row]:
        """The row with its clip's path from the folder of clips."""
        name = f"{row.id[-2:]}/{row.id}.{self.format}"
        with whole_file(work.clip(name)) as path:
            path.write_bytes(encoded(levelled(row, work), self.format))
        yield self.tell(row, {"clip": name})


def levelled(row: Row, work: Workspace) -> Clip:
    """A segment's audio at its wanted loudness."""
    clip = work.read(row.facts["audio"], row.facts["start"], row.facts["end"])
    wave = clip.samples * np.float32(10 ** (row.facts.get("gain_decibels", 0.0) / 20))
    fade = min(round(FADE_SECONDS * clip.sample_rate), len(wave) // 2)
    if fade:
        ramp = np.linspace(0.0, 1.0, fade, endpoint=False, dtype=np.float32)
        wave[:fade] *= ramp
        wave[-fade:] *= ramp[::-1]
    return Clip(wave, clip.sample_rate)


def encoded(clip: Clip, format: ClipFormat) -> bytes:
    """A file's bytes, which depend on the samples alone."""
    content = encode_audio(clip.samples, clip.sample_rate, format)
    return steady(content) if format == "opus" else content
