"""Imports point down: the layers of docs/architecture.md, read from the syntax trees."""

from __future__ import annotations

import ast
from itertools import pairwise

LAYERS = [
    {"__main__"},
    {"cli"},
    {"serve", "train", "evaluate", "annotate"},
    {"audiobook", "converse"},
    {"higgs", "cosyvoice"},
    {"speech"},
    {"request", "result", "words"},
    {"engine", "models"},
    {"data", "nn"},
    {"audio", "text"},
    {"core"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def breaches(importer, names):
    room = importer.split(".")[1]
    for name in names:
        parts = name.split(".")
        inside = parts[0] == "parlando" and len(parts) > 1 and parts[1] != room
        if inside and LEVEL.get(parts[1], -1) <= LEVEL[room]:
            yield f"{importer} imports {name}"


def test_every_module_stands_in_a_layer(sources):
    assert {s.module.split(".")[1] for s in sources if "." in s.module} <= set(LEVEL)


def test_imports_point_down(sources):
    assert [b for s in sources if "." in s.module for b in breaches(s.module, imported(s.tree))] == []


def test_a_breach_is_seen_between_every_two_layers():
    for upper, lower in pairwise(LAYERS):
        for high, low in ((h, w) for h in upper for w in lower):
            assert list(breaches(f"parlando.{low}.a", [f"parlando.{high}.b"]))
            assert not list(breaches(f"parlando.{high}.a", [f"parlando.{low}.b"]))
