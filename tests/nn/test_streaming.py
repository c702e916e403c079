"""Layers over pieces against torch's own over the whole, and the transform against torch's."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from parlando.nn.snake import FlatSnake, Snake
from parlando.nn.stft import CenteredSTFT
from parlando.nn.streaming import (
    Carry,
    StreamedConv1d,
    StreamedConvTranspose1d,
    align,
    joined,
    overlap_add,
    reflect_start,
)

LENGTH = 60
CUTS = st.lists(st.integers(0, LENGTH), max_size=6).map(lambda cuts: [0, *sorted(cuts), LENGTH])


def stream(layer, whole, cuts):
    """The layer's outputs over the pieces between cuts, joined."""
    kept, outputs = (), []
    for start, end in pairwise(cuts):
        carry = Carry(kept, final=len(outputs) == len(cuts) - 2)
        outputs.append(layer(whole[..., start:end], carry))
        kept = carry.kept
    return torch.cat(outputs, dim=-1)


@settings(max_examples=15, deadline=None)
@given(CUTS, st.sampled_from([(1, 1, 1, 0), (7, 1, 1, 3), (3, 1, 5, 5), (6, 3, 1, 1), (30, 15, 1, 7)]))
def test_a_convolution_over_pieces_is_the_convolution(cuts, geometry):
    kernel, stride, dilation, padding = geometry
    layer = StreamedConv1d(2, 3, kernel, stride, padding, dilation)
    whole = torch.randn(2, 2, LENGTH)
    with torch.no_grad():
        assert torch.allclose(stream(layer, whole, cuts), nn.Conv1d.forward(layer, whole), atol=1e-6)


@settings(max_examples=15, deadline=None)
@given(CUTS, st.sampled_from([(16, 8), (11, 5), (7, 3), (4, 2)]), st.booleans())
def test_a_transposed_convolution_over_pieces_is_the_convolution(cuts, geometry, bias):
    kernel, stride = geometry
    layer = StreamedConvTranspose1d(2, 3, kernel, stride, padding=(kernel - stride) // 2, bias=bias)
    whole = torch.randn(2, 2, LENGTH)
    with torch.no_grad():
        assert torch.allclose(stream(layer, whole, cuts), nn.ConvTranspose1d.forward(layer, whole), atol=1e-6)


@settings(max_examples=15, deadline=None)
@given(CUTS)
def test_a_reflected_start_over_pieces_is_the_padding(cuts):
    whole = torch.randn(2, 2, LENGTH)
    assert torch.equal(
        stream(lambda piece, carry: reflect_start(piece, 8, carry), whole, cuts),
        functional.pad(whole, (8, 0), "reflect"),
    )


@settings(max_examples=15, deadline=None)
@given(CUTS, st.sampled_from([(16, 4), (12, 5)]))
def test_the_transform_over_pieces_is_torchs(cuts, geometry):
    fft, hop = geometry
    whole, window = torch.randn(2, LENGTH), torch.hann_window(fft)
    stft = CenteredSTFT(fft, hop)
    expected = torch.stft(whole, fft, hop, window=window, return_complex=True)
    assert torch.allclose(stream(stft.analyse, whole, cuts), expected, atol=1e-5)


@settings(max_examples=15, deadline=None)
@given(CUTS)
def test_the_inverse_over_pieces_is_torchs(cuts):
    spectrum = torch.randn(2, 9, LENGTH, dtype=torch.complex64)
    expected = torch.istft(spectrum, 16, 4, window=torch.hann_window(16))
    assert torch.allclose(stream(CenteredSTFT(16, 4).synthesise, spectrum, cuts), expected, atol=2e-5)


def test_a_signal_comes_back_from_its_transform():
    wave, stft = torch.randn(1, 400), CenteredSTFT(16, 4)
    assert stft.num_bins == 9
    assert torch.allclose(stft.synthesise(stft.analyse(wave, Carry()), Carry()), wave, atol=1e-5)


def test_aligned_sequences_wait_for_the_slowest():
    first = Carry(final=False)
    fast, slow = align(first, torch.arange(5), torch.arange(3))
    assert (fast.tolist(), slow.tolist()) == ([0, 1, 2], [0, 1, 2])
    fast, slow = align(Carry(first.kept), torch.arange(5, 6), torch.arange(3, 6))
    assert (fast.tolist(), slow.tolist()) == ([3, 4, 5], [3, 4, 5])


def test_what_is_kept_does_not_hold_the_piece_in_memory():
    carry = Carry(final=False)
    StreamedConv1d(1, 1, 3, padding=1)(torch.zeros(1, 1, 1000), carry)
    assert [tensor.untyped_storage().nbytes() for tensor in carry.kept] == [2 * 4]


def test_the_last_piece_keeps_nothing():
    carry = Carry((torch.zeros(1, 1, 2),), final=True)
    StreamedConv1d(1, 1, 3, padding=1)(torch.zeros(1, 1, 4), carry)
    assert carry.kept == ()


def test_overlaps_are_summed_and_the_ends_trimmed():
    carry = Carry(final=False)
    assert overlap_add(torch.ones(1, 1, 5), 2, 1, carry).tolist() == [[[1, 1]]]
    assert overlap_add(torch.ones(1, 1, 5), 2, 1, Carry(carry.kept)).tolist() == [[[2, 2, 1, 1]]]


def test_joining_one_piece_copies_nothing():
    piece = torch.ones(3)
    assert joined(piece[:0], piece, piece[3:]) is piece
    assert joined(piece[:0], piece[:0]).shape == (0,)


@pytest.mark.parametrize("kind", [Snake, FlatSnake])
def test_snake_adds_a_squared_sine(kind):
    layer = kind(2)
    nn.init.constant_(layer.alpha, 2.0)
    x = torch.randn(1, 2, 5)
    assert torch.allclose(layer(x), x + torch.sin(2 * x) ** 2 / 2)
