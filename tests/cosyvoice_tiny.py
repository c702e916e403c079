"""A whole CosyVoice model with random weights, small enough for a test."""

from __future__ import annotations

import numpy as np

from parlando.core.types import Reference, SamplingOptions, Voice
from parlando.models.cosyvoice.build import CosyVoiceModel, new_model
from parlando.models.cosyvoice.config import CosyVoiceConfig, LMConfig
from parlando.models.cosyvoice.parts.campplus import CampPlusConfig
from parlando.models.cosyvoice.parts.flow import FlowConfig
from parlando.models.cosyvoice.parts.flow_encoder import FlowEncoderConfig
from parlando.models.cosyvoice.parts.flow_estimator import EstimatorConfig
from parlando.models.cosyvoice.parts.hift import HiFTConfig
from parlando.models.cosyvoice.parts.speech_tokenizer import SpeechTokenizerConfig
from parlando.models.cosyvoice.tokenizer import PhonemeTextConfig
from parlando.models.cosyvoice.voices import MEL, SPEAKER
from parlando.text.length import Expected, LengthPrior

LEVELS, SPEAKER_DIM, MEL_BINS = (3,) * 4, 16, 80
ENCODER = FlowEncoderConfig(
    input_dim=16, dim=16, num_heads=2, inner_dim=32, num_layers=1, num_up_layers=1, chunk_tokens=5
)
FLOW = FlowConfig(
    vocab_size=81,
    speaker_dim=SPEAKER_DIM,
    solver_steps=2,
    encoder=ENCODER,
    estimator=EstimatorConfig(dim=16, num_heads=2, head_dim=8, num_mid_stages=1, layers_per_stage=1),
)
HIFT = HiFTConfig(channels=16, pitch_channels=16, kernels=(3,), dilations=((1,),), source_dilations=((1,),) * 3)
SPEECH_TOKENIZER = SpeechTokenizerConfig(hidden_size=16, num_heads=2, num_layers=1, memory_kernel=3, levels=LEVELS)
SPEAKER_NET = CampPlusConfig(
    embedding_size=SPEAKER_DIM, growth=4, initial_channels=8, head_channels=4, layers=(1, 1, 1), segment_frames=20
)
LM = LMConfig(
    vocab_size=160,
    hidden_size=32,
    num_layers=2,
    num_heads=2,
    num_kv_heads=1,
    head_dim=16,
    intermediate_size=64,
    codebook_size=81,
    context_length=512,
    group_text_tokens=10,
    max_frames_per_token=2.5,
    min_frames_per_token=1.0,
)


def tiny_config() -> CosyVoiceConfig:
    return CosyVoiceConfig(
        name="tiny-cosy",
        lm=LM,
        flow=FLOW,
        hift=HIFT,
        speech_tokenizer=SPEECH_TOKENIZER,
        speaker=SPEAKER_NET,
        text=PhonemeTextConfig(),
        default_voice="anna",
        sampling=SamplingOptions(temperature=1.0, top_k=25, top_p=0.8, repetition_window=10, repetition_limit=2),
        expected=Expected(LengthPrior(base_frames=2.0, frames_per_unit=1.5, frames_per_pause=3.0)),
    )


def tiny_voices() -> dict[str, Voice]:
    """One voice that follows a clip of ten tokens, and one with an embedding alone."""
    draws = np.random.default_rng(1)
    speaker = draws.standard_normal(SPEAKER_DIM).astype(np.float32)
    mel = draws.standard_normal((20, MEL_BINS)).astype(np.float16).astype(np.float32) - 4.0
    clip = Reference("Good morning.", draws.integers(0, 81, (1, 10)), {MEL: mel, SPEAKER: speaker})
    preset = Reference("", np.zeros((1, 0), np.int64), {SPEAKER: -speaker})
    return {
        "anna": Voice("anna", "a calm woman", (clip,)),
        "bert": Voice("bert", "a man, preset", (preset,)),
    }


def tiny_cosyvoice(seed: int = 0) -> CosyVoiceModel:
    return new_model(tiny_config(), tiny_voices(), "cpu", seed=seed)
