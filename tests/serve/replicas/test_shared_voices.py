"""One folder of voices for several servers."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from parlando.audio.clip import Clip
from parlando.core.errors import VoiceNotFoundError
from parlando.serve.voicestore import VoiceCard, VoiceStore

CLIP = Clip(np.zeros(2400, np.float32), 24_000)


def card(name, owner=None):
    return VoiceCard(name, 1, "Hello.", "mine", "0" * 64, 0.1, 0.0, owner=owner)


@pytest.mark.parametrize("owner", [None, "ann"])
def test_what_one_server_keeps_or_forgets_the_other_knows(tmp_path, owner):
    one, other = VoiceStore(tmp_path / "voices", 10), VoiceStore(tmp_path / "voices", 10)
    one.add(card("ada", owner), CLIP)
    assert other.card("ada", owner).version == 1
    other.add(card("ada", owner), CLIP)
    assert one.card("ada", owner).version == 2
    one.remove("ada", owner)
    assert other.card("ada", owner) is None
    with pytest.raises(VoiceNotFoundError):
        other.remove("ada", owner)


def test_a_folder_that_cannot_be_read_again_leaves_what_was_known(tmp_path, caplog):
    one, other = VoiceStore(tmp_path, 10), VoiceStore(tmp_path, 10)
    one.add(card("ada"), CLIP)
    assert other.card("ada", None)
    (tmp_path / "ada" / "1" / "voice.json").write_text("{")
    one._note_change()
    with caplog.at_level(logging.WARNING, "parlando.serve"):
        assert other.card("ada", None).version == 1
    assert "not read again" in caplog.text
