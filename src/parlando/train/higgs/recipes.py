"""Recipes: one strict TOML file per training, and what turns it into a task and a budget."""

from __future__ import annotations

import tomllib
import typing
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from parlando.core.config import from_mapping, read_json
from parlando.core.errors import ConfigError, FileMissingError
from parlando.data.shards import PackedCorpus
from parlando.data.tokens import TokenCorpus
from parlando.models.higgs.config import LMConfig
from parlando.models.higgs.parts.spectral import SpectralCodec, SpectralCodecConfig
from parlando.models.higgs.prompt import HiggsPromptBuilder, PromptConfig
from parlando.models.higgs.tokenizer import PhonemeTokenizer, default_phoneme_config
from parlando.nn.rope import RopeConfig
from parlando.train.higgs.codec import CodecTask, CodecTrainConfig
from parlando.train.higgs.lm import LMTask, LMTrainConfig
from parlando.train.higgs.lm_examples import ExampleSampler, MixConfig
from parlando.train.higgs.voice_transfer_task import RevoicerTask, RevoicerTrainConfig, StretchSampler
from parlando.train.loop.checkpoint import load_weights
from parlando.train.loop.optim import OptimConfig
from parlando.train.loop.trainer import Budget


@dataclass(frozen=True)
class CodecRecipe:
    """A codec training and its budget."""

    budget: Budget
    train: CodecTrainConfig = field(default_factory=CodecTrainConfig)


@dataclass(frozen=True)
class RevoicerRecipe:
    """A revoicer training and its budget."""

    budget: Budget
    train: RevoicerTrainConfig = field(default_factory=RevoicerTrainConfig)


@dataclass(frozen=True)
class LMSizes:
    """The sizes of a small language model; everything else follows from the tokenizer and the codec."""

    hidden_size: int = 256
    num_layers: int = 6
    num_heads: int = 4
    intermediate_size: int = 768
    context_length: int = 1024
    rope_theta: float = 10_000.0


@dataclass(frozen=True)
class LMRecipe:
    """A language-model training and its budget."""

    budget: Budget
    mix: MixConfig
    sizes: LMSizes = field(default_factory=LMSizes)
    optim: OptimConfig = field(default_factory=lambda: OptimConfig(rate=1.2e-3))
    first_weight: float = 2.0
    phone_weight: float = 0.5
    phone_final: float = 0.1
    dropout: float = 0.0
    start_from: str | None = None
    family: Literal["higgs"] = "higgs"


def read_recipe(kind: type[Any], path: Path) -> Any:
    """Read a recipe file.

    Raises:
        FileMissingError: there is no such file.
        ConfigError: it is not TOML, or holds an unknown or missing key.
    """
    return from_mapping(kind, _read_toml(path), str(path))


def by_family(*kinds: type[Any]) -> dict[str, type[Any]]:
    """Kinds of recipes under the families that their ``family`` names, in their order."""
    return {typing.get_args(typing.get_type_hints(kind)["family"])[0]: kind for kind in kinds}


def family_of(path: Path, families: Collection[str]) -> str:
    """Whose recipe a file holds: its ``family``, the first of the families if it names none.

    Raises:
        FileMissingError: there is no such file.
        ConfigError: it is not TOML, or names another family.
    """
    family = _read_toml(path).get("family", next(iter(families)))
    if family not in families:
        raise ConfigError(f"{path}.family: {family!r} is not one of {', '.join(families)}")
    return str(family)


def _read_toml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileMissingError(path, "recipe")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error


def load_trained_codec(folder: Path) -> SpectralCodec:
    """The codec that a training exported.

    Raises:
        FileMissingError: the folder holds none.
        CheckpointError: the tensors do not fit the config.
    """
    codec = SpectralCodec(_codec_config(folder))
    load_weights(codec, folder / "codec.safetensors")
    return codec.eval()


def _codec_config(folder: Path) -> SpectralCodecConfig:
    return from_mapping(SpectralCodecConfig, read_json(folder / "codec.json"), str(folder / "codec.json"))


def small_lm_config(sizes: LMSizes, tokenizer: PhonemeTokenizer, num_codebooks: int, codebook_size: int) -> LMConfig:
    """Fill in what the tokenizer and the codec decide; the vocabulary is padded to a multiple of eight."""
    return LMConfig(
        vocab_size=-(-tokenizer.vocab_size // 8) * 8,
        hidden_size=sizes.hidden_size,
        num_layers=sizes.num_layers,
        num_heads=sizes.num_heads,
        num_kv_heads=sizes.num_heads,
        head_dim=sizes.hidden_size // sizes.num_heads,
        intermediate_size=sizes.intermediate_size,
        num_codebooks=num_codebooks,
        codebook_size=codebook_size,
        context_length=sizes.context_length,
        audio_out_id=tokenizer.audio_out,
        audio_out_bos_id=tokenizer.audio_out_bos,
        eot_id=tokenizer.eot,
        end_of_text_id=tokenizer.end_of_text,
        audio_in_id=tokenizer.audio_in,
        audio_bos_id=tokenizer.audio_bos,
        audio_eos_id=tokenizer.audio_eos,
        rope=RopeConfig(theta=sizes.rope_theta),
    )


def make_codec_task(recipe: CodecRecipe, packed: Path) -> CodecTask:
    """The task of a codec recipe on a packed corpus; one that starts from a codec has that codec's sizes.

    Raises:
        ConfigError: an adversarial recipe starts from no codec, so there would be no codes to decode.
    """
    train = recipe.train
    if train.start_from:
        train = replace(train, codec=_codec_config(Path(train.start_from)))
    elif train.adversarial:
        raise ConfigError("an adversarial training tunes a trained codec; name its folder with --from")
    return CodecTask(PackedCorpus(packed), train)


def make_revoicer_task(recipe: RevoicerRecipe, packed: Path, codes: Path) -> RevoicerTask:
    """The task of a revoicer recipe on a packed corpus and its codes."""
    sampler = StretchSampler(PackedCorpus(packed), TokenCorpus(codes), recipe.train)
    return RevoicerTask(sampler, recipe.train)


def make_lm_task(recipe: LMRecipe, codes: Path, codec: Path) -> LMTask:
    """The task of a language-model recipe on an encoded corpus and the codec that encoded it."""
    codec_config = _codec_config(codec)
    tokenizer = PhonemeTokenizer(default_phoneme_config())
    lm = small_lm_config(recipe.sizes, tokenizer, codec_config.num_codebooks, codec_config.codebook_size)
    prompt = PromptConfig(codec_config.num_codebooks, codec_config.codebook_size, recipe.sizes.context_length)
    sampler = ExampleSampler(TokenCorpus(codes), HiggsPromptBuilder(tokenizer, prompt), recipe.mix)
    config = LMTrainConfig(
        lm,
        optim=recipe.optim,
        first_weight=recipe.first_weight,
        phone_weight=recipe.phone_weight,
        phone_final=recipe.phone_final,
        dropout=recipe.dropout,
        start_from=recipe.start_from,
        frame_rate=codec_config.sample_rate / (codec_config.hop_samples * codec_config.stride),
    )
    return LMTask(sampler, config)
