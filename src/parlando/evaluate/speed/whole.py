"""Whole models of any sizes with random weights, which speak English by phonemes: what their sound costs, not says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from parlando.core.types import Reference, Voice
from parlando.evaluate.speed.contender import Load, as_loaded
from parlando.evaluate.speed.cosyvoice import plainly
from parlando.evaluate.speed.published import LANGUAGE_MODELS
from parlando.models.cosyvoice import build as cosyvoice
from parlando.models.cosyvoice.config import CosyVoiceConfig
from parlando.models.cosyvoice.config import LMConfig as CosyVoiceSizes
from parlando.models.cosyvoice.lm import CosyVoiceLM
from parlando.models.cosyvoice.parts.campplus import CampPlus, CampPlusConfig
from parlando.models.cosyvoice.parts.flow import Flow, FlowConfig
from parlando.models.cosyvoice.parts.hift import HiFT, HiFTConfig
from parlando.models.cosyvoice.parts.speech_tokenizer import SpeechTokenizer, SpeechTokenizerConfig
from parlando.models.cosyvoice.tokenizer import PhonemeTextConfig as CosyVoiceText
from parlando.models.cosyvoice.voices import SPEAKER
from parlando.models.higgs import build as higgs
from parlando.models.higgs.config import CodecConfig, HiggsConfig
from parlando.models.higgs.config import LMConfig as HiggsSizes
from parlando.models.higgs.lm import HiggsLM
from parlando.models.higgs.parts.codec import build_codec
from parlando.models.higgs.parts.unified_codec import UnifiedCodecConfig
from parlando.models.higgs.tokenizer import PhonemeTextConfig as HiggsText
from parlando.nn.placement import Placement

NAME = "anyone"


@dataclass(frozen=True)
class HiggsWhole:
    """The sizes of a Higgs model; the published ones by default."""

    lm: HiggsSizes = field(default_factory=LANGUAGE_MODELS["higgs-v2"])
    codec: CodecConfig = field(default_factory=UnifiedCodecConfig)
    # What a step of the sound does not read: tables, and the layers' half for text.
    unread = ("embed_", "text_lm_head", ".mlp.")

    def module(self) -> HiggsLM:
        """Its language model."""
        return HiggsLM(self.lm)

    def model(self, load: Load) -> Any:
        """A whole one."""
        tokenizer = higgs.build_tokenizer(HiggsText(), None)
        lm = replace(self.lm, **{f"{name}_id": getattr(tokenizer, name) for name in higgs.SHARED_IDS})
        with torch.device(load.device):
            codec = build_codec(self.codec)
            for name, buffer in codec.named_buffers():
                if name.endswith("codebook.embed"):
                    buffer.normal_()
        config = HiggsConfig("bench", lm, self.codec, HiggsText(), default_voice=NAME)
        module = as_loaded(partial(HiggsLM, lm), load)
        parts = higgs.Parts(config, module, codec, tokenizer, {NAME: Voice(NAME, "feminine")})
        return higgs.HiggsModel(parts, Placement(torch.device(load.device), load.dtype, cuda_graphs=True))


@dataclass(frozen=True)
class CosyVoiceWhole:
    """The sizes of a CosyVoice model; the published ones by default."""

    lm: CosyVoiceSizes = field(default_factory=LANGUAGE_MODELS["cosyvoice2"])
    flow: FlowConfig = field(default_factory=FlowConfig)
    hift: HiFTConfig = field(default_factory=HiFTConfig)
    speech_tokenizer: SpeechTokenizerConfig = field(default_factory=SpeechTokenizerConfig)
    speaker: CampPlusConfig = field(default_factory=CampPlusConfig)
    unread = ("embed_",)

    def module(self) -> CosyVoiceLM:
        """Its language model."""
        return CosyVoiceLM(plainly(self.lm))

    def model(self, load: Load) -> Any:
        """A whole one."""
        lm, text = plainly(self.lm), CosyVoiceText()
        parts = {name: getattr(self, name) for name in ("flow", "hift", "speech_tokenizer", "speaker")}
        config = CosyVoiceConfig(name="bench", lm=lm, text=text, default_voice=NAME, **parts)
        embedding = np.random.default_rng(0).standard_normal(self.flow.speaker_dim).astype(np.float32)
        voices: Mapping[str, Voice] = {
            NAME: Voice(NAME, references=(Reference("", np.zeros((1, 0), np.int64), {SPEAKER: embedding}),))
        }
        with torch.device(load.device):
            made = cosyvoice.Parts(
                config=config,
                lm=as_loaded(partial(CosyVoiceLM, lm), load),
                flow=Flow(self.flow),
                hift=HiFT(self.hift).prepare(),
                tokenizer=cosyvoice.build_tokenizer(text, None),
                speech_tokenizer=SpeechTokenizer(self.speech_tokenizer),
                speaker=CampPlus(self.speaker),
                voices=voices,
            )
        return cosyvoice.CosyVoiceModel(made, Placement(torch.device(load.device), load.dtype, cuda_graphs=True))


Whole = HiggsWhole | CosyVoiceWhole
