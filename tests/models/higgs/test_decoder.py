"""Streaming decode equals offline decode, whatever the schedule, and costs the same for every frame."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from parlando.core.types import Frame, Prompt
from parlando.models.higgs.decoder import HiggsDecoder, HiggsWaveStream, decode_codes
from parlando.models.higgs.parts.codec import Codec
from parlando.models.higgs.parts.codec_weights import load_published_codec
from parlando.models.higgs.parts.delay import build_delay
from parlando.models.higgs.parts.spectral import SpectralCodec, SpectralCodecConfig
from parlando.models.higgs.parts.spectral_inference import PackedDecoder
from parlando.nn.native import kernel

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "higgs"
PROMPT = Prompt((1,), np.zeros(1, dtype=bool), np.zeros((0, 8), dtype=np.int64))


@cache
def _codec(kind: str) -> Codec:
    if kind == "dac":
        return load_published_codec(GOLDEN / "codec_tiny")
    torch.manual_seed(0)
    sizes = {"fine_dim": 16, "coarse_dim": 24, "hidden_dim": 32, "latent_dim": 8, "num_bands": 20, "codebook_size": 32}
    if kind == "packed":
        sizes |= {"coarse_dim": 32, "content_dim": 4, "decoder_fine_blocks": 5}
    codec = SpectralCodec(SpectralCodecConfig(**sizes)).eval()
    for quantizer in codec.quantizer.quantizers:
        quantizer.codebook.embed.normal_()
    return codec


def _codes(codec: Codec, num_frames: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, codec.codebook_size, (codec.num_codebooks, num_frames))


def _frames(codec: Codec, codes: np.ndarray) -> list[Frame]:
    delayed = build_delay(codes, codec.codebook_size, codec.codebook_size + 1)
    return [Frame(7, tuple(map(int, column))) for column in delayed.T]


def _stream(codec: Codec, frames: list[Frame], sizes: list[int]) -> np.ndarray:
    stream, pieces, start = HiggsDecoder(codec).open(PROMPT), [], 0
    for size in sizes:
        pieces.append(stream.push(frames[start : start + size], final=False))
        start += size
    pieces.append(stream.push(frames[start:], final=True))
    return np.concatenate(pieces)


@pytest.mark.parametrize("kind", ["dac", "spectral", "packed"])
@settings(max_examples=15, deadline=None)
@given(num_frames=st.integers(0, 40), sizes=st.lists(st.integers(0, 17), max_size=12), seed=st.integers(0, 9))
def test_any_schedule_equals_offline(kind, num_frames, sizes, seed):
    codec = _codec(kind)
    codes = _codes(codec, num_frames, seed)
    streamed, offline = _stream(codec, _frames(codec, codes), sizes), decode_codes(codec, codes)
    assert streamed.shape == offline.shape == (num_frames * codec.samples_per_frame,)
    assert streamed.dtype == np.float32
    assert np.abs(streamed - offline).max(initial=0) < 1e-5


@pytest.mark.parametrize("kind", ["dac", "spectral", "packed"])
@pytest.mark.parametrize("sizes", [[1] * 80, [3] * 30, [10] * 8, [25] * 3, [2, 4, 8, 16, 32]])
def test_the_usual_schedules_equal_offline(kind, sizes):
    codec = _codec(kind)
    codes = _codes(codec, 60)
    assert np.abs(_stream(codec, _frames(codec, codes), sizes) - decode_codes(codec, codes)).max() < 1e-5


@pytest.mark.skipif(kernel.library() is None, reason="no compiled kernel for this processor")
def test_the_packed_decoder_gives_any_part_of_what_the_codec_does():
    codec = _codec("packed")
    assert PackedDecoder.fits(codec)
    packed, codes = PackedDecoder(codec), torch.from_numpy(_codes(codec, 40))
    whole = decode_codes(codec, codes.numpy())
    for start, stop in [(0, 40), (0, 1), (39, 40), (3, 30), (17, 18)]:
        part = packed.decode(codes, start, stop).numpy()
        assert part.shape == ((stop - start) * codec.samples_per_frame,)
        assert np.abs(part - whole[start * codec.samples_per_frame : stop * codec.samples_per_frame]).max() < 1e-5


def test_what_the_kernel_does_not_know_is_left_to_torch():
    assert not PackedDecoder.fits(_codec("dac"))
    assert not PackedDecoder.fits(copy.deepcopy(_codec("packed")).double())
    codec = SpectralCodec(SpectralCodecConfig(fine_dim=16, coarse_dim=20, hidden_dim=32, latent_dim=8))
    assert not PackedDecoder.fits(codec)


class _Counting:
    """The tiny codec, remembering the windows it was asked to decode."""

    def __init__(self, codec: Codec) -> None:
        self._codec, self.windows = codec, []

    def __getattr__(self, name: str) -> object:
        return getattr(self._codec, name)

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        self.windows.append(codes.shape[2])
        return self._codec.decode(codes)


def test_work_per_frame_is_constant_and_frames_come_as_soon_as_they_can():
    codec = _Counting(_codec("dac"))
    stream = HiggsWaveStream(codec)
    sizes = [len(stream.push([frame], final=False)) for frame in _frames(codec, _codes(codec, 90))]
    silent = 1 + (codec.num_codebooks - 1) + codec.future_frames
    assert sizes[:silent] == [0] * silent
    assert set(sizes[silent:-1]) == {960}
    assert max(codec.windows) == codec.past_frames + 1 + codec.future_frames == 21
    assert sizes[-1] == 960 * codec.future_frames
    assert stream.push([], final=True).size == 0


def test_an_interrupted_clip_gives_its_whole_frames():
    codec = _codec("dac")
    codes = _codes(codec, 30)
    samples = _stream(codec, _frames(codec, codes)[:20], [5, 5])
    assert np.abs(samples - decode_codes(codec, codes[:, :12])).max() < 1e-5


@pytest.mark.parametrize("size", [1, 13, 200])
def test_several_clips_are_decoded_apart(size):
    codec = _codec("dac")
    clips = [_codes(codec, 15, 1), _codes(codec, 3, 2), _codes(codec, 12, 3)]
    frames = [frame for clip in clips for frame in [Frame(5), *_frames(codec, clip)]]
    offline = np.concatenate([decode_codes(codec, clip) for clip in clips])
    assert np.abs(_stream(codec, frames, [size] * 80) - offline).max() < 1e-5


def test_text_steps_empty_pushes_and_everything_after_the_end_are_nothing():
    codec = _codec("dac")
    codes = _codes(codec, 4)
    frames = _frames(codec, codes)
    stream = HiggsWaveStream(codec)
    assert stream.push([], final=False).size == 0
    assert stream.push([Frame(7), *frames[:3], Frame(9)], final=False).size == 0
    assert stream.push([*frames[3:], *frames[3:]], final=True).shape == (4 * 960,)
    assert stream.push(frames, final=False).size == 0
    assert stream.push([], final=True).size == 0


@pytest.mark.parametrize("code", [-1, 66])
def test_a_code_outside_the_codebook_is_an_internal_error(code):
    with pytest.raises(IndexError, match=r"not within 0\.\.65"):
        HiggsWaveStream(_codec("dac")).push([Frame(7, (code,) * 8)], final=False)


def test_interleaved_streams_do_not_mix():
    codec = _codec("spectral")
    clips = [_codes(codec, 20 + n, n) for n in range(3)]
    decoder = HiggsDecoder(codec)
    streams, queues = [decoder.open(PROMPT) for _ in clips], [_frames(codec, clip) for clip in clips]
    heard = [[stream.push([], final=False)] for stream in streams]
    for step in range(0, 40, 4):
        for stream, queue, pieces in zip(streams, queues, heard, strict=True):
            pieces.append(stream.push(queue[step : step + 4], final=step >= 36))
    for pieces, clip in zip(heard, clips, strict=True):
        assert np.abs(np.concatenate(pieces) - decode_codes(codec, clip)).max() < 1e-5
    assert (decoder.sample_rate, decoder.samples_per_frame) == (24_000, 960)
