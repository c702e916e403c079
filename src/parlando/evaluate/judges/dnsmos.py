"""DNSMOS P.835 (Reddy et al., 2022), by its published ONNX file: marks of the signal, the background, and overall."""

from __future__ import annotations

from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from parlando.audio.clip import Clip
from parlando.core.errors import FileMissingError, MissingDependencyError
from parlando.evaluate.judges.base import JUDGE_RATE, Card, at_judge_rate
from parlando.evaluate.judges.install import INSTALL_JUDGES
from parlando.evaluate.optional import require

WINDOW_SAMPLES = round(9.01 * JUDGE_RATE)
# The published corrections of the raw marks: coefficients of x², x and 1.
CORRECTIONS = {
    "signal": (-0.08397278, 1.22083953, 0.0052439),
    "background": (-0.13166888, 1.60915514, -0.39604546),
    "mos": (-0.06766283, 1.11546468, 0.04602535),
}
PACKAGE, PACKAGED_FILE = "speechmos", Path("dnsmos_models", "sig_bak_ovr.onnx")


class DnsMos:
    """A predictor of opinion scores (`judges.base.Mos`); ``path`` is ``sig_bak_ovr.onnx``, else the packaged one."""

    def __init__(self, path: str | None = None) -> None:
        """Find its file.

        Raises:
            MissingDependencyError: onnxruntime, or without a path the package that holds the file, is not installed.
            FileMissingError: there is no such file.
        """
        self._runtime = require("onnxruntime", INSTALL_JUDGES)
        self._path = _packaged() if path is None else Path(path)
        if not self._path.is_file():
            raise FileMissingError(self._path, "DNSMOS model (sig_bak_ovr.onnx)")
        self.card = Card("dnsmos", "P.835", {"file": self._path.name})

    @cached_property
    def _session(self) -> Any:
        return self._runtime.InferenceSession(str(self._path), providers=["CPUExecutionProvider"])

    def rate(self, clip: Clip) -> dict[str, float]:
        """The marks of a clip: the mean over windows of 9 s, one a second; a short clip is repeated to fill one."""
        wave = at_judge_rate(clip)
        while 0 < len(wave) < WINDOW_SAMPLES:
            wave = np.concatenate((wave, wave))
        starts = range(0, max(len(wave) - WINDOW_SAMPLES, 0) + 1, JUDGE_RATE)
        raw = np.mean([self._window(wave[start : start + WINDOW_SAMPLES]) for start in starts], axis=0)
        return dict(zip(CORRECTIONS, map(float, raw), strict=True))

    def _window(self, window: np.ndarray) -> list[float]:
        name = self._session.get_inputs()[0].name
        marks = self._session.run(None, {name: window[None].astype(np.float32)})[0][0]
        return [float(np.polyval(curve, mark)) for curve, mark in zip(CORRECTIONS.values(), marks, strict=True)]


def _packaged() -> Path:
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise MissingDependencyError(PACKAGE, INSTALL_JUDGES)
    return Path(spec.origin).parent / PACKAGED_FILE
