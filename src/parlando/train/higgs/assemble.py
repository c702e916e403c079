"""The last step of a recipe: codec, language model, voices and card become one model folder in half precision."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import torch

from parlando.core.config import from_mapping, read_json
from parlando.core.errors import PromptTooLongError
from parlando.core.types import Prompt, SamplingOptions, Voice
from parlando.data.tokens import TokenCorpus
from parlando.models.higgs.build import TOKENIZER_FILE, HiggsModel, Parts, build_tokenizer, save_model
from parlando.models.higgs.config import HiggsConfig, LMConfig
from parlando.models.higgs.lm import HiggsLM
from parlando.models.higgs.prompt import HiggsPromptBuilder, PromptConfig
from parlando.models.higgs.tokenizer import TextTokenizer
from parlando.nn.placement import Placement
from parlando.text.length import Expected
from parlando.text.normalize import normalize
from parlando.train.higgs.encoders import load_any_codec
from parlando.train.higgs.reading_head import find_reading_head
from parlando.train.higgs.start import read_text
from parlando.train.loop.checkpoint import load_weights
from parlando.train.loop.recipe import Sources
from parlando.train.shared.length_prior import fit_length_prior

READING_SENTENCES = 8


@dataclass(frozen=True)
class ModelRecipe:
    """What a finished model is called and how it is used: its voices' descriptions and its manner of sampling.

    ``display_names`` are what people are shown for voices whose names are no people's.
    """

    name: str
    default_voice: str
    voices: Mapping[str, str]
    display_names: Mapping[str, str] = field(default_factory=dict)
    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    card: str | None = None
    family: Literal["higgs"] = "higgs"


def assemble_model(recipe: ModelRecipe, sources: Sources, out: Path) -> Path:
    """Write the model's folder; ``codec`` and ``lm`` are runs' folders, ``codes`` the corpus the language model saw.

    Raises:
        FileMissingError: a run has exported nothing yet.
        CheckpointError: tensors do not fit their config.
    """
    trained, lm = load_any_codec(sources.need("codec")), sources.need("lm")
    text = read_text(lm)
    tokenizer = build_tokenizer(text, lm)
    lm_config = from_mapping(LMConfig, read_json(lm / "lm.json"), str(lm / "lm.json"))
    model = HiggsLM(lm_config)
    load_weights(model, lm / "lm.safetensors")
    corpus = TokenCorpus(sources.need("codes"))
    prior = fit_length_prior(corpus, tokenizer, recipe.default_voice)
    if lm_config.reading_head is None:
        head = find_reading_head(model, _spoken(corpus, lm_config, tokenizer, recipe))
        lm_config = replace(lm_config, reading_head=head)
    config = HiggsConfig(
        name=recipe.name,
        lm=lm_config,
        codec=trained.config,
        text=text,
        default_voice=recipe.default_voice,
        sampling=recipe.sampling,
        expected=Expected(prior),
    )
    shown = recipe.display_names
    voices = {name: Voice(name, text, display_name=shown.get(name)) for name, text in recipe.voices.items()}
    file = lm / TOKENIZER_FILE
    parts = Parts(config, model, trained.half(), tokenizer, voices, file if file.is_file() else None)
    card = Path(recipe.card).read_text(encoding="utf-8") if recipe.card else None
    return save_model(HiggsModel(parts, Placement(torch.device("cpu"), torch.float16)), out, card)


def _spoken(corpus: TokenCorpus, config: LMConfig, tokenizer: TextTokenizer, recipe: ModelRecipe) -> list[Prompt]:
    """Some sentences of the default voice, with their speech."""
    sizes = PromptConfig(config.num_codebooks, config.codebook_size, config.context_length)
    builder = HiggsPromptBuilder(tokenizer, sizes)
    voice = Voice(recipe.default_voice, recipe.voices.get(recipe.default_voice))
    chosen = [s for s in corpus.utterances if s.speaker == voice.name and s.speed == 1.0]
    prompts: list[Prompt] = []
    for utterance in chosen:
        text = normalize(utterance.text)
        with suppress(PromptTooLongError):
            positions = builder.build(text, voice).sentence_positions
            example = builder.build_training(text, voice, corpus.codes(utterance))
            prompts.append(replace(example.prompt, sentence_positions=positions))
        if len(prompts) == READING_SENTENCES:
            break
    return prompts
