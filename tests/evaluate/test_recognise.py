from __future__ import annotations

import numpy as np
import pytest

from parlando.audio.clip import Clip
from parlando.core.errors import MissingDependencyError
from parlando.evaluate.recognise import _judge, hear, recognise
from parlando.evaluate.references import taught
from parlando.evaluate.wer import error_rates

SENTENCES = ["He turned sharply and faced Gregson across the table.", "The flush was gone from her face."]


@pytest.mark.slow
def test_a_teacher_is_heard_by_two_processes_as_by_one():
    try:
        clips = taught("slt", SENTENCES)
    except MissingDependencyError:
        pytest.skip("Flite is not on this machine")
    alone = recognise(clips, workers=1)
    assert error_rates(SENTENCES, alone).wer < 0.4
    assert recognise(clips, workers=2) == alone


@pytest.mark.slow
def test_silence_holds_few_words_and_any_rate_is_taken():
    _judge.cache_clear()  # one that has heard others before hears more: its cepstral mean is theirs
    assert len(hear(Clip(np.zeros(11025, np.float32), 22050)).split()) <= 1


def test_no_clips_are_no_words():
    assert recognise([]) == []
