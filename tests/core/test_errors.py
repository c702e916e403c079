"""The tree of errors is the one drawn in its docstring, and messages say what to do."""

from __future__ import annotations

import pickle
import re

import pytest

from parlando.core import errors


def _drawn_tree() -> dict[str, str]:
    """Parents by name, read from the drawing: a deeper branch belongs to the last shallower one."""
    parents, path = {}, ["ParlandoError"]
    for branch in re.finditer(r"^([\u2502\s]*)[\u251c\u2514]\u2500\u2500 (\w+)", errors.__doc__ or "", re.MULTILINE):
        depth = len(branch[1].replace("\n", "")) // 4 + 1
        parents[branch[2]] = path[depth - 1]
        path[depth:] = [branch[2]]
    return parents


def test_the_tree_is_as_drawn() -> None:
    actual = {
        kind.__name__: kind.__base__.__name__
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.ParlandoError) and kind.__base__ is not Exception
    }
    assert _drawn_tree() == actual


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            errors.VoiceNotFoundError("ana", ["bob", "anna"]),
            "no voice named 'ana'; there are: anna, bob. Did you mean 'anna'?",
        ),
        (errors.VoiceNotFoundError("x", []), "no voice named 'x'; there are: none."),
        (errors.FileMissingError("a/b.wav"), "no file at 'a/b.wav'; check the path"),
        (errors.FileMissingError("m", "model"), "no model at 'm'; check the path"),
        (
            errors.MissingDependencyError("av", "pip install av"),
            "'av' is needed for this and is not installed; run: pip install av",
        ),
    ],
)
def test_messages(error: errors.ParlandoError, message: str) -> None:
    assert str(error) == message


@pytest.mark.parametrize(
    "error", [errors.VoiceNotFoundError("ana", ["anna"]), errors.FileMissingError("a.wav"), errors.TextError("empty")]
)
def test_errors_cross_process_borders_with_their_message(error: errors.ParlandoError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy)) == (type(error), str(error))


def test_nearest_is_silent_when_nothing_is_close() -> None:
    assert errors.nearest("temprature", ["temperature", "top_k"]) == " Did you mean 'temperature'?"
    assert errors.nearest("zzz", ["temperature"]) == ""
