"""Items of a tiny list, and the judges that need no model."""

from __future__ import annotations

import pytest

from fake_judges import LoudMos, PitchVoice
from parlando.evaluate.protocols.shared import Judges
from parlando.evaluate.suite.items import ItemList
from parlando.evaluate.suite.run import Run


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path / "run")


@pytest.fixture
def listed():
    return lambda *items: ItemList("tiny", tuple(items), (), "0" * 64)


@pytest.fixture
def judged():
    return lambda asr=None, **more: Judges(**{"asr": asr, "speaker": PitchVoice(), "mos": LoudMos(), **more})


@pytest.fixture
def figures():
    """The figures of a system or a group by name."""
    return lambda several: {figure.name: figure for figure in several}
