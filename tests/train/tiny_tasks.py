"""Tasks small enough to train in a test."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from parlando.data.sampler import CropConfig
from parlando.data.tokens import EncodedUtterance, TokenCorpus
from parlando.models.higgs.parts.spectral import SpectralCodecConfig
from parlando.models.higgs.prompt import HiggsPromptBuilder, PromptConfig
from parlando.models.higgs.tokenizer import PhonemeTokenizer, default_phoneme_config
from parlando.train.higgs.codec import CodecTask, CodecTrainConfig
from parlando.train.higgs.lm import LMTask, LMTrainConfig
from parlando.train.higgs.lm_examples import ExampleSampler, MixConfig
from parlando.train.higgs.lm_recipe import LMSizes, small_lm_config
from parlando.train.higgs.start import find_start

CODEBOOKS, CODES = 3, 16
CODEC = SpectralCodecConfig(
    num_bands=12,
    num_codebooks=2,
    codebook_size=8,
    latent_dim=6,
    fine_dim=8,
    coarse_dim=8,
    hidden_dim=12,
    encoder_fine_blocks=1,
    encoder_coarse_blocks=1,
    decoder_coarse_blocks=1,
    decoder_fine_blocks=2,
    mel_after_blocks=1,
)
CROPS = CropConfig(batch=2, frames=5, held_out_batch=2)
MIX = MixConfig(
    {"slt": "a young American woman, bright and even", "rms": "an American man, steady and warm"},
    masculine=("rms",),
    tokens_per_batch=160,
    candidates=4,
)


def codec_task(packed, **changes) -> CodecTask:
    return CodecTask(packed, replace(CodecTrainConfig(codec=CODEC, crops=CROPS), **changes))


def example_sampler(codes: Path, **changes) -> ExampleSampler:
    builder = HiggsPromptBuilder(PhonemeTokenizer(default_phoneme_config()), PromptConfig(CODEBOOKS, CODES, 512))
    return ExampleSampler(TokenCorpus(codes), builder, replace(MIX, **changes))


def lm_config(tokenizer):
    sizes = LMSizes(hidden_size=8, num_layers=1, num_heads=2, intermediate_size=16, context_length=512)
    return small_lm_config(sizes, tokenizer, CODEBOOKS, CODES)


def lm_task(codes: Path, start_from: str | None = None, **changes) -> LMTask:
    sampler = example_sampler(codes)
    config = LMTrainConfig(lm_config(sampler.builder.tokenizer), **changes)
    return LMTask(sampler, config, find_start(start_from))


def write_codes(
    folder: Path,
    rows: list[tuple[str, str, float, str]],
    generator: np.random.Generator,
    books: tuple[int, int] = (CODEBOOKS, CODES),
) -> Path:
    """An encoded corpus of (id, speaker, speed, text) with random codes; the last sentence is for validation."""
    start, spoken = 0, []
    for name, speaker, speed, text in rows:
        frames = int(generator.integers(8, 20))
        split = "validation" if text == rows[-1][3] else "train"
        spoken.append(EncodedUtterance(name, speaker, speed, "en", text, split, start, frames))
        start += frames
    generator.integers(books[1], size=(start, books[0])).astype(np.int16).tofile(folder / "codes.i16")
    generator.choice([0, 5, 20, 255], size=start).astype(np.uint8).tofile(folder / "labels.u8")
    (folder / "index.jsonl").write_text("".join(json.dumps(asdict(s)) + "\n" for s in spoken))
    (folder / "codes.json").write_text(json.dumps({"num_codebooks": books[0], "codebook_size": books[1]}))
    return folder
