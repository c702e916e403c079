"""Joined transcripts: alignment into slots, votes with confidence, ties, silence, outliers."""

from __future__ import annotations

import pytest

from parlando.annotate.rover import Voter, VoteSettings, build_network, join, without_outliers


def voter(text, weight=1.0, sure=0.9):
    words = text.split()
    return Voter(words, [sure] * len(words), weight)


def test_each_recognisers_own_error_is_outvoted():
    joined = join([voter("the cat sad on the mat"), voter("the cat sat on mat"), voter("a cat sat on the mat")])
    assert joined.words == ("the", "cat", "sat", "on", "the", "mat")
    assert joined.shares == pytest.approx((2 / 3, 1, 2 / 3, 1, 2 / 3, 1))
    assert joined.agreement == pytest.approx(5 / 6)


def test_words_of_one_alone_are_left_out_and_count_against_agreement():
    joined = join([voter("good morning"), voter("good fine morning"), voter("good morning")])
    assert joined.words == ("good", "morning")
    assert joined.agreement == pytest.approx((1 + 2 / 3 + 1) / 3)


def test_two_inserted_words_in_different_places_stay_apart():
    network = build_network([voter("a b c"), voter("x a b c"), voter("a b c y"), voter("x a b c y")], 0.5)
    assert [sorted({word for word, _ in slot}) for slot in network] == [["", "x"], ["a"], ["b"], ["c"], ["", "y"]]


def test_of_two_the_surer_is_believed_and_in_a_tie_the_first():
    assert join([voter("wet", sure=0.3), voter("red", sure=0.9)]).words == ("red",)
    assert join([voter("wet"), voter("red")]).words == ("wet",)
    assert join([voter("wet", 0.5, 0.3), voter("red", 1.0, 0.3)]).words == ("red",)


def test_a_doubtful_word_loses_to_silence():
    doubtful = [voter("uh yes", sure=0.1), voter("yes", sure=0.9)]
    assert join(doubtful, VoteSettings(silent_confidence=0.5)).words == ("yes",)
    assert join(doubtful, VoteSettings(silent_confidence=0.0)).words == ("uh", "yes")


def test_nothing_heard_is_agreement_on_nothing():
    joined = join([voter(""), voter("")])
    assert (joined.words, joined.agreement) == ((), 1.0)
    with pytest.raises(ValueError, match="nobody votes"):
        join([])


def test_a_recogniser_far_from_all_others_is_not_asked():
    good, near, far = voter("we met at noon"), voter("we met at new"), voter("purple seas and ships go by forever")
    assert without_outliers([good, near, far]) == [good, near]
    assert without_outliers([good, far]) == [good, far]
    assert without_outliers([good, near, voter("he met at noon")])[-1].words[0] == "he"
