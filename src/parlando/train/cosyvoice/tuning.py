"""The steps to a CosyVoice model of somebody's voice: codes and embeddings, flow, vocoder, language model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from parlando.core.types import Voice
from parlando.data.pitch import measure_pitch
from parlando.data.sampler import CropConfig
from parlando.data.shards import PITCH, PackedCorpus
from parlando.data.tokens import COMPLETE, SPEAKERS, TokenCorpus
from parlando.models.cosyvoice.build import CosyVoiceModel, load_model, save_model
from parlando.models.cosyvoice.lm_weights import load_lm
from parlando.models.cosyvoice.parts.flow_training import FlowOdds
from parlando.models.cosyvoice.parts.hift_weights import WEIGHTS_FILE as HIFT_FILE
from parlando.models.cosyvoice.parts.hift_weights import load_hift_folder
from parlando.models.cosyvoice.parts.part_weights import FLOW_FILE, load_flow
from parlando.nn.placement import Placement
from parlando.text.length import Expected
from parlando.train.cosyvoice.encoders import model_encoders
from parlando.train.cosyvoice.flow import FlowTask, FlowTrainConfig
from parlando.train.cosyvoice.flow_examples import FlowMixConfig, FlowSampler
from parlando.train.cosyvoice.lm import CosyVoiceLMTask
from parlando.train.cosyvoice.lm_examples import CosyVoiceMix
from parlando.train.cosyvoice.lm_recipe import CosyVoiceLMRecipe, make_lm_task
from parlando.train.cosyvoice.start import find_start
from parlando.train.cosyvoice.vocoder import VocoderTask, VocoderTrainConfig
from parlando.train.encode import embed_corpus, encode_corpus
from parlando.train.loop.optim import OptimConfig
from parlando.train.loop.recipe import Sources
from parlando.train.loop.trainer import Budget
from parlando.train.shared.length_prior import fit_length_prior
from parlando.train.shared.start import LM_WEIGHTS
from parlando.train.shared.tuning import LM, Step, Tuning, reference_entry, training

FLOW_SHARE, VOCODER_SHARE = 0.45, 0.25
ADAPTED = ("q_proj", "k_proj", "v_proj", "o_proj", "mlp.*")


def steps(tuning: Tuning) -> list[Step]:
    """The sound first: flow and vocoder learn the voice itself, the language model its manner."""
    lm_share = 1 - FLOW_SHARE - VOCODER_SHARE
    return [
        Step("encode the recordings", tuning.codes / SPEAKERS, lambda: _encode(tuning)),
        Step("measure the pitch", tuning.packed / PITCH, lambda: _measure(tuning)),
        training(tuning, "flow", FLOW_SHARE, FLOW_FILE, lambda _: _flow_task(tuning)),
        training(tuning, "vocoder", VOCODER_SHARE, HIFT_FILE, lambda _: _vocoder_task(tuning)),
        training(tuning, LM, lm_share, LM_WEIGHTS, lambda budget: _lm_task(tuning, budget)),
    ]


def _encode(tuning: Tuning) -> bool:
    corpus = PackedCorpus(tuning.packed)
    encoder, embedder = model_encoders(tuning.base, corpus.config.sample_rate)
    if not (tuning.codes / COMPLETE).is_file():
        encode_corpus(corpus, encoder, tuning.codes, warp_share=0.0)
    embed_corpus(corpus, embedder, tuning.codes)
    return True


def _measure(tuning: Tuning) -> bool:
    measure_pitch(PackedCorpus(tuning.packed))
    return True


def _flow_task(tuning: Tuning) -> FlowTask:
    mix = FlowMixConfig(tokens_per_batch=280, join_share=0.3)
    config = FlowTrainConfig(
        mix=mix,
        odds=FlowOdds(longest_prompt=0.5),
        optim=OptimConfig(rate=4e-4, weight_decay=0.02),
        mean_weight=1.0,
        start_from=str(tuning.base),
    )
    return FlowTask(FlowSampler(PackedCorpus(tuning.packed), TokenCorpus(tuning.codes), mix), config)


def _vocoder_task(tuning: Tuning) -> VocoderTask:
    config = VocoderTrainConfig(
        crops=CropConfig(batch=6, frames=15, warp_share=0.1),
        optim=OptimConfig(rate=2e-4, beta1=0.8, weight_decay=0.01, final=0.03),
        pitch_crops=8,
        predicted_after=0.0,
        adversarial_after=0.4,
        start_from=str(tuning.base),
    )
    return VocoderTask(PackedCorpus(tuning.packed), config)


def _lm_task(tuning: Tuning, budget: Budget) -> CosyVoiceLMTask:
    sizes = find_start(str(tuning.base)).trained_sizes
    recipe = CosyVoiceLMRecipe(
        "cosyvoice",
        budget,
        CosyVoiceMix(clone_share=0.6, instruct_share=0.0, tokens_per_batch=1500, candidates=24),
        optim=OptimConfig(rate=tuning.rate(sizes.hidden_size), weight_decay=0.01, warmup=0.05),
        phone_weight=0.0,
        phone_final=0.0,
        dropout=0.1,
        misread_share=0.15,
        code_levels=1,
        adapter=tuning.adapter,
        start_from=str(tuning.base),
    )
    return make_lm_task(recipe, Sources(codes=tuning.codes))


def assemble(tuning: Tuning, out: Path, card: str) -> Path:
    """Write the tuned model's folder, in half precision; returns it."""
    base = load_model(tuning.base, "cpu", "float32")
    lm = load_lm(tuning.run(LM), base.config.lm)
    flow, hift = load_flow(tuning.run("flow")), load_hift_folder(tuning.run("vocoder"))
    prior = fit_length_prior(TokenCorpus(tuning.codes), base.parts.tokenizer, tuning.speaker)
    config = replace(base.config, name=out.name, default_voice="", expected=Expected(prior))
    parts = replace(base.parts, config=config, lm=lm, flow=flow, hift=hift, voices={})
    tuned = CosyVoiceModel(parts, Placement(torch.device("cpu"), torch.float32))
    corpus = PackedCorpus(tuning.packed)
    entry = reference_entry(corpus)
    reference = tuned.refer(entry.text, corpus.samples(entry), corpus.config.sample_rate)
    voice = Voice(tuning.speaker, tuning.description, (reference,), entry.language)
    parts = replace(
        tuned.parts,
        config=replace(config, default_voice=tuning.speaker),
        voices={voice.name: voice},
        lm=tuned.parts.lm.half(),
    )
    half = torch.float16
    return save_model(CosyVoiceModel(parts, Placement(torch.device("cpu"), half)), out, card, half)
