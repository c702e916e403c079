"""What every test may use: the repository's own files, read once."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Source:
    """A module of the package: its dotted name, text and syntax tree."""

    path: Path
    module: str
    text: str
    tree: ast.Module


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
