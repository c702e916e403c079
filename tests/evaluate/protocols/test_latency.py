from __future__ import annotations

from fake_judges import ToneSystem
from parlando.evaluate.protocols.latency import WARM_UP, run_latency
from parlando.evaluate.suite.items import Item, read_seed_tts
from parlando.evaluate.suite.systems import Said


class Slow(ToneSystem):
    """Its first items take long, as a model's that warms up."""

    def say(self, item: Item, seed: int) -> Said:
        said = super().say(item, seed)
        return Said(said.clip, 9.0 if len(self.asked) <= WARM_UP else 0.5, 9.0 if len(self.asked) <= WARM_UP else 0.1)


def test_the_median_leaves_the_first_ones_out(run, listed, figures):
    items = listed(*(Item(str(n), "One.") for n in range(8)))
    report = run_latency(run, [Slow("s", lambda item: 200.0)], items, "here")
    found = figures(report.systems[0].figures)
    assert found["first audio, median"].value == 100.0
    assert found["first audio, median"].count == 8 - WARM_UP
    assert found["first audio, p95"].value == 100.0
    assert found["whole utterance, median"].value == 500.0
    assert found["RTF"].value == 0.5


def test_the_packaged_list_has_50_texts():
    found = read_seed_tts("latency_en.lst", "en")
    assert len({item.text for item in found.items}) == 50
