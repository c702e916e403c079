"""The steps to a Higgs model of somebody's voice: its codes, the decoder of a light codec, the language model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from parlando.core.types import Voice
from parlando.data.sampler import CropConfig
from parlando.data.shards import PackedCorpus
from parlando.data.tokens import COMPLETE, TokenCorpus
from parlando.models.higgs.build import HiggsModel, load_model, save_model
from parlando.models.higgs.lm_weights import load_lm
from parlando.nn.placement import Placement
from parlando.text.length import Expected
from parlando.train.encode import encode_corpus
from parlando.train.higgs.codec import CodecTask, CodecTrainConfig
from parlando.train.higgs.encoders import (
    CODEC_WEIGHTS,
    find_encoder,
    has_light_codec,
    load_trained_codec,
    read_codec_config,
)
from parlando.train.higgs.lm import LMTask
from parlando.train.higgs.lm_examples import MixConfig
from parlando.train.higgs.lm_recipe import LMRecipe, make_lm_task
from parlando.train.higgs.start import find_start
from parlando.train.loop.optim import OptimConfig
from parlando.train.loop.recipe import Sources
from parlando.train.loop.trainer import Budget
from parlando.train.shared.length_prior import fit_length_prior
from parlando.train.shared.start import LM_WEIGHTS
from parlando.train.shared.tuning import LM, Step, Tuning, training

DECODER_SHARE = 0.65
ADAPTED = ("q_proj", "k_proj", "v_proj", "o_proj", "audio_mlp.*")
_FIRST_WEIGHT = 4.0


def steps(tuning: Tuning) -> list[Step]:
    """Codes first. A light codec knows the voices that it learned from, so its decoder learns this one too."""
    found = [Step("encode the recordings", tuning.codes / COMPLETE, lambda: _encode(tuning))]
    light = has_light_codec(tuning.base)
    share = DECODER_SHARE if light else 0.0
    if light:
        found.append(training(tuning, "decoder", share, CODEC_WEIGHTS, lambda _: _decoder_task(tuning)))
    lm = training(tuning, LM, 1 - share, LM_WEIGHTS, lambda budget: _lm_task(tuning, budget))
    return [*found, lm]


def _encode(tuning: Tuning) -> bool:
    encoder = find_encoder(tuning.base, 0)
    assert encoder is not None, "a model of this family has a codec"
    encode_corpus(PackedCorpus(tuning.packed), encoder, tuning.codes, warp_share=0.0)
    return True


def _decoder_task(tuning: Tuning) -> CodecTask:
    config = CodecTrainConfig(
        codec=read_codec_config(tuning.base),
        crops=CropConfig(batch=8, frames=24, warp_share=0.0),
        optim=OptimConfig(rate=5e-4, beta1=0.8, beta2=0.95, weight_decay=0.01, final=0.05),
        adversarial=True,
        adversarial_after=0.6,
        averaging=0.99,
        start_from=str(tuning.base),
    )
    return CodecTask(PackedCorpus(tuning.packed), config)


def _lm_task(tuning: Tuning, budget: Budget) -> LMTask:
    sizes = find_start(str(tuning.base)).trained_sizes
    recipe = LMRecipe(
        budget,
        MixConfig({tuning.speaker: tuning.description}, clone_share=0.0, tokens_per_batch=1500, candidates=24),
        optim=OptimConfig(rate=tuning.rate(sizes.hidden_size), weight_decay=0.01, warmup=0.05),
        first_weight=_FIRST_WEIGHT,
        phone_weight=0.0,
        phone_final=0.0,
        dropout=0.1,
        adapter=tuning.adapter,
        start_from=str(tuning.base),
    )
    return make_lm_task(recipe, Sources(codes=tuning.codes, codec=tuning.base))


def assemble(tuning: Tuning, out: Path, card: str) -> Path:
    """Write the tuned model's folder, in the precision of its base; returns it."""
    base = load_model(tuning.base, "cpu", "float32")
    run = tuning.run(LM)
    lm = load_lm(run, base.config.lm)
    prior = fit_length_prior(TokenCorpus(tuning.codes), base.tokenizer, tuning.speaker)
    voices = {tuning.speaker: Voice(tuning.speaker, tuning.description)}
    config = replace(base.config, name=out.name, default_voice=tuning.speaker, expected=Expected(prior))
    decoder = tuning.run("decoder")
    codec = load_trained_codec(decoder) if (decoder / CODEC_WEIGHTS).is_file() else base.parts.codec
    parts = replace(base.parts, config=config, lm=lm, codec=codec.half(), voices=voices)
    return save_model(HiggsModel(parts, Placement(torch.device("cpu"), torch.float16)), out, card)
