"""A published Higgs language model with tiny parts, in both layouts, and the audio tokenizer that goes with it."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from parlando.models.higgs.config import LMConfig
from parlando.models.higgs.lm import HiggsLM
from parlando.models.higgs.lm_weights import to_published_layout
from parlando.models.higgs.tokenizer import DELAY_STRING, SPECIAL_STRINGS, HubTokenizer

CODEC = Path(__file__).resolve().parent / "golden" / "higgs" / "codec_tiny"
CODEBOOKS, CODES = 8, 64


def write_published_lm(folder, layout):
    """Config, weights and text tokenizer in one folder; returns it."""
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
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        tensors = to_published_layout(HiggsLM(sizes).state_dict(), layout)
    save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, folder / "model.safetensors")
    return folder


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
