"""The published models as sizes alone: what their weights take in every kind of bits, and what is to be measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import torch
from torch import nn

from parlando.evaluate.report import markdown_table
from parlando.models.cosyvoice import build as cosyvoice
from parlando.models.cosyvoice.config import CosyVoiceConfig, lm_config_from_published
from parlando.models.cosyvoice.lm import CosyVoiceLM
from parlando.models.cosyvoice.parts.campplus import CampPlus, CampPlusConfig
from parlando.models.cosyvoice.parts.flow import Flow, FlowConfig
from parlando.models.cosyvoice.parts.hift import HiFT, HiFTConfig
from parlando.models.cosyvoice.parts.speech_tokenizer import SpeechTokenizer, SpeechTokenizerConfig
from parlando.models.cosyvoice.tokenizer import HubTextConfig as CosyVoiceText
from parlando.models.higgs import build as higgs
from parlando.models.higgs.config import HiggsConfig
from parlando.models.higgs.lm import HiggsLM
from parlando.models.higgs.parts.codec import build_codec
from parlando.models.higgs.parts.unified_codec import UnifiedCodecConfig
from parlando.models.higgs.published import lm_config_from_transformers
from parlando.models.higgs.tokenizer import HubTextConfig as HiggsText
from parlando.nn.checkpoint import SkipInitialisation
from parlando.nn.few_bits import Kind

GIGABYTE = 10**9
QWEN2 = {
    "vocab_size": 151_936,
    "hidden_size": 896,
    "intermediate_size": 4864,
    "num_hidden_layers": 24,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32_768,
}
HIGGS = {"codebook_size": 1026}  # with begin and end of a stream; its other sizes are the defaults
KINDS: tuple[Kind | None, ...] = (None, "int8", "int4")

LANGUAGE_MODELS: dict[str, Callable[[], Any]] = {
    "cosyvoice2": lambda: replace(lm_config_from_published(QWEN2), context_length=4096),
    "higgs-v2": lambda: lm_config_from_transformers(HIGGS),
}
"""The config of a published language model."""


def family_of(config: Any) -> str:
    """The family that a config of a language model is of: the folder that has its class."""
    return type(config).__module__.split(".")[-2]


def higgs_parts(kind: Kind | None) -> higgs.Parts:
    """Higgs Audio v2 (3B) without memory, the language model in bfloat16 or in few bits."""
    lm, codec = lm_config_from_transformers(HIGGS), UnifiedCodecConfig()
    config = HiggsConfig("higgs-v2", lm, codec, HiggsText(), default_voice="")
    with SkipInitialisation(), torch.device("meta"):
        parts = higgs.Parts(config, HiggsLM(lm).bfloat16(), build_codec(codec), cast("Any", None), {})
        return higgs.quantized_parts(parts, kind)


def cosyvoice_parts(kind: Kind | None) -> cosyvoice.Parts:
    """CosyVoice2 (0.5B) without memory, the language model in bfloat16, or it and the flow in few bits."""
    lm = lm_config_from_published(QWEN2)
    sizes = FlowConfig(), HiFTConfig(), SpeechTokenizerConfig(), CampPlusConfig()
    config = CosyVoiceConfig("cosyvoice2", lm, *sizes, CosyVoiceText(), default_voice="")
    with SkipInitialisation(), torch.device("meta"):
        flow, hift, speech_tokenizer, speaker = sizes
        modules = Flow(flow), HiFT(hift), SpeechTokenizer(speech_tokenizer), CampPlus(speaker)
        parts = cosyvoice.Parts(config, CosyVoiceLM(lm).bfloat16(), *modules, tokenizer=cast("Any", None))
        return cosyvoice.quantized_parts(parts, kind)


def weight_bytes(parts: higgs.Parts | cosyvoice.Parts) -> dict[str, int]:
    """What each part of a model takes."""
    modules = {name: part for name, part in vars(parts).items() if isinstance(part, nn.Module)}
    return {
        name: sum(tensor.numel() * tensor.element_size() for tensor in module.state_dict().values())
        for name, module in modules.items()
    }


def memory_markdown() -> str:
    """Gigabytes of weights of the published models, part by part, in every kind of bits."""
    rows = []
    for name, make in (("Higgs Audio v2 (3B)", higgs_parts), ("CosyVoice2 (0.5B)", cosyvoice_parts)):
        taken = [weight_bytes(make(kind)) for kind in KINDS]
        named = [(part.replace("_", " "), [each[part] for each in taken]) for part in taken[0]]
        totals = [sum(each.values()) for each in taken]
        for part, sizes in [*named, ("all", totals)]:
            rows.append((name, part, *(f"{size / GIGABYTE:.2f}" for size in sizes)))
    return markdown_table(("weights in GB", "part", *(kind or "bfloat16" for kind in KINDS)), rows)
