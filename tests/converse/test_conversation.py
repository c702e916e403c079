"""A whole conversation at one microphone and one loudspeaker, with a voice of plain Python."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from parlando.converse.conversation import CUT_OFF, Conversation
from parlando.converse.devices import PlaybackQueue, Recording
from parlando.converse.manner import Manner, Manners
from parlando.converse.partner import Partner, Phrases
from parlando.converse.patience import Patience, PatientModel
from parlando.converse.turns import TurnTaker
from parlando.core.errors import CancelledError, GenerationError, TextModelError
from parlando.result import Chunk
from talk_parts import DyingMind, Ears, HangingMind, Mind, question, silence, vowels
from waiting import HANG_SECONDS

RATE = 24_000
MANNERS = Manners({"neutral": Manner(), "angry": Manner(instruction="Speak calmly.", speed=0.9, note="Be brief.")})


class Feelings:
    def __init__(self, label):
        self.label = label

    def feel(self, clip):
        return self


class Voice:
    """Says a tenth of a second for every word; ``manners`` are those it was asked for."""

    def __init__(self, failure=None):
        self.manners, self.failure = [], failure

    def __call__(self, words, manner, cancellation):
        self.manners.append(manner)
        for index, word in enumerate("".join(words).split()):
            if self.failure is not None:
                raise self.failure
            if cancellation.cancelled:
                raise CancelledError("cancelled")
            yield Chunk(np.full(RATE // 10, 0.1, np.float32), RATE, index, word)


def talk(samples, *, mind=None, ears=None, voice=None, patience=None, feelings=None):
    """What is said to these samples, and the exchanges."""
    usual = patience or Patience(HANG_SECONDS, HANG_SECONDS)
    partner = Partner(
        PatientModel(mind or Mind(), usual), ears or Ears(), feelings, MANNERS, Phrases("What did you say?", "Sorry.")
    )
    sink, told = Recording(RATE), []
    conversation = Conversation(partner, voice or Voice(), sink, TurnTaker(RATE), told.append)
    for at in range(0, len(samples), 2400):
        conversation.hear(samples[at : at + 2400])
        conversation.wait()
    conversation.finish()
    return sink, told, conversation


def test_a_question_is_answered_and_remembered():
    mind = Mind("It is ", "noon.")
    sink, (exchange,), conversation = talk(question(1.0), mind=mind)
    assert (exchange.question, exchange.answer, exchange.trouble) == ("What is the time?", "It is noon.", "")
    assert len(sink.samples) == 3 * RATE // 10
    assert [(m.role, m.content) for m in conversation.history] == [
        ("user", "What is the time?"),
        ("assistant", "It is noon."),
    ]
    assert mind.asked[0][0].role == "system"


def test_the_second_question_comes_with_the_first():
    mind = Mind("Noon.")
    talk(np.concatenate([question(0.8), question(0.8)]), mind=mind, ears=Ears("The time?", "And where?"))
    assert [m.content for m in mind.asked[1]][1:] == ["The time?", "Noon.", "And where?"]


def test_the_manner_follows_what_was_felt():
    mind, voice = Mind(), Voice()
    _, (exchange,), _ = talk(question(0.8), mind=mind, voice=voice, feelings=Feelings("angry"))
    assert exchange.feeling == "angry"
    assert voice.manners == [MANNERS.by_emotion["angry"]]
    assert mind.asked[0][0].content.endswith("Be brief.")


def test_a_feeling_that_cannot_be_heard_costs_no_answer():
    class Broken:
        def feel(self, clip):
            raise RuntimeError("no memory")

    _, (exchange,), _ = talk(question(0.8), feelings=Broken())
    assert (exchange.answer, exchange.feeling) == ("It is noon.", None)


def test_a_turn_that_the_end_of_the_recording_cuts_off_is_answered():
    _, (exchange,), _ = talk(np.concatenate([silence(0.6), vowels(0.8)]))
    assert exchange.answer == "It is noon."


def test_silence_and_noise_are_not_answered():
    noise = np.random.default_rng(0).normal(0, 0.1, 3 * RATE).astype(np.float32)
    sink, told, _ = talk(np.concatenate([silence(2.0), noise]))
    assert (len(sink.samples), told) == (0, [])


def test_what_is_not_understood_is_asked_for_once():
    _, told, conversation = talk(np.concatenate([question(0.8), question(0.8)]), ears=Ears(""))
    assert [each.answer for each in told] == ["What did you say?"]
    assert conversation.history == []


@pytest.mark.parametrize(
    ("mind", "trouble", "said"),
    [
        (DyingMind(), "died: RuntimeError: out of memory", "Sorry."),
        (DyingMind("Well, "), "died", "Well, . Sorry."),
        (Mind(" "), "wrote nothing", "Sorry."),
        (HangingMind(), "hangs: 0.05 s without a first word", "Sorry."),
    ],
    ids=["dead", "dies", "wordless", "hangs"],
)
def test_a_text_model_that_fails_is_heard(mind, trouble, said):
    sink, (exchange,), _ = talk(
        question(0.8), mind=mind, patience=Patience(0.05 if "hangs" in trouble else HANG_SECONDS)
    )
    assert trouble in exchange.trouble
    assert exchange.answer.split() == said.split()
    assert len(sink.samples) > 0
    assert not [thread for thread in threading.enumerate() if thread.name == "parlando-answer"]


def test_a_recogniser_that_fails_is_heard():
    _, (exchange,), _ = talk(question(0.8), ears=Ears(failure=TextModelError("no ears")))
    assert (exchange.answer, exchange.trouble) == ("Sorry.", "no ears")


def test_a_voice_that_fails_is_an_alarm():
    sink, (exchange,), _ = talk(question(0.8), voice=Voice(GenerationError("no voice")))
    assert exchange.trouble == "no voice"
    assert len(sink.samples) == RATE // 2
    assert 0.1 < np.abs(sink.samples).max() <= 0.2


def test_talking_over_an_answer_silences_it_within_200_ms_of_sound():
    sink = PlaybackQueue(RATE)
    told, mind = [], Mind(*["word "] * 1000)
    partner = Partner(PatientModel(mind), Ears(), manners=MANNERS)
    conversation = Conversation(partner, Voice(), sink, TurnTaker(RATE), told.append)
    conversation.answer("Go on.")
    assert np.abs(wait_for_sound(sink)).max() > 0
    spoken, heard = vowels(1.0), 0
    for at in range(0, len(spoken), 480):
        conversation.hear(spoken[at : at + 480])
        heard += 480
        if not sink.take(480).any():
            break
    conversation.wait()
    assert heard <= 0.2 * RATE
    assert not sink.take(RATE).any(), "nothing of it comes later"
    assert told[0].interrupted
    assert told[0].answer.endswith(CUT_OFF)
    assert conversation.history[-1].content == told[0].answer


def wait_for_sound(sink):
    while not (samples := sink.take(480)).any():
        pass
    return samples


def test_a_loudspeaker_takes_half_a_second_ahead_and_drops_it():
    sink = PlaybackQueue(1000)
    sink.write(np.ones(500, np.float32), lambda: False)
    late = threading.Thread(target=sink.write, args=(np.ones(10, np.float32), lambda: False))
    late.start()
    np.testing.assert_array_equal(sink.take(600)[:500], 1.0)
    late.join(HANG_SECONDS)
    assert sink.take(20).sum() <= 10
    sink.write(np.ones(900, np.float32), lambda: False)
    sink.drop()
    assert not sink.take(900).any()
    sink.write(np.ones(10, np.float32), lambda: True)
    assert not sink.take(10).any()
    sink.drain()
