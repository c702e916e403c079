"""Small pieces: the limits of lines and arguments, with the offenders by name."""

from __future__ import annotations

import ast
import statistics

import pytest

LONGEST_FUNCTION, LONGEST_FILE, MOST_ARGUMENTS = 80, 500, 6
MEDIAN_FUNCTION, P90_FUNCTION = 10, 40


@pytest.fixture(scope="module")
def functions(sources):
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [(f"{s.module}.{node.name}", node) for s in sources for node in ast.walk(s.tree) if isinstance(node, kinds)]


def lines(node):
    return node.end_lineno - node.lineno + 1


def arguments(node):
    given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return [a for a in given if a.arg not in {"self", "cls"}]


def is_published(name):
    """The façade keeps the argument lists that others published."""
    return name.startswith(("parlando.higgs", "parlando.cosyvoice"))


def test_functions_have_at_most_80_lines(functions):
    assert [f"{name}: {lines(node)}" for name, node in functions if lines(node) > LONGEST_FUNCTION] == []


def test_functions_have_median_10_and_p90_40_lines(functions):
    sizes = [lines(node) for _, node in functions]
    assert statistics.median(sizes) <= MEDIAN_FUNCTION
    assert statistics.quantiles(sizes, n=10)[-1] <= P90_FUNCTION


def test_functions_have_at_most_6_arguments(functions):
    crowded = [
        f"{name}: {len(arguments(node))}"
        for name, node in functions
        if len(arguments(node)) > MOST_ARGUMENTS and not is_published(name)
    ]
    assert crowded == []


def test_files_have_at_most_500_lines(sources):
    counts = {s.module: s.text.count("\n") for s in sources}
    assert {module: n for module, n in counts.items() if n > LONGEST_FILE} == {}
