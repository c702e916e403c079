"""The weights of the published models, summed up without memory, and the documents' table of them."""

from __future__ import annotations

import pytest

from parlando.evaluate.speed.published import (
    GIGABYTE,
    KINDS,
    LANGUAGE_MODELS,
    cosyvoice_parts,
    family_of,
    higgs_parts,
    memory_markdown,
    weight_bytes,
)


def total(parts):
    return sum(weight_bytes(parts).values()) / GIGABYTE


def test_the_published_models_in_int8_fit_their_budgets():
    assert total(higgs_parts("int8")) <= 7.5
    assert total(cosyvoice_parts("int8")) <= 1.2


@pytest.mark.parametrize("make", [higgs_parts, cosyvoice_parts])
def test_fewer_bits_take_less(make):
    lm = [weight_bytes(make(kind))["lm"] for kind in KINDS]
    assert lm[1] / lm[0] == pytest.approx(0.5, abs=0.01)
    assert lm[1] > lm[2]


def test_sizes_are_those_that_are_published():
    lm = weight_bytes(cosyvoice_parts(None))
    tied_head = 151_936 * 896  # which is the text table once more, and does not exist here
    assert lm["lm"] == 2 * 505_803_812
    assert lm["flow"] == 4 * 112_549_360
    assert tied_head < lm["lm"] / 2
    assert weight_bytes(higgs_parts(None))["lm"] / 2 == pytest.approx(5.77e9, rel=0.005)


def test_the_documents_table_is_what_the_command_prints(root):
    assert memory_markdown() in (root / "docs" / "models.md").read_text(encoding="utf-8")


def test_language_models_to_measure_have_a_family():
    configs = {name: make() for name, make in LANGUAGE_MODELS.items()}
    assert {name: family_of(config) for name, config in configs.items()} == {
        "cosyvoice2": "cosyvoice",
        "higgs-v2": "higgs",
    }
    assert all(config.context_length <= 8192 for config in configs.values())
