"""The promises between stages are structural: a class keeps one by its shape, and core needs no torch."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Sequence

import numpy as np
from typing_extensions import get_protocol_members

from parlando.core.stages import FrameSampler, Model, PromptBuilder, TokenLM, WaveDecoder, WaveStream
from parlando.core.types import Frame, SamplingOptions


class Countdown:
    """Frames 3, 2, 1, then the end."""

    def __init__(self) -> None:
        self.left = 3
        self.ended = False

    def next(self, logits: object) -> Frame | None:
        self.left -= 1
        self.ended = self.left <= 0
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


def lacks(made: object, promise: type) -> list[str]:
    """What a stage must have that an object has not, or that takes other arguments."""
    found = []
    for name in sorted(get_protocol_members(promise)):
        own, promised = getattr(made, name, None), getattr(promise, name, None)
        if not hasattr(made, name):
            found.append(name)
        elif inspect.isfunction(promised):
            wanted = list(inspect.signature(promised).parameters)[1:]
            if list(inspect.signature(own).parameters)[: len(wanted)] != wanted:
                found.append(f"{name}({', '.join(wanted)})")
    return found


def test_any_class_of_the_right_shape_is_a_stage() -> None:
    assert lacks(Countdown(), FrameSampler) == []
    assert lacks(Repeat(), WaveStream) == []
    assert _run(Countdown(), Repeat()).tolist() == [3, 3, 2, 2, 1, 1]


def test_a_class_of_another_shape_is_not() -> None:
    class Late(Repeat):
        def push(self, pieces: Sequence[Frame]) -> np.ndarray:  # type: ignore[override]
            raise AssertionError

    assert lacks(Countdown(), WaveStream) == ["frames_until", "push"]
    assert lacks(Late(), WaveStream) == ["push(frames, final)"]


def test_a_model_of_a_family_is_made_of_stages(tiny_model) -> None:
    prompt = tiny_model.prompts.build("Hello.", tiny_model.voices["ada"])
    made = {
        Model: tiny_model,
        PromptBuilder: tiny_model.prompts,
        TokenLM: tiny_model.lm,
        WaveDecoder: tiny_model.decoder,
        WaveStream: tiny_model.decoder.open(prompt),
        FrameSampler: tiny_model.new_sampler(prompt, SamplingOptions()),
    }
    assert {promise.__name__: lacks(stage, promise) for promise, stage in made.items() if lacks(stage, promise)} == {}


def test_core_and_text_import_without_torch() -> None:
    modules = "parlando.core.stages, parlando.core.config, parlando.text.normalize, parlando.text.lexicon"
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
