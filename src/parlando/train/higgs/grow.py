"""A speech model's start, grown from a text model of Llama's shape, as Higgs Audio v2 was from Llama 3.2 (2025).

What the text model knows stays as it is. Audio gets its own norms and MLPs, copies of the text's (DualFFN), and tables
and a head of its own; the vocabulary gets the strings of prompts that it lacks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from parlando.core.config import from_mapping, read_json
from parlando.core.errors import CheckpointError, MissingDependencyError
from parlando.core.folder import write_json
from parlando.models.higgs.config import LMConfig
from parlando.models.higgs.lm import HiggsLM
from parlando.models.higgs.lm_weights import PUBLISHED_WEIGHTS
from parlando.models.higgs.published import backbone_from_llama
from parlando.models.higgs.tokenizer import PROMPT_STRINGS, HubTextConfig, HubTokenizer
from parlando.nn.checkpoint import first_file, load_strictly, read_weights, save_tensors
from parlando.train.higgs.encoders import codec_shape
from parlando.train.shared.start import LM_CONFIG, LM_WEIGHTS, TEXT_CONFIG, TOKENIZER_FILE

CONFIG_FILE = "config.json"
_OF_AUDIO = {
    "mlp.": "audio_mlp.",
    "input_layernorm.": "audio_input_layernorm.",
    "post_attention_layernorm.": "audio_post_attention_layernorm.",
}
_COUNTERS = ("rotary_emb.inv_freq",)
_INPUT, _HEAD, _AUDIO_TABLE = "embed_tokens.weight", "text_lm_head.weight", "embed_audio_tokens.weight"


def grow(text_model: Path, codec: Path, out: Path) -> LMConfig:
    """Write a folder that `parlando train lm --from` starts from; returns the sizes of what is in it.

    ``text_model`` holds ``config.json``, ``tokenizer.json`` and weights, as `transformers` writes them; ``codec`` is
    the folder of a trained codec, which says how many codebooks there are.

    Raises:
        FileMissingError: one of these files is not there.
        ConfigError, CheckpointError: one is damaged, or the text model is not of Llama's shape.
        MissingDependencyError: the ``tokenizers`` package is not installed.
    """
    path, books = text_model / CONFIG_FILE, codec_shape(codec)
    backbone = backbone_from_llama(read_json(path), str(path))
    weights = first_file(text_model, PUBLISHED_WEIGHTS, "language model weights")
    tensors = _own_names(read_weights(weights, "cpu", _COUNTERS))
    out.mkdir(parents=True, exist_ok=True)
    tokenizer, added = _with_prompt_strings(text_model, out)
    ids = {
        "vocab_size": max(tokenizer.vocab_size, backbone["vocab_size"]),
        "audio_out_id": tokenizer.audio_out,
        "audio_out_bos_id": tokenizer.audio_out_bos,
        "eot_id": tokenizer.eot,
        "end_of_text_id": tokenizer.end_of_text,
        "audio_in_id": tokenizer.audio_in,
        "audio_bos_id": tokenizer.audio_bos,
        "audio_eos_id": tokenizer.audio_eos,
        "delay_id": tokenizer.delay,
        "num_codebooks": books.num_codebooks,
        "codebook_size": books.codebook_size,
    }
    config = from_mapping(LMConfig, backbone | ids, str(path))
    save_tensors(_grown(tensors, config, added, str(weights)), out / LM_WEIGHTS)
    write_json(out / LM_CONFIG, asdict(config))
    write_json(out / TEXT_CONFIG, asdict(HubTextConfig()))
    return config


def _own_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Under our names; a head that is tied to the embedding is a copy of it from now on."""
    own = {
        key.removeprefix("model.").replace("lm_head.", "text_lm_head."): value
        for key, value in tensors.items()
        if not key.endswith(_COUNTERS)
    }
    if _INPUT in own:
        own.setdefault(_HEAD, own[_INPUT].clone())
    return own


def _with_prompt_strings(text_model: Path, out: Path) -> tuple[HubTokenizer, list[int]]:
    """The tokenizer with a token for each of `PROMPT_STRINGS`, written to ``out``, and the ids of those it lacked."""
    try:
        import tokenizers
    except ImportError as error:
        raise MissingDependencyError("tokenizers", "pip install tokenizers") from error
    file = text_model / TOKENIZER_FILE
    read_json(file)  # says what is wrong with a missing or damaged one
    try:
        bpe = tokenizers.Tokenizer.from_file(str(file))
    except Exception as error:  # the package raises nothing narrower
        raise CheckpointError(f"{file}: not a tokenizer ({error}); fetch it again") from error
    known = bpe.get_vocab(with_added_tokens=True)
    # Also those that it has: as a word of the vocabulary alone, a string would be cut into pieces.
    bpe.add_special_tokens([tokenizers.AddedToken(text, normalized=False, special=True) for text in PROMPT_STRINGS])
    bpe.save(str(out / TOKENIZER_FILE))
    return HubTokenizer(out), [token for text, token in bpe.get_vocab().items() if text not in known]


def _grown(tensors: dict[str, Tensor], config: LMConfig, added: Iterable[int], where: str) -> dict[str, Tensor]:
    """All tensors of the speech model, in the text model's dtype; what is new is drawn by torch's generator."""
    lm, held = HiggsLM(config), dict(tensors)
    for name in (_INPUT, _HEAD):
        if name in held:
            held[name] = _with_rows(held[name], config.vocab_size, added)
    for key, tensor in tensors.items():
        for text_part, audio_part in _OF_AUDIO.items():
            if f".{text_part}" in key:
                held[key.replace(f".{text_part}", f".{audio_part}")] = tensor.clone()
    made: dict[str, Any] = {name: lm.state_dict()[name] for name in (_AUDIO_TABLE, "audio_lm_head.weight")}
    if _INPUT in held:
        # The codes of a frame are summed; the sum should be of a text token's size.
        spread = tensors[_INPUT].float().std() / config.num_codebooks**0.5
        made[_AUDIO_TABLE] = torch.randn(made[_AUDIO_TABLE].shape) * spread
    load_strictly(lm, {name: tensor.float() for name, tensor in {**held, **made}.items()}, where)
    dtype = next(iter(tensors.values())).dtype
    return {name: tensor.to(dtype) for name, tensor in lm.state_dict().items()}


def _with_rows(table: Tensor, rows: int, added: Iterable[int]) -> Tensor:
    """A table with a row for every token; those of new ones are near the mean of the rest, so that none stands out."""
    known = table.float()
    new = torch.cat((known, known.new_zeros(rows - len(known), known.shape[1])))
    mean, spread = known.mean(0), known.std(0)
    for token in (*added, *range(len(known), rows)):
        new[token] = mean + 0.1 * spread * torch.randn_like(mean)
    return new
