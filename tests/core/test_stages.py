"""The promises between stages are structural: a class keeps one by its shape, and core needs no torch."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import numpy as np

from parlando.core.stages import FrameSampler, WaveStream
from parlando.core.types import Frame


class Countdown:
    """Frames 3, 2, 1, then the end."""

    def __init__(self) -> None:
        self.left = 3
        self.ended = False

    def next(self, logits: object) -> Frame | None:
        self.left -= 1
        return Frame(self.left + 1) if self.left >= 0 else None


class Repeat:
    """Two samples per frame."""

    def push(self, frames: Sequence[Frame], final: bool) -> np.ndarray:
        return np.repeat([float(f.token) for f in frames], 2).astype(np.float32)

    def frames_until(self, sounding: int) -> int:
        return sounding


def _run(sampler: FrameSampler, stream: WaveStream) -> np.ndarray:
    frames = list(iter(lambda: sampler.next(None), None))
    return np.concatenate([stream.push(frames[:1], False), stream.push(frames[1:], True)])


def test_any_class_of_the_right_shape_is_a_stage() -> None:
    assert _run(Countdown(), Repeat()).tolist() == [3, 3, 2, 2, 1, 1]


def test_core_and_text_import_without_torch() -> None:
    modules = "parlando.core.stages, parlando.core.config, parlando.text.normalize, parlando.text.lexicon"
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
