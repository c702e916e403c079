"""What computes Kokoro: onnxruntime with the published int8 graph, or OpenVINO with the float parts made of it.

One process with one thread for each core costs the least: two streams in one process need a fifth more processor time
for the same audio, and one stream with two threads a third more. A process takes two gigabytes, and what
OpenVINO keeps grows with the lengths that it has seen: four after 300 sentences.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from parlando.core.errors import ConfigError, nearest
from parlando.data.teachers.kokoro import graph
from parlando.data.teachers.kokoro.install import Files
from parlando.data.teachers.kokoro.packages import require

PARTS_FOLDER = "parts-2"  # raise the number when `graph` makes other parts
PRECISION = {"front": "f32", "body": "bf16", "back": "f32"}


@dataclass(frozen=True)
class Uttered:
    """What the graph makes of tokens: samples, units of each token, and two pitch and energy values for each unit."""

    samples: np.ndarray
    units: np.ndarray
    hertz: np.ndarray
    energy: np.ndarray


class Backend(Protocol):
    """A loaded graph."""

    def utter(self, tokens: np.ndarray, style: np.ndarray, tempo: float) -> Uttered:
        """Say tokens (int64 [1, token]) in a style (float32 [1, width])."""
        ...


class OnnxRuntime:
    """The published graph, one thread."""

    def __init__(self, files: Files) -> None:
        runtime, onnx = require("onnxruntime"), require("onnx")
        options = runtime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        model = graph.with_tracks(graph.with_true_phase(onnx.load(files.model))).SerializeToString()
        self._session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def utter(self, tokens: np.ndarray, style: np.ndarray, tempo: float) -> Uttered:
        """See `Backend`."""
        given = {"tokens": tokens, "style": style, "speed": np.array([tempo], np.float32)}
        return _uttered(self._session.run(["audio", *graph.TRACKS], given))


class OpenVino:
    """The three float parts, one thread, the middle one in bfloat16."""

    def __init__(self, files: Files) -> None:
        core = require("openvino").Core()
        parts = prepare_parts(files)
        self._run = {name: core.compile_model(path, "CPU", _settings(name)) for name, path in parts.items()}

    def utter(self, tokens: np.ndarray, style: np.ndarray, tempo: float) -> Uttered:
        """See `Backend`."""
        front = self._run["front"]({"tokens": tokens, "style": style, "speed": np.array([tempo], np.float32)})
        features, told, source, *tracks = (front[place] for place in range(len(graph.CUTS["front"][1])))
        spectrum = self._run["body"]([features, told, source])[0]
        return _uttered([self._run["back"]([spectrum])[0], *tracks])


def _uttered(outputs: list[np.ndarray]) -> Uttered:
    samples, units, hertz, energy = (np.array(output).ravel() for output in outputs)
    return Uttered(samples, units.astype(np.int64), hertz, energy)


def _settings(part: str) -> dict[str, Any]:
    return {
        "INFERENCE_NUM_THREADS": 1,
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": PRECISION[part],
        "ENABLE_CPU_PINNING": False,  # else the processes of all cores share the first one
    }


def prepare_parts(files: Files) -> Mapping[str, Path]:
    """The files of the float parts, made from the published graph where they are not there yet."""
    folder = files.home / PARTS_FOLDER
    paths = {name: folder / f"{name}.onnx" for name in graph.CUTS}
    if not all(path.is_file() for path in paths.values()):
        onnx = require("onnx")
        folder.mkdir(parents=True, exist_ok=True)
        for name, part in graph.float_parts(onnx.load(files.model)).items():
            partial = folder / f"{name}.{os.getpid()}.partial"
            onnx.save(part, partial)
            partial.replace(paths[name])
    return paths


BACKENDS: Mapping[str, Callable[[Files], Backend]] = {"openvino": OpenVino, "onnxruntime": OnnxRuntime}
AUTO = "auto"


def choose_backend(name: str) -> str:
    """The backend to use: the one that is asked for, or the fastest one that there is.

    Raises:
        ConfigError: there is no backend of that name.
    """
    if name == AUTO:
        return "openvino" if _has_bfloat16() else "onnxruntime"
    if name not in BACKENDS:
        known = (AUTO, *BACKENDS)
        raise ConfigError(f"no backend named '{name}'; there are: {', '.join(known)}.{nearest(name, known)}")
    return name


def _has_bfloat16() -> bool:
    """Whether OpenVINO is installed and the processor multiplies bfloat16."""
    try:
        from openvino import Core
    except ImportError:
        return False
    return "BF16" in Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
