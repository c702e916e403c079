"""Listening: pieces of long recordings, the grammar kept by any weights, and transcripts that were heard."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_understanding import TINY

from parlando.audio.clip import Clip
from parlando.core.errors import AudioError
from parlando.models.understanding.listener import Listener, Piece, _edges, joined
from parlando.models.understanding.network import BLANK, UnderstandingNetwork
from parlando.models.understanding.tokens import encode
from parlando.text.answer import MOST_SPEAKERS, Answer, HeardSpeaker, Turn

RATE = 16_000


@pytest.fixture
def listener():
    torch.manual_seed(0)
    return Listener(UnderstandingNetwork(TINY), beams=2)


def noise(seconds, seed=0):
    return (0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))).astype(np.float32)


def test_long_recordings_are_cut_where_it_is_quiet():
    wave = noise(30)
    wave[12 * RATE : 12 * RATE + RATE // 5] *= 0.001
    edges = list(_edges(wave, RATE, 14.0))
    assert edges[0] == 0
    assert edges[-1] == len(wave)
    assert 12.0 <= edges[1] / RATE <= 12.2
    assert max(np.diff(edges)) <= 14 * RATE
    assert list(_edges(wave[:RATE], RATE, 14.0)) == [0, RATE]


def test_pieces_have_times_and_any_weights_answer(listener):
    found = listener.pieces(Clip(np.tile(noise(1), 9), RATE))
    assert [found[0].start_seconds, found[-1].end_seconds] == [0.0, 9.0]
    assert len(found) == 2  # of 7.9 s that the tiny network hears at once
    assert all(len(piece.answer.speakers) <= MOST_SPEAKERS for piece in found)
    assert listener.pieces(Clip(np.zeros(RATE, np.float32), RATE))[0].end_seconds == 1.0


def test_words_are_those_of_ctc_and_the_header_is_the_language_models(listener, monkeypatch):
    network = listener.network
    said = encode("<1>hi.<2>yes")

    def symbols(heard):
        sure = torch.full((1, 30, BLANK + 1), -20.0)
        sure[0, :, BLANK] = 0.0
        for place, symbol in enumerate(said):
            sure[0, 2 * place + 1] = -20.0
            sure[0, 2 * place + 1, symbol] = 0.0
        return heard._replace(symbols=sure, num_slots=torch.tensor([30]))

    plain = network.hear
    monkeypatch.setattr(network, "hear", lambda features, mels: symbols(plain(features, mels)))
    header = encode("<place:hall><speaker:feminine,low><speaker:masculine,high>")
    with torch.no_grad():
        network.text_lm_head.weight.zero_()
    monkeypatch.setattr(listener, "_header", lambda heard: [*header, encode("<1>")[0]])
    answer = listener.understand(Clip(noise(0.6), RATE))
    assert answer.turns == (Turn(0, "hi."), Turn(1, "yes"))
    assert answer.speakers == (HeardSpeaker("feminine", "low"), HeardSpeaker("masculine", "high"))
    assert answer.place == "hall"


def test_the_same_clip_is_understood_the_same_at_any_level(listener):
    wave = noise(0.5)
    assert listener.understand(Clip(wave, RATE)) == listener.understand(Clip(wave * np.float32(0.25), RATE))


def test_too_short_is_told(listener):
    with pytest.raises(AudioError, match="too short to be understood"):
        listener.pieces(Clip(noise(0.02), RATE))


def test_pieces_are_joined():
    one = Answer("hall", ("bell",), None, (HeardSpeaker(),), (Turn(0, "a"),))
    two = Answer("room", ("music",), None, (HeardSpeaker(), HeardSpeaker("feminine")), (Turn(1, "b"),))
    both = joined([one, two])
    assert (both.place, both.text, len(both.speakers)) == ("hall", "a b", 2)
    assert both.events == ("music", "bell")
    assert Piece(0, 1, both).answer == both
