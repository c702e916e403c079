"""The speech tokenizer: codes equal to golden ones, alone, in batches, in windows; clips that cannot serve."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from cosyvoice_front import golden, small_tokenizer
from parlando.core.config import from_mapping, to_mapping
from parlando.core.errors import AudioError, ConfigError
from parlando.models.cosyvoice.parts.speech_tokenizer import SpeechTokenizer, SpeechTokenizerConfig
from parlando.nn.checkpoint import SkipInitialisation

RATE = 16_000


@pytest.fixture(scope="module")
def tokenizer():
    return small_tokenizer()


@pytest.fixture(scope="module")
def log_mel():
    return golden("speech_tokenizer_io")["log_mel"][0]


def with_windows(tokenizer, window_seconds, overlap_seconds):
    config = replace(tokenizer.config, window_seconds=window_seconds, overlap_seconds=overlap_seconds)
    made = SpeechTokenizer(config).eval()
    made.load_state_dict(tokenizer.state_dict())
    return made


@pytest.mark.parametrize(("frames", "name"), [(200, "codes"), (101, "codes_101")])
def test_codes_equal_golden(tokenizer, log_mel, frames, name):
    (codes,) = tokenizer.encode_mels([log_mel[:, :frames]])
    assert torch.equal(codes, golden("speech_tokenizer_io")[name][0].long())


def test_clips_of_different_lengths_get_the_codes_they_get_alone(tokenizer, log_mel):
    lengths = [101, 200, 3, 1, 57, 198]
    mels = [log_mel[:, :n] for n in lengths]
    together = tokenizer.encode_mels(mels)
    assert [len(codes) for codes in together] == [26, 50, 1, 1, 15, 50]
    for mel, codes in zip(mels, together, strict=True):
        assert torch.equal(codes, tokenizer.encode_mels([mel])[0])


def test_padding_reaches_no_hidden_vector(tokenizer, log_mel):
    padded = torch.full((1, 128, 200), 7.0)
    padded[0, :, :101] = log_mel[:, :101]
    hidden, present = tokenizer.encoder(padded, torch.tensor([101]))
    alone, _ = tokenizer.encoder(log_mel[None, :, :101], torch.tensor([101]))
    assert present[0].tolist() == [True] * 26 + [False] * 24
    assert (hidden[:, :26] - alone).abs().max() < 1e-4


@pytest.mark.parametrize(("frames", "tokens"), [(1, 1), (100, 25), (101, 26), (998, 250), (3_000, 750)])
def test_token_counts_are_the_published_ones(tokenizer, frames, tokens):
    assert tokenizer.num_tokens(frames) == tokens
    assert tokenizer.config.token_rate == 25


@pytest.mark.parametrize("frames", [37, 40, 41, 60, 77, 79, 80, 81, 150, 200])
def test_windows_cover_every_token_once(tokenizer, frames):
    windowed = with_windows(tokenizer, 0.4, 0.16)
    windows = list(windowed._windows(frames))
    tokens = [w.start // 4 + index for w in windows for index in range(w.first_token, w.last_token)]
    assert tokens == list(range(tokenizer.num_tokens(frames)))
    assert max(w.end - w.start for w in windows) <= 40
    assert len(windows) == 1 or all(w.end - w.start > 16 for w in windows)


def test_each_window_gives_its_middle(tokenizer, log_mel):
    windowed = with_windows(tokenizer, 0.4, 0.16)
    (codes,) = windowed.encode_mels([log_mel[:, :77]])
    parts = [tokenizer.encode_mels([log_mel[:, start:end]])[0] for start, end in ((0, 40), (24, 64), (48, 77))]
    assert torch.equal(codes, torch.cat((parts[0][:8], parts[1][2:8], parts[2][2:])))


def test_more_windows_than_fit_at_once_keep_their_order(tokenizer, log_mel):
    windowed = with_windows(tokenizer, 0.2, 0.08)
    together = windowed.encode_mels([log_mel, log_mel[:, :50], log_mel[:, 50:]])
    assert [len(codes) for codes in together] == [50, 13, 38]
    assert torch.equal(together[1], windowed.encode_mels([log_mel[:, :50]])[0])


def test_waveforms_become_the_codes_of_their_mels(tokenizer):
    io = golden("frontend_io")
    wave = io["wav_16k"]
    whole, half = tokenizer.encode([wave, wave[:RATE]])
    assert torch.equal(whole, tokenizer.encode_mels([io["log_mel_128"]])[0])
    assert (len(whole), len(half)) == (50, 25)


@pytest.mark.parametrize(
    ("wave", "message"),
    [(torch.full((RATE,), float("nan")), "clip 0: a sample is not a number"), (torch.zeros(200), "are too short")],
)
def test_clips_that_cannot_be_encoded_say_so(tokenizer, wave, message):
    with pytest.raises(AudioError, match=message):
        tokenizer.encode([wave])


def test_training_passes_gradients_through_the_quantiser(log_mel):
    torch.manual_seed(0)
    tokenizer = SpeechTokenizer(SpeechTokenizerConfig(hidden_size=32, num_heads=2, num_layers=1, memory_kernel=5))
    digits, codes, present = tokenizer(log_mel[None], torch.tensor([200]))
    assert (digits.shape, codes.shape, present.all().item()) == ((1, 50, 8), (1, 50), True)
    assert torch.equal(tokenizer.encode_mels([log_mel])[0], codes[0])
    digits.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in tokenizer.parameters())


def test_the_published_size_has_102_tensors():
    with torch.device("meta"), SkipInitialisation():
        state = SpeechTokenizer(SpeechTokenizerConfig()).state_dict()
    assert (len(state), sum(tensor.numel() for tensor in state.values())) == (102, 123_714_568)


def test_a_config_survives_plain_data_and_a_wrong_one_is_an_error(tokenizer):
    assert from_mapping(SpeechTokenizerConfig, to_mapping(tokenizer.config)) == tokenizer.config
    with pytest.raises(ConfigError, match="heads of an even size"):
        SpeechTokenizerConfig(hidden_size=30, num_heads=4)
    with pytest.raises(ConfigError, match="overlap_seconds"):
        SpeechTokenizerConfig(overlap_seconds=30.0)
