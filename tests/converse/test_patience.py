"""Text models that hang or die: whoever waits is told, and no thread is left behind."""

from __future__ import annotations

import threading

import pytest

from parlando.converse.echo import Echo
from parlando.converse.patience import Patience, PatientModel
from parlando.converse.stages import Message
from parlando.core.errors import TextModelError
from talk_parts import DyingMind, HangingMind, Mind
from waiting import HANG_SECONDS, wait_until

ASKED = [Message("user", "What is the time?")]


def readers():
    return [thread for thread in threading.enumerate() if thread.name == "parlando-reply"]


def test_pieces_pass_as_they_are():
    assert list(PatientModel(Mind("It ", "is ", "noon.")).reply(ASKED)) == ["It ", "is ", "noon."]
    assert "".join(PatientModel(Echo()).reply(ASKED)).split() == ASKED[0].content.split()


@pytest.mark.parametrize(("pieces", "when"), [((), "a first word"), (("Well, ",), "more words")])
def test_a_model_that_hangs_is_given_up_and_let_go(pieces, when):
    mind = HangingMind(*pieces)
    heard = []
    patience = Patience(HANG_SECONDS, 0.05) if pieces else Patience(0.05, HANG_SECONDS)
    with pytest.raises(TextModelError, match=f"hangs: 0.05 s without {when}"):
        heard.extend(PatientModel(mind, patience).reply(ASKED))
    assert mind.left.wait(HANG_SECONDS)
    wait_until(lambda: not readers())


def test_a_model_that_dies_is_named_with_its_reason():
    heard = []
    with pytest.raises(TextModelError, match="died: RuntimeError: out of memory"):
        heard.extend(PatientModel(DyingMind("Well, ")).reply(ASKED))
    assert heard == ["Well, "]


def test_a_reply_is_cancelled_from_another_thread():
    mind = HangingMind("Well, ")
    reply = PatientModel(mind).reply(ASKED)
    pieces = iter(reply)
    assert next(pieces) == "Well, "
    threading.Thread(target=reply.cancel).start()
    assert list(pieces) == []
    assert mind.left.wait(HANG_SECONDS)


def test_leaving_the_loop_frees_a_writer_that_is_ahead():
    reply = PatientModel(Mind(*["word "] * 1000)).reply(ASKED)
    pieces = iter(reply)
    next(pieces)
    pieces.close()
    wait_until(lambda: not readers())


def test_an_endless_reply_ends():
    said = "".join(PatientModel(Mind(*["word "] * 1000), Patience(most_characters=50)).reply(ASKED))
    assert 50 <= len(said) <= 55
