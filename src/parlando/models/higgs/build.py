"""A folder becomes a model: every part read strictly, and put together; and a model becomes a folder."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch

from parlando.audio.clip import as_mono
from parlando.audio.resample import resample
from parlando.core.config import read_json, to_mapping
from parlando.core.errors import AudioError, CheckpointError, ConfigError
from parlando.core.folder import whole_folder, write_json
from parlando.core.stages import ArrivingPromptBuilder, Converter, PromptBuilder, TokenLM, WaveDecoder, WaveStream
from parlando.core.types import Frame, Notation, Prompt, Reference, SamplingOptions, Voice
from parlando.core.voicefile import write_voices
from parlando.models.higgs.config import HiggsConfig, parse_higgs_config
from parlando.models.higgs.decoder import HiggsDecoder
from parlando.models.higgs.lm import HiggsLM
from parlando.models.higgs.lm_inference import HiggsTokenLM
from parlando.models.higgs.lm_weights import ADAPTER_NAMES, LM_FILE, load_lm, load_published_lm, save_lm
from parlando.models.higgs.parts.codec import CodecModule, build_codec
from parlando.models.higgs.parts.codec_config import is_audio_tokenizer
from parlando.models.higgs.parts.codec_weights import load_codec, load_published_codec, save_codec
from parlando.models.higgs.parts.delay import build_delay
from parlando.models.higgs.prompt import HiggsPromptBuilder, PromptConfig
from parlando.models.higgs.sampler import HiggsSampler
from parlando.models.higgs.tokenizer import (
    HubTextConfig,
    HubTokenizer,
    PhonemeTextConfig,
    PhonemeTokenizer,
    TextTokenizer,
)
from parlando.models.higgs.voices import VOICES_FILE, check_voices, load_voices
from parlando.models.options import PLAIN, ModelOptions, read_card
from parlando.nn.checkpoint import exact_dtype
from parlando.nn.few_bits import Kind
from parlando.nn.placement import Placement, is_large
from parlando.nn.quantized import check_kind, quantize
from parlando.text.length import LengthPrior
from parlando.text.lists import ITEMS_AT_ONCE

CONFIG_FILE, TOKENIZER_FILE, CARD_FILE = "config.json", "tokenizer.json", "card.md"
CODEC_FOLDERS = ("audio_tokenizer", "codec")
PUBLISHED_VOICE = "default"
SHARED_IDS = ("audio_in", "audio_out", "audio_out_bos", "audio_bos", "audio_eos", "eot")


@dataclass(frozen=True)
class Parts:
    """What a checkpoint is made of. ``tokenizer_file`` is the file of a tokenizer that has one."""

    config: HiggsConfig
    lm: HiggsLM
    codec: CodecModule
    tokenizer: TextTokenizer
    voices: Mapping[str, Voice]
    tokenizer_file: Path | None = None


class HiggsModel:
    """A loaded Higgs checkpoint (a `core.stages.Model`)."""

    family = "higgs"

    def __init__(self, parts: Parts, placement: Placement) -> None:
        """Move the parts to their place and wire them up.

        Raises:
            CheckpointError: the parts do not belong together.
        """
        _check_fit(parts)
        config = parts.config
        self.parts, self.config, self.name = parts, config, config.name
        self.device = placement.device
        self.codec = parts.codec.to(placement.device).eval().requires_grad_(False)
        lm = parts.lm.to(placement.device, placement.dtype).eval().requires_grad_(False)
        self.lm = cast("TokenLM", HiggsTokenLM(lm, static=placement.records))
        self.decoder: WaveDecoder = HiggsDecoder(self.codec)
        self.tokenizer = parts.tokenizer
        prompts = HiggsPromptBuilder(parts.tokenizer, _prompt_config(config))
        self.prompts: PromptBuilder = prompts
        self.chat = prompts.chat
        self.voices: Mapping[str, Voice] = dict(parts.voices)
        self.default_voice, self.sampling = config.default_voice, config.sampling
        self.needs_transcript = config.references_in == "turns"
        self.takes_instructions = not self.speaks_utterances
        self.arriving: ArrivingPromptBuilder | None = None
        self.converter: Converter | None = None
        self.notation = Notation(
            phones=self.speaks_utterances, list_items=ITEMS_AT_ONCE if self.speaks_utterances else 0
        )
        self.sample_rate, self.samples_per_frame = self.codec.sample_rate, self.codec.samples_per_frame
        self.frame_rate = self.sample_rate / self.samples_per_frame
        self.codebook_sizes = (config.lm.codebook_size,) * config.lm.num_codebooks

    @property
    def speaks_utterances(self) -> bool:
        """Whether it was trained on single utterances rather than on conversations."""
        return isinstance(self.config.text, PhonemeTextConfig)

    def new_sampler(self, prompt: Prompt, options: SamplingOptions) -> HiggsSampler:
        """A sampler for one request that ends with its clip."""
        return HiggsSampler(self.config.lm, prompt, options, self.config.prompt_layout)

    def new_chat_sampler(self, prompt: Prompt, options: SamplingOptions) -> HiggsSampler:
        """A sampler for a reply that goes on in text around its clips, where the model has a text head."""
        only_speech = not self.config.lm.text_head
        return HiggsSampler(self.config.lm, prompt, options, self.config.prompt_layout, only_speech)

    @torch.inference_mode()
    def encode(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        """Codes (int64 [codebook, frame]) of a mono clip (float32 [n]) at any rate.

        Raises:
            AudioError: the clip is shorter than one frame, or not finite.
        """
        mono = resample(as_mono(samples), sample_rate, self.sample_rate)
        if len(mono) < self.samples_per_frame:
            raise AudioError(f"a clip of {len(mono)} samples is shorter than one frame; give at least a second")
        wave = torch.from_numpy(mono)[None].to(self.device)
        return self.codec.encode(wave)[0].cpu().numpy().astype(np.int64)

    def recode(self, samples: np.ndarray, sample_rate: int) -> tuple[list[Frame], WaveStream]:
        """A clip as delayed frames, and a stream that decodes them; errors as for `encode`."""
        lm = self.config.lm
        delayed = build_delay(self.encode(samples, sample_rate), lm.stream_bos, lm.stream_eos)
        frames = [Frame(lm.audio_out_id, tuple(int(code) for code in column)) for column in delayed.T]
        nothing = Prompt((), np.zeros(0, dtype=bool), np.zeros((0, len(delayed)), dtype=np.int64))
        return frames, self.decoder.open(nothing)

    def refer(self, text: str, samples: np.ndarray, sample_rate: int) -> Reference:
        """What a voice that follows a clip is made of: its words and codes; errors as for `encode`."""
        return Reference(text, self.encode(samples, sample_rate))


def load_model(
    folder: Path, device: str | None = None, dtype: str | None = None, options: ModelOptions = PLAIN
) -> HiggsModel:
    """Load a folder in our own layout, or a published one with the audio tokenizer's folder inside it.

    Raises:
        FileMissingError: a file is not there.
        ConfigError: a config has an unknown key or a value that does not fit, or there is no such device or dtype.
        CheckpointError: tensors are missing, unexpected or misshapen, or the parts do not belong together.
    """
    if "family" not in read_json(folder / CONFIG_FILE):
        return load_published(folder, _codec_folder(folder), folder, device, dtype, options)
    placement = Placement.choose(device, dtype, large=is_large(folder / LM_FILE))
    return HiggsModel(_as_asked(read_parts(folder), placement, options), options.placed(placement))


def read_parts(folder: Path) -> Parts:
    """The parts of a folder in our own layout; errors as for `load_model`."""
    config = parse_higgs_config(read_json(folder / CONFIG_FILE), str(folder / CONFIG_FILE))
    file = folder / TOKENIZER_FILE
    return Parts(
        config=config,
        lm=load_lm(folder, config.lm, quantized=config.quantize),
        codec=load_codec(folder, config.codec),
        tokenizer=build_tokenizer(config.text, folder),
        voices=load_voices(folder, config.lm, config.default_voice),
        tokenizer_file=file if file.is_file() else None,
    )


def load_published(
    lm_folder: Path,
    codec_folder: Path,
    text_folder: Path,
    device: str | None = None,
    dtype: str | None = None,
    options: ModelOptions = PLAIN,
) -> HiggsModel:
    """Load a published checkpoint, in the original or the transformers layout, from its three folders.

    Raises:
        FileMissingError, ConfigError, CheckpointError: as for `load_model`.
    """
    placement = Placement.choose(device, dtype, large=True)
    parts = read_published_parts(lm_folder, codec_folder, text_folder)
    return HiggsModel(_as_asked(parts, placement, options), options.placed(placement))


def read_published_parts(lm_folder: Path, codec_folder: Path, text_folder: Path) -> Parts:
    """The parts of a published checkpoint; errors as for `load_model`."""
    lm = load_published_lm(lm_folder)
    codec, tokenizer = load_published_codec(codec_folder), HubTokenizer(text_folder)
    named = {f"{name}_id": getattr(tokenizer, name) for name in ("audio_in", "audio_bos", "audio_eos")}
    config = HiggsConfig(
        name=lm_folder.name,
        lm=replace(lm.config, **{key: token for key, token in named.items() if getattr(lm.config, key) is None}),
        codec=codec.config,
        text=HubTextConfig(),
        default_voice=PUBLISHED_VOICE,
        prompt_layout="original" if lm.config.delay_id is None else "transformers",
    )
    voices = {PUBLISHED_VOICE: Voice(PUBLISHED_VOICE)}
    file = text_folder / TOKENIZER_FILE
    return Parts(config, lm, codec, tokenizer, voices, file)


def new_model(
    config: HiggsConfig, voices: Mapping[str, Voice], device: str | None = None, dtype: str | None = None, seed: int = 0
) -> HiggsModel:
    """An untrained model with random weights: to train, to test, to measure speed; phoneme text only.

    Raises:
        ConfigError: the config's text needs a file, or as for `load_model`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        codec = build_codec(config.codec)
        # Codebooks begin at zero, since training sets them from data; a random model must tell its codes apart.
        for name, buffer in codec.named_buffers():
            if name.endswith("codebook.embed"):
                buffer.normal_()
        parts = Parts(config, HiggsLM(config.lm), codec, build_tokenizer(config.text, None), voices)
    return HiggsModel(parts, Placement.choose(device, dtype))


def save_model(model: HiggsModel, folder: Path, card: str | None = None) -> Path:
    """Write a model in our own layout; returns the folder; see `save_parts`."""
    return save_parts(model.parts, folder, card)


def save_parts(parts: Parts, folder: Path, card: str | None = None) -> Path:
    """Write a model's parts in our own layout; returns the folder. Files appear only when all of them are written.

    Raises:
        FileMissingError: the folder to put it in is not there.
    """
    with whole_folder(folder, optional=(TOKENIZER_FILE, CARD_FILE)) as partial:
        write_json(partial / CONFIG_FILE, to_mapping(parts.config))
        save_lm(parts.lm, partial)
        save_codec(parts.codec, partial)
        write_voices(partial / VOICES_FILE, parts.voices)
        if parts.tokenizer_file is not None:
            shutil.copy(parts.tokenizer_file, partial / TOKENIZER_FILE)
        if card is not None:
            (partial / CARD_FILE).write_text(card, encoding="utf-8")
    return folder


def build_tokenizer(text: PhonemeTextConfig | HubTextConfig, folder: Path | None) -> TextTokenizer:
    """The tokenizer that a config's ``text`` table describes.

    Raises:
        ConfigError: it needs a file and there is no folder.
        FileMissingError: the tokenizer's file is not in the folder.
    """
    if isinstance(text, PhonemeTextConfig):
        return PhonemeTokenizer(text)
    if folder is None:
        raise ConfigError("text.kind: 'hub' needs its tokenizer.json; load the model from a folder, or use 'phonemes'")
    return HubTokenizer(folder)


def _as_asked(parts: Parts, placement: Placement, options: ModelOptions) -> Parts:
    """The parts with the language model's adapter, in the dtype in which it will compute, and then in few bits."""
    where = f"model '{parts.config.name}'"
    if options.flow:
        raise ConfigError(f"{where} has no flow; leave the options of one out")
    options.check(parts.config.quantize, placement.device, where)
    lm = parts.lm
    if options.adapter is not None:
        lm = options.adapter.given_to(lm.to(dtype=placement.dtype), ADAPTER_NAMES)
    return quantized_parts(replace(parts, lm=lm), options.quantize)


def quantized_parts(parts: Parts, kind: Kind | None) -> Parts:
    """The parts, the language model kept in few bits; the codec makes the sound and stays as it is."""
    if kind is None or parts.config.quantize is not None:
        return parts
    quantize(parts.lm, kind)
    return replace(parts, config=replace(parts.config, quantize=kind))


def quantize_folder(folder: Path, out: Path, kind: Kind) -> Path:
    """Write the model of a folder, of any layout, in our own, with its weights in few bits; returns the folder.

    Raises:
        FileMissingError, ConfigError, CheckpointError: as for `load_model`.
    """
    if "family" in read_json(folder / CONFIG_FILE):
        parts = read_parts(folder)
    else:
        parts = read_published_parts(folder, _codec_folder(folder), folder)
    check_kind(kind, parts.config.quantize, f"model '{parts.config.name}'")
    parts = replace(quantized_parts(parts, kind), codec=parts.codec.to(exact_dtype(parts.codec)))
    return save_parts(parts, out, read_card(folder))


def _prompt_config(config: HiggsConfig) -> PromptConfig:
    return PromptConfig(
        num_codebooks=config.lm.num_codebooks,
        codebook_size=config.lm.codebook_size,
        context_length=config.lm.context_length,
        layout=config.prompt_layout,
        references_in=config.references_in,
        length=config.expected.length or LengthPrior(),
    )


def _check_fit(parts: Parts) -> None:
    lm, codec, where = parts.config.lm, parts.codec, f"model '{parts.config.name}'"
    if (codec.num_codebooks, codec.codebook_size) != (lm.num_codebooks, lm.codebook_size):
        raise CheckpointError(
            f"{where}: the codec has {codec.num_codebooks} codebooks of {codec.codebook_size}, the language model "
            f"{lm.num_codebooks} of {lm.codebook_size}; take both from one checkpoint"
        )
    if parts.tokenizer.vocab_size > lm.vocab_size:
        raise CheckpointError(
            f"{where}: the tokenizer has {parts.tokenizer.vocab_size} ids, the language model {lm.vocab_size}; "
            "take both from one checkpoint"
        )
    for name in SHARED_IDS:
        own, theirs = getattr(lm, f"{name}_id"), getattr(parts.tokenizer, name)
        if own is not None and own != theirs:
            raise CheckpointError(
                f"{where}: '{name}' is {own} for the language model and {theirs} for the tokenizer; "
                "take both from one checkpoint"
            )
    check_voices(parts.voices, lm, parts.config.default_voice, where)


def load_codec_of(folder: Path) -> CodecModule:
    """The codec of a model's folder, in our own layout or a published one, or of an audio tokenizer's.

    Raises:
        FileMissingError, ConfigError, CheckpointError: as for `load_model`.
    """
    data = read_json(folder / CONFIG_FILE)
    if is_audio_tokenizer(data):
        return load_published_codec(folder)
    if "family" not in data:
        return load_published_codec(_codec_folder(folder))
    return load_codec(folder, parse_higgs_config(data, str(folder / CONFIG_FILE)).codec)


def _codec_folder(folder: Path) -> Path:
    found = (folder / name for name in CODEC_FOLDERS if (folder / name).is_dir())
    codec = next(found, None)
    if codec is None:
        raise CheckpointError(
            f"'{folder}' is a published language model without its audio tokenizer; put that into "
            f"'{folder / CODEC_FOLDERS[0]}'"
        )
    return codec
