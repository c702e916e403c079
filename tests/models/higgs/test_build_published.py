"""Published checkpoints from end to end: three folders, two layouts, and the published interface on top."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from parlando.core.errors import CheckpointError
from parlando.core.types import Voice
from parlando.higgs import ChatMLSample, HiggsAudioServeEngine, Message
from parlando.models.higgs.build import load_model, load_published, save_model
from parlando.models.higgs.config import LMConfig
from parlando.models.higgs.lm import HiggsLM
from parlando.models.higgs.lm_weights import to_published_layout
from parlando.models.higgs.tokenizer import DELAY_STRING, SPECIAL_STRINGS, HubTokenizer
from parlando.speech import Synthesizer

CODEC = Path(__file__).resolve().parents[2] / "golden" / "higgs" / "codec_tiny"
CODEBOOKS, CODES = 8, 64


def write_tokenizer(folder):
    import tokenizers

    bpe = tokenizers.Tokenizer(tokenizers.models.BPE())
    bpe.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=256, initial_alphabet=alphabet, show_progress=False)
    bpe.train_from_iterator(["a"], trainer)
    bpe.add_special_tokens([*SPECIAL_STRINGS.values(), DELAY_STRING])
    bpe.save(str(folder / "tokenizer.json"))
    return HubTokenizer(folder)


def backbone(vocab_size):
    return {
        "vocab_size": vocab_size,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "max_position_embeddings": 600,
        "rms_norm_eps": 1e-5,
        "rope_theta": 500000.0,
    }


def original_config(tokenizer):
    return {
        "model_type": "higgs_audio",
        "text_config": backbone(tokenizer.vocab_size),
        "audio_num_codebooks": CODEBOOKS,
        "audio_codebook_size": CODES,
        "audio_stream_bos_id": CODES,
        "audio_stream_eos_id": CODES + 1,
        "audio_in_token_idx": tokenizer.audio_in,
        "audio_out_token_idx": tokenizer.audio_out,
        "audio_out_bos_token_id": tokenizer.audio_out_bos,
        "audio_bos_token_id": tokenizer.audio_bos,
        "audio_eos_token_id": tokenizer.audio_eos,
        "eot_token_id": tokenizer.eot,
        "pad_token_id": tokenizer.end_of_text,
    }


def transformers_config(tokenizer):
    return {
        "model_type": "higgs_audio_v2",
        **backbone(tokenizer.vocab_size),
        "num_codebooks": CODEBOOKS,
        "codebook_size": CODES + 2,
        "audio_token_id": tokenizer.audio_out,
        "audio_bos_token_id": tokenizer.audio_out_bos,
        "audio_delay_token_id": tokenizer.delay,
        "eos_token_id": tokenizer.eot,
        "pad_token_id": tokenizer.end_of_text,
    }


@pytest.fixture(scope="module", params=["original", "transformers"])
def layout(request):
    return request.param


@pytest.fixture(scope="module")
def published(layout, tmp_path_factory):
    """A published language model's folder, its tokenizer beside it."""
    folder = tmp_path_factory.mktemp(layout)
    tokenizer = write_tokenizer(folder)
    config = (original_config if layout == "original" else transformers_config)(tokenizer)
    (folder / "config.json").write_text(json.dumps(config))
    ids = {
        "audio_out_id": tokenizer.audio_out,
        "audio_out_bos_id": tokenizer.audio_out_bos,
        "eot_id": tokenizer.eot,
        "end_of_text_id": tokenizer.end_of_text,
    }
    sizes = LMConfig(tokenizer.vocab_size, 32, 2, 2, 1, 16, 48, CODEBOOKS, CODES, 600, **ids)
    torch.manual_seed(3)
    tensors = to_published_layout(HiggsLM(sizes).state_dict(), layout)
    save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, folder / "model.safetensors")
    return folder


def test_both_layouts_load_and_keep_their_prompts(published, layout):
    model = load_published(published, CODEC, published, "cpu")
    assert model.config.prompt_layout == layout
    assert (model.frame_rate, model.sample_rate) == (25.0, 24_000)
    assert not model.speaks_utterances
    assert model.config.lm.audio_eos_id == model.tokenizer.audio_eos
    prompt = model.prompts.build("Hello there.", model.voices[model.default_voice])
    assert model.tokenizer.decode(prompt.tokens).endswith("<|audio_out_bos|>")


def test_a_published_model_speaks_through_the_pipeline(published):
    with Synthesizer(load_published(published, CODEC, published, "cpu")) as synthesizer:
        speech = synthesizer.say("Hello there.", seed=1, max_frames=30)
        assert 0 < speech.duration_seconds <= 30 / 25
        assert synthesizer.stream("Hello there.", Voice("x", "british accent"), seed=1, max_frames=12)


def test_the_published_interface_answers_in_audio_and_counts(published):
    engine = HiggsAudioServeEngine(published, CODEC, published, device="cpu")
    sample = ChatMLSample([Message("system", "Generate audio following instruction."), Message("user", "Hello.")])
    response = engine.generate(sample, max_new_tokens=40, force_audio_gen=True, seed=2)
    assert response.audio.dtype == np.float32
    assert response.generated_audio_tokens.shape[0] == CODEBOOKS
    assert (response.generated_audio_tokens[:, 0] == CODES).all()
    assert CODEBOOKS < response.usage["completion_tokens"] <= 40
    assert response.usage["total_tokens"] == response.usage["prompt_tokens"] + response.usage["completion_tokens"]
    engine.close()


def test_saved_in_our_layout_it_is_one_folder_and_says_the_same(published, tmp_path):
    model = load_published(published, CODEC, published, "cpu")
    folder = save_model(model, tmp_path / "own")
    assert (folder / "tokenizer.json").is_file()
    again = load_model(folder, "cpu")
    said = [Synthesizer(each).say("Hello there.", seed=1, max_frames=30).samples for each in (model, again)]
    assert np.abs(said[0] - said[1]).max() < 1e-6


def test_a_codec_folder_inside_the_model_is_found(published, tmp_path):
    folder = shutil.copytree(published, tmp_path / "model")
    shutil.copytree(CODEC, folder / "audio_tokenizer")
    assert load_model(folder, "cpu").name == "model"


def test_a_tokenizer_of_another_model_is_refused(published, tmp_path, layout):
    folder = shutil.copytree(published, tmp_path / "model")
    path = folder / "config.json"
    key = "audio_out_token_idx" if layout == "original" else "audio_token_id"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: 5}))
    with pytest.raises(CheckpointError, match="'audio_out' is 5 for the language model"):
        load_published(folder, CODEC, folder, "cpu")
