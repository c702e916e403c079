"""The last step of the CosyVoice recipe: five trained parts, voices and card become one model folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import torch
from tqdm import tqdm

from parlando.core.config import from_mapping, read_json
from parlando.core.errors import ConfigError, FileMissingError
from parlando.core.types import Reference, SamplingOptions, Voice
from parlando.data.shards import PackedCorpus
from parlando.data.tokens import TokenCorpus
from parlando.models.cosyvoice.build import CosyVoiceModel, Parts, build_tokenizer, save_model
from parlando.models.cosyvoice.config import PUBLISHED_SAMPLING, CosyVoiceConfig, LMConfig
from parlando.models.cosyvoice.lm_weights import load_lm
from parlando.models.cosyvoice.parts.hift_weights import load_hift_folder
from parlando.models.cosyvoice.parts.part_weights import load_flow, load_speaker, load_speech_tokenizer
from parlando.nn.placement import Placement
from parlando.text.length import Expected
from parlando.train.cosyvoice.start import read_text
from parlando.train.loop.recipe import Sources
from parlando.train.shared.length_prior import fit_length_prior

DTYPE = torch.float16


@dataclass(frozen=True)
class PresetVoice:
    """A named voice: what is said of it, the utterance of the corpus that it follows, and what people are shown."""

    description: str
    utterance: str
    display_name: str | None = None


@dataclass(frozen=True)
class FlowSettings:
    """How the flow is solved, where that differs from what its training had."""

    solver_steps: int | None = None
    guidance: float | None = None
    temperature: float | None = None


@dataclass(frozen=True)
class CosyVoiceModelRecipe:
    """What a finished model is called and how it is used: its voices, its sampling, and how its flow is solved."""

    family: Literal["cosyvoice"]
    name: str
    default_voice: str
    voices: Mapping[str, PresetVoice]
    sampling: SamplingOptions = PUBLISHED_SAMPLING
    flow: FlowSettings = field(default_factory=FlowSettings)
    card: str | None = None


def assemble_model(recipe: CosyVoiceModelRecipe, sources: Sources, out: Path) -> Path:
    """Write the model's folder in half precision; returns it.

    Raises:
        FileMissingError: a run has exported nothing yet.
        CheckpointError: tensors do not fit their config, or parts do not fit each other.
        ConfigError: a voice names no utterance of the corpus.
    """
    model = CosyVoiceModel(_parts(recipe, sources), Placement(torch.device("cpu"), torch.float32))
    voices = _voices(recipe, model, PackedCorpus(sources.need("corpus")))
    config = replace(model.config, default_voice=recipe.default_voice)
    parts = replace(model.parts, config=config, voices=voices, lm=model.parts.lm.to(DTYPE))
    card = Path(recipe.card).read_text(encoding="utf-8") if recipe.card else None
    return save_model(CosyVoiceModel(parts, Placement(torch.device("cpu"), DTYPE)), out, card, DTYPE)


def _parts(recipe: CosyVoiceModelRecipe, sources: Sources) -> Parts:
    """All parts, still without voices."""
    folder = sources.need("lm")
    file = folder / "lm.json"
    if not file.is_file():
        raise FileMissingError(file, "language model's settings")
    lm = from_mapping(LMConfig, read_json(file), str(file))
    text = read_text(folder)
    tokenizer = build_tokenizer(text, folder)
    flow, hift = load_flow(sources.need("flow")), load_hift_folder(sources.need("vocoder"))
    flow.config = replace(flow.config, **{key: value for key, value in vars(recipe.flow).items() if value is not None})
    speech_tokenizer, speaker = (
        load_speech_tokenizer(sources.need("speech_tokenizer")),
        load_speaker(sources.need("speaker")),
    )
    prior = fit_length_prior(TokenCorpus(sources.need("codes")), tokenizer, recipe.default_voice)
    config = CosyVoiceConfig(
        name=recipe.name,
        lm=lm,
        flow=flow.config,
        hift=hift.config,
        speech_tokenizer=speech_tokenizer.config,
        speaker=speaker.config,
        text=text,
        default_voice="",
        sampling=recipe.sampling,
        expected=Expected(prior),
    )
    return Parts(config, load_lm(folder, lm), flow, hift, speech_tokenizer, speaker, tokenizer)


def _voices(recipe: CosyVoiceModelRecipe, model: CosyVoiceModel, corpus: PackedCorpus) -> dict[str, Voice]:
    entries = {entry.id: entry for entry in corpus.entries}
    missing = [voice.utterance for voice in recipe.voices.values() if voice.utterance not in entries]
    if missing:
        raise ConfigError(f"the corpus has no utterance '{missing[0]}'; name one of its index.jsonl")
    voices = {}
    for name, voice in tqdm(recipe.voices.items(), desc="voices", unit="voice"):
        entry = entries[voice.utterance]
        reference: Reference = model.refer(entry.text, corpus.samples(entry), corpus.config.sample_rate)
        voices[name] = Voice(name, voice.description, (reference,), display_name=voice.display_name)
    return voices
