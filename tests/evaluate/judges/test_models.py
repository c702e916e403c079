"""Judges that are real models here: transformers' Whisper at a tiny size, Resemblyzer, CAM++ of a tiny CosyVoice."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from parlando.audio.clip import Clip
from parlando.core.errors import CheckpointError, ConfigError
from parlando.evaluate.judges.campplus import CampPlusEncoder
from parlando.evaluate.judges.resemblyzer import Resemblyzer
from parlando.evaluate.judges.transformers_whisper import TransformersWhisper
from whisper import whisper

HISS = Clip(whisper(1.0, 24000), 24000)
SPECIAL = ("<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|zh|>", "<|transcribe|>", "<|notimestamps|>")


@pytest.fixture(scope="module")
def tiny_whisper(tmp_path_factory):
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("whisper")
    vocab = {letter: number for number, letter in enumerate("abcdefghij")}
    tokens = {token: len(vocab) + number for number, token in enumerate(SPECIAL)}
    stamps = [f"<|{index * 0.02:.2f}|>" for index in range(1501)]
    tokenizer = transformers.WhisperTokenizer(vocab=vocab, merges=[], unk_token="<|endoftext|>")
    tokenizer.add_special_tokens({"additional_special_tokens": list(SPECIAL)})
    tokenizer.add_tokens(stamps)
    extractor = transformers.WhisperFeatureExtractor()
    transformers.WhisperProcessor(extractor, tokenizer).save_pretrained(folder)
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in tokens}
    config = transformers.WhisperConfig(
        vocab_size=len(tokenizer), d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, max_target_positions=16,
        decoder_start_token_id=ids[SPECIAL[1]], eos_token_id=ids[SPECIAL[0]], pad_token_id=ids[SPECIAL[0]],
        bos_token_id=ids[SPECIAL[0]],
    )  # fmt: skip
    torch.manual_seed(0)
    model = transformers.WhisperForConditionalGeneration(config)
    known = {
        "is_multilingual": True, "lang_to_id": {token: ids[token] for token in ("<|en|>", "<|zh|>")},
        "task_to_id": {"transcribe": ids["<|transcribe|>"]}, "no_timestamps_token_id": ids["<|notimestamps|>"],
        "max_length": 10,
    }  # fmt: skip
    for name, value in known.items():
        setattr(model.generation_config, name, value)
    model.save_pretrained(folder)
    return folder


@pytest.mark.slow
def test_transformers_whisper_runs_greedily_and_says_so(tiny_whisper):
    judge = TransformersWhisper(str(tiny_whisper))
    heard = judge.hear(HISS, "en")
    assert heard == judge.hear(HISS, "en")
    assert not any(token in heard for token in SPECIAL)
    assert judge.card.settings["search"] == "greedy"
    assert judge.card.name == f"whisper {tiny_whisper.name}"


def test_a_whisper_that_is_not_there_is_told(tmp_path):
    pytest.importorskip("transformers")
    with pytest.raises(CheckpointError, match="could not be loaded"):
        TransformersWhisper(str(tmp_path)).hear(HISS, "en")


def test_resemblyzer_hears_level_and_rate_away():
    judge = Resemblyzer()
    quiet = Clip(HISS.samples * 0.1, 24000)
    assert judge.embed(HISS).shape == (256,)
    assert float(judge.embed(HISS) @ judge.embed(quiet)) > 0.99


def test_our_campplus_is_the_model_s_own(tiny_cosyvoice_folder):
    judge = CampPlusEncoder(str(tiny_cosyvoice_folder))
    embedding = judge.embed(HISS)
    assert np.linalg.norm(embedding) == pytest.approx(1.0, abs=1e-5)
    assert judge.card.version == tiny_cosyvoice_folder.name


def test_a_model_without_a_speaker_encoder_says_which_has_one(tiny_folder):
    with pytest.raises(ConfigError, match="has no speaker encoder; use campplus:cosyvoice-mini"):
        CampPlusEncoder(str(tiny_folder)).embed(HISS)
