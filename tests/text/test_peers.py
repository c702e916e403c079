"""Sentences that other text front ends (wetext, NeMo) read as this one does, where they are installed."""

from __future__ import annotations

import re

import pytest

from parlando.text.normalize import normalize

SENTENCES = (
    "It weighs 5 kg.", "It costs $20.", "The 3rd of May", "Pay £5 now.", "He ran 10 km.", "It is 25% done.",
    "Add 200 g of sugar.", "3.14 is pi.", "The speed is 60 km/h.", "He has 1,000,000 fans.", "21st place",
)  # fmt: skip


def words(text):
    return [word for word in re.findall(r"[a-z']+", text.lower()) if word != "and"]


def test_wetext_reads_them_alike():
    peer = pytest.importorskip("wetext").Normalizer(lang="en", operator="tn")
    assert [words(normalize(text)) for text in SENTENCES] == [words(peer.normalize(text)) for text in SENTENCES]


@pytest.mark.slow
def test_nemo_reads_them_alike():
    module = pytest.importorskip("nemo_text_processing.text_normalization.normalize")
    peer = module.Normalizer(input_case="cased", lang="en")
    assert [words(normalize(text)) for text in SENTENCES] == [words(peer.normalize(text)) for text in SENTENCES]
