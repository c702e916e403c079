"""What every test may use: the repository's own files, read once."""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

# The same examples in every run, so that a change is judged by itself; `--hypothesis-profile explore` finds new ones.
settings.register_profile("steady", derandomize=True)
settings.register_profile("explore", print_blob=True)
settings.load_profile("steady")

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Source:
    """A module of the package: its dotted name, text and syntax tree."""

    path: Path
    module: str
    text: str
    tree: ast.Module


@pytest.fixture(autouse=True)
def subnormals() -> Iterator[None]:
    """Training flushes subnormal numbers in its whole process, where the next test runs too; Hypothesis wants them."""
    yield
    if torch := sys.modules.get("torch"):
        torch.set_flush_denormal(False)


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def sources() -> list[Source]:
    found = []
    for path in sorted((ROOT / "src" / "parlando").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        module = ".".join(path.relative_to(ROOT / "src").with_suffix("").parts)
        found.append(Source(path, module.removesuffix(".__init__"), text, ast.parse(text)))
    return found


@pytest.fixture(scope="session")
def tiny_model():
    """A Higgs model of random weights with the real text front end and two named voices."""
    from parlando.core.config import read_json
    from parlando.core.types import Voice
    from parlando.models.higgs.build import new_model
    from parlando.models.higgs.config import parse_higgs_config

    config = parse_higgs_config(read_json(ROOT / "tests" / "golden" / "tiny" / "config.json"))
    described = {"ada": "a mature American woman, calm and clear", "bob": "an American man, steady and warm"}
    return new_model(config, {name: Voice(name, text) for name, text in described.items()}, "cpu")


@pytest.fixture(scope="session")
def tiny_folder(tiny_model, tmp_path_factory) -> Path:
    """That model in a folder; copy it before changing anything."""
    from parlando.models.higgs.build import save_model

    return save_model(tiny_model, tmp_path_factory.mktemp("tiny"), "# Tiny\n\nRandom weights.\n\nLicence: CC0-1.0\n")


@pytest.fixture(scope="session")
def tiny_cosyvoice_folder(tmp_path_factory) -> Path:
    """A CosyVoice model of random weights in a folder; copy it before changing anything."""
    from cosyvoice_tiny import tiny_cosyvoice
    from parlando.models.cosyvoice.build import save_model

    return save_model(tiny_cosyvoice(), tmp_path_factory.mktemp("cosy"), "# Tiny\n\nRandom.\n\nLicence: CC0-1.0\n")
