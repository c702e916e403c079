"""The rooms of `train/`: nothing in them asks of which family something is, and the registry knows them all."""

from __future__ import annotations

import ast

import pytest

from parlando.models.registry import FAMILIES
from parlando.train.registry import ASSEMBLIES, EMBEDDERS, ENCODERS, SOURCES, TRAININGS, load

MAKERS = [maker for training in TRAININGS.values() for maker in training.makers.values()] + [*ASSEMBLIES.values()]


def of_families(tree):
    """Classes that a file imports from a family's folders."""
    rooms = tuple(f"parlando.{room}.{family}" for room in ("models", "train") for family in FAMILIES)
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    theirs = [alias for node in imports if f"{node.module}.".startswith(rooms) for alias in node.names]
    return {alias.asname or alias.name for alias in theirs if alias.name[0].isupper() and not alias.name.isupper()}


def questions(tree):
    """Lines that ask for a family: by the class of something, or by a family's name in a comparison or a case."""
    classes = of_families(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("isinstance", "issubclass"):
            asked = {name.id for name in ast.walk(node.args[1]) if isinstance(name, ast.Name)}
            if asked & classes:
                yield node.lineno
        elif isinstance(node, ast.Compare | ast.match_case):
            parts = list(ast.walk(node.pattern if isinstance(node, ast.match_case) else node))
            named = any(isinstance(part, ast.Constant) and part.value in FAMILIES for part in parts)
            typed = any(isinstance(part, ast.Name) and part.id in classes for part in parts)
            if named or typed:
                yield getattr(node, "lineno", node.pattern.lineno if isinstance(node, ast.match_case) else 0)


def test_nothing_asks_of_which_family_something_is(sources):
    mine = [source for source in sources if source.module.startswith("parlando.train")]
    assert len(mine) > 40
    assert [f"{source.module}:{line}" for source in mine for line in questions(source.tree)] == []


@pytest.mark.parametrize(
    "line",
    [
        "if isinstance(recipe, CosyVoiceLMRecipe): pass",
        'x = 1 if recipe.family == "higgs" else 2',
        'y = name in ("cosyvoice", "other")',
        'match family:\n    case "higgs": pass',
        "z = type(recipe) is CosyVoiceLMRecipe",
    ],
)
def test_a_question_is_seen(line):
    program = f"from parlando.train.cosyvoice.lm_recipe import CosyVoiceLMRecipe\n{line}\n"
    assert list(questions(ast.parse(program)))


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.make.rpartition(".")[2])
def test_what_the_registry_names_is_there(maker):
    assert callable(load(maker.recipe))
    assert callable(load(maker.make))
    assert {*maker.needs, *maker.takes} <= set(SOURCES)


def test_encoders_are_there():
    assert all(callable(load(place)) for place in (*ENCODERS, *EMBEDDERS))


def test_every_family_trains_a_language_model_and_becomes_a_model():
    assert set(TRAININGS["lm"].makers) == set(ASSEMBLIES) == set(FAMILIES)
