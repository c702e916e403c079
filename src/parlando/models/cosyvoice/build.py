"""A folder becomes a model: every part read strictly, and put together; and a model becomes a folder."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch

from parlando.audio.clip import as_mono, check_sample_rate
from parlando.audio.fbank import MirroredMel
from parlando.audio.resample import resample
from parlando.core.config import located, read_json, to_mapping
from parlando.core.errors import AudioError, CheckpointError, ConfigError
from parlando.core.folder import whole_folder, write_json
from parlando.core.stages import ArrivingPromptBuilder, Converter, PromptBuilder, TokenLM, WaveDecoder
from parlando.core.types import Frame, Prompt, Reference, SamplingOptions, Voice
from parlando.core.voicefile import write_voices
from parlando.models.cosyvoice import published
from parlando.models.cosyvoice.config import (
    CosyVoiceConfig,
    LMConfig,
    followed,
    lm_config_from_published,
    parse_cosyvoice_config,
)
from parlando.models.cosyvoice.decoder import CosyVoiceDecoder, CosyVoiceWaveStream
from parlando.models.cosyvoice.lm import CosyVoiceLM
from parlando.models.cosyvoice.lm_inference import CosyVoiceTokenLM
from parlando.models.cosyvoice.lm_weights import ADAPTER_NAMES, LM_FILE, load_lm, load_published_lm, save_lm
from parlando.models.cosyvoice.parts.campplus import CampPlus, CampPlusConfig
from parlando.models.cosyvoice.parts.features import mel_config
from parlando.models.cosyvoice.parts.flow import Flow, FlowConfig
from parlando.models.cosyvoice.parts.hift import HiFT, HiFTConfig
from parlando.models.cosyvoice.parts.hift_weights import WEIGHTS_FILE as HIFT_FILE
from parlando.models.cosyvoice.parts.hift_weights import config_from_published, load_hift
from parlando.models.cosyvoice.parts.onnx_weights import read_campplus, read_speech_tokenizer
from parlando.models.cosyvoice.parts.part_weights import (
    FLOW_FILE,
    SPEAKER_FILE,
    SPEECH_TOKENIZER_FILE,
    load_flow,
    load_part,
    load_speaker,
    load_speech_tokenizer,
    save_part,
)
from parlando.models.cosyvoice.parts.speech_tokenizer import SpeechTokenizer, SpeechTokenizerConfig
from parlando.models.cosyvoice.prompt import CosyVoicePromptBuilder, SpeechPrompt
from parlando.models.cosyvoice.sampler import CosyVoiceSampler
from parlando.models.cosyvoice.tokenizer import (
    HubTextConfig,
    HubTokenizer,
    PhonemeTextConfig,
    PhonemeTokenizer,
    TextTokenizer,
)
from parlando.models.cosyvoice.voices import (
    MEL,
    SPEAKER,
    VOICES_FILE,
    VoiceSizes,
    add_speaker,
    check_voices,
    load_voices,
    published_voices,
)
from parlando.models.options import PLAIN, FlowOptions, ModelOptions, read_card
from parlando.nn.checkpoint import exact_dtype, first_file
from parlando.nn.few_bits import Kind
from parlando.nn.placement import Placement, is_large
from parlando.nn.quantized import check_kind, few_bit_names, quantize
from parlando.text.lists import ITEMS_AT_ONCE
from parlando.text.markup import VOCAL

CONFIG_FILE, TOKENIZER_FILE, CARD_FILE = "config.json", "tokenizer.json", "card.md"
TEXT_FOLDER = "CosyVoice-BlankEN"
PUBLISHED_LM_FILES, PUBLISHED_FLOW_FILES, PUBLISHED_HIFT_FILES = (
    (f"{part}.pt", f"{part}.safetensors") for part in published.PARTS
)
PUBLISHED_SPEECH_TOKENIZER_FILES = ("speech_tokenizer_v2.onnx", "speech_tokenizer_v2.batch.onnx")
PUBLISHED_SPEAKER_FILE = "campplus.onnx"


@dataclass(frozen=True)
class Parts:
    """What a checkpoint is made of."""

    config: CosyVoiceConfig
    lm: CosyVoiceLM
    flow: Flow
    hift: HiFT
    speech_tokenizer: SpeechTokenizer
    speaker: CampPlus
    tokenizer: TextTokenizer
    voices: Mapping[str, Voice] = field(default_factory=dict)


class CosyVoiceModel:
    """A loaded CosyVoice checkpoint (a `core.stages.Model`); it is its own `core.stages.Converter` too."""

    family = "cosyvoice"
    needs_transcript = False
    takes_instructions = True

    def __init__(self, parts: Parts, placement: Placement) -> None:
        """Move the parts to their place and wire them up.

        Raises:
            CheckpointError: the parts do not belong together.
        """
        _check_fit(parts)
        config, device = parts.config, placement.device
        self.parts, self.config, self.name, self.device = parts, config, config.name, device
        self.dtype = placement.dtype
        for part in (parts.flow, parts.hift, parts.speech_tokenizer, parts.speaker):
            part.to(device).eval().requires_grad_(False)
        lm = parts.lm.to(device, placement.dtype).eval().requires_grad_(False)
        self.lm = cast("TokenLM", CosyVoiceTokenLM(lm, static=placement.records))
        self._decoder = CosyVoiceDecoder(parts.flow, parts.hift)
        self.decoder: WaveDecoder = self._decoder
        prompts = CosyVoicePromptBuilder(parts.tokenizer, config.lm, config.expected.length)
        self.prompts: PromptBuilder = prompts
        self.arriving: ArrivingPromptBuilder | None = prompts
        self.voices: Mapping[str, Voice] = dict(parts.voices)
        self.default_voice, self.sampling = config.default_voice, config.sampling
        self.converter: Converter | None = self
        small = isinstance(parts.tokenizer, PhonemeTokenizer)
        self.notation = replace(VOCAL, phones=small, list_items=ITEMS_AT_ONCE if small else 0)
        self.sample_rate, self.samples_per_frame = self.decoder.sample_rate, self.decoder.samples_per_frame
        self.frame_rate = self.sample_rate / self.samples_per_frame
        self.codebook_sizes: tuple[int, ...] = (config.lm.codebook_size,)
        self._mel = MirroredMel(mel_config(parts.hift.config)).to(device)

    def new_sampler(self, prompt: Prompt, options: SamplingOptions) -> CosyVoiceSampler:
        """A sampler for one request."""
        return CosyVoiceSampler(self.config.lm, cast("SpeechPrompt", prompt), options)

    @torch.inference_mode()
    def encode(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        """Codes (int64 [1, frame]) of a mono clip (float32 [n]) of any length, in windows where it is long.

        Raises:
            AudioError: the clip is too short, not finite, or its rate is below that of the speech tokenizer.
        """
        wave = self._wave(samples, sample_rate, self.parts.speech_tokenizer.config.mel.sample_rate)
        return self.parts.speech_tokenizer.encode([wave])[0].cpu().numpy().astype(np.int64)[None]

    def recode(self, samples: np.ndarray, sample_rate: int) -> tuple[Sequence[Frame], CosyVoiceWaveStream]:
        """A clip as frames, and a stream that decodes them by its speaker embedding alone; errors as for `encode`."""
        reference = self.refer("", samples, sample_rate)
        only_speaker = {SPEAKER: reference.features[SPEAKER]}
        voice = Voice("recording", references=(Reference("", reference.codes[:, :0], only_speaker),))
        return self.frames(samples, sample_rate), self.open(voice)

    @torch.inference_mode()
    def refer(self, text: str, samples: np.ndarray, sample_rate: int) -> Reference:
        """What a voice that follows a clip is made of: words, codes, mel and speaker embedding; errors as for `encode`.

        Codes and mel are cut to the length that both have.
        """
        codes = self.encode(samples, sample_rate)
        speaker = self.parts.speaker.embed(
            self._wave(samples, sample_rate, self.parts.speaker.config.fbank.sample_rate)
        )
        mel = self._mel(self._wave(samples, sample_rate, self.sample_rate)[None])[0].T
        ratio = self.parts.flow.config.encoder.frames_per_token
        frames = min(codes.shape[1], len(mel) // ratio)
        features = {MEL: mel[: frames * ratio].cpu().numpy(), SPEAKER: speaker.cpu().numpy()}
        return Reference(text, codes[:, :frames], features)

    def frames(self, samples: np.ndarray, sample_rate: int) -> Sequence[Frame]:
        """What a clip says, for `open`; errors as for `encode`."""
        codes = self.encode(samples, sample_rate)[0].tolist()
        return [Frame(self.config.lm.speech_id, (code,)) for code in codes]

    def open(self, voice: Voice, speed: float = 1.0) -> CosyVoiceWaveStream:
        """A stream that gives frames the sound of a voice.

        Raises:
            AudioError: the voice has no sound of its own.
        """
        return self._decoder.open_voice(voice, speed)

    def _wave(self, samples: np.ndarray, sample_rate: int, wanted_rate: int) -> torch.Tensor:
        least = self.parts.speech_tokenizer.config.mel.sample_rate
        if check_sample_rate(sample_rate) < least:
            raise AudioError(f"a clip at {sample_rate} Hz; this model needs at least {least} Hz, record it again")
        return torch.from_numpy(resample(as_mono(samples), sample_rate, wanted_rate)).to(self.device)


def load_model(
    folder: Path, device: str | None = None, dtype: str | None = None, options: ModelOptions = PLAIN
) -> CosyVoiceModel:
    """Load a folder in our own layout, or a published one.

    Raises:
        FileMissingError: a file is not there.
        ConfigError: a config has an unknown key or a value that does not fit, or there is no such device or dtype.
        CheckpointError: tensors are missing, unexpected, misshapen or not finite, or the parts do not belong together.
    """
    if (folder / published.SETTINGS_FILE).is_file():
        return load_published(folder, device, dtype, options=options)
    placement = Placement.choose(device, dtype, large=is_large(folder / LM_FILE))
    return CosyVoiceModel(_as_asked(read_parts(folder, options.flow), placement, options), options.placed(placement))


def read_parts(folder: Path, flow: FlowOptions = PLAIN.flow) -> Parts:
    """The parts of a folder in our own layout; errors as for `load_model`."""
    config = parse_cosyvoice_config(read_json(folder / CONFIG_FILE), str(folder / CONFIG_FILE))
    config = replace(config, flow=followed(config.flow, flow))
    kind = config.quantize
    return Parts(
        config=config,
        lm=load_lm(folder, config.lm, quantized=kind),
        flow=load_flow(folder, config.flow, kind),
        hift=load_hift(folder / HIFT_FILE, config.hift),
        speech_tokenizer=load_speech_tokenizer(folder, config.speech_tokenizer, None if kind is None else "half"),
        speaker=load_speaker(folder, config.speaker),
        tokenizer=build_tokenizer(config.text, folder),
        voices=load_voices(folder, voice_sizes(config.lm, config.flow), config.default_voice),
    )


@dataclass(frozen=True)
class PublishedSizes:
    """The sizes of the parts that a published folder keeps as graphs, which do not say theirs."""

    speech_tokenizer: SpeechTokenizerConfig = field(default_factory=SpeechTokenizerConfig)
    speaker: CampPlusConfig = field(default_factory=CampPlusConfig)


def load_published(
    folder: Path,
    device: str | None = None,
    dtype: str | None = None,
    sizes: PublishedSizes | None = None,
    options: ModelOptions = PLAIN,
) -> CosyVoiceModel:
    """Load a published folder as it is; nothing in it is executed.

    Raises:
        FileMissingError, ConfigError, CheckpointError: as for `load_model`.
    """
    placement = Placement.choose(device, dtype, large=True)
    parts = read_published_parts(folder, sizes, options.flow)
    return CosyVoiceModel(_as_asked(parts, placement, options), options.placed(placement))


def read_published_parts(
    folder: Path, sizes: PublishedSizes | None = None, followed_as: FlowOptions = PLAIN.flow
) -> Parts:
    """The parts of a published folder; errors as for `load_model`."""
    sizes, text_folder = sizes or PublishedSizes(), folder / TEXT_FOLDER
    lm, flow, hift, sampling = read_published_configs(folder)
    flow = followed(flow, followed_as)
    tokenizer = HubTokenizer(text_folder)
    voices = published_voices(folder, tokenizer.decode, voice_sizes(lm, flow))
    speech_tokenizer, speaker = load_published_encoders(folder, sizes)
    config = CosyVoiceConfig(
        name=folder.name,
        lm=lm,
        flow=flow,
        hift=hift,
        speech_tokenizer=speech_tokenizer.config,
        speaker=speaker.config,
        text=HubTextConfig(),
        default_voice=next(iter(voices), ""),
        sampling=sampling,
    )
    return Parts(
        config=config,
        lm=load_published_lm(first_file(folder, PUBLISHED_LM_FILES, "language model weights"), lm),
        flow=load_part(Flow, flow, first_file(folder, PUBLISHED_FLOW_FILES, "flow weights")),
        hift=load_hift(first_file(folder, PUBLISHED_HIFT_FILES, "vocoder weights"), hift),
        speech_tokenizer=speech_tokenizer,
        speaker=speaker,
        tokenizer=tokenizer,
        voices=voices,
    )


def load_published_encoders(folder: Path, sizes: PublishedSizes | None = None) -> tuple[SpeechTokenizer, CampPlus]:
    """What hears words and voices in a published folder; errors as for `load_model`."""
    sizes = sizes or PublishedSizes()
    speaker = read_campplus(folder / PUBLISHED_SPEAKER_FILE, sizes.speaker)
    return load_published_speech_tokenizer(folder, sizes.speech_tokenizer), speaker


def load_published_speech_tokenizer(folder: Path, sizes: SpeechTokenizerConfig | None = None) -> SpeechTokenizer:
    """The speech tokenizer of a published folder, of the published sizes unless others are given.

    One that was trained here, with its settings beside it, may stand for the graph, and has its own sizes. Errors are
    as for `load_model`.
    """
    if (folder / SPEECH_TOKENIZER_FILE).is_file():
        return load_speech_tokenizer(folder)
    return read_speech_tokenizer(first_file(folder, PUBLISHED_SPEECH_TOKENIZER_FILES, "speech tokenizer"), sizes)


def read_published_configs(folder: Path) -> tuple[LMConfig, FlowConfig, HiFTConfig, SamplingOptions]:
    """What a published folder says of the language model, the flow, the vocoder, and how codes are drawn.

    Raises:
        FileMissingError: a file is not there.
        ConfigError: a setting is missing, unknown, of a wrong type or out of range.
    """
    settings_file, backbone = folder / published.SETTINGS_FILE, folder / TEXT_FOLDER / CONFIG_FILE
    settings = published.read_settings(settings_file)
    with located(str(settings_file)):
        flow, hift = published.flow_config(settings["flow"]), config_from_published(settings["hift"])
    own = lm_config_from_published(read_json(backbone), flow.vocab_size, str(backbone))
    with located(str(settings_file)):
        lm, sampling = published.lm_settings(settings["llm"], own)
    return lm, flow, hift, sampling


def new_model(
    config: CosyVoiceConfig,
    voices: Mapping[str, Voice],
    device: str | None = None,
    dtype: str | None = None,
    seed: int = 0,
) -> CosyVoiceModel:
    """An untrained model with random weights: to train, to test, to measure speed; phoneme text only.

    Raises:
        ConfigError: the config's text needs a file, or as for `load_model`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        parts = Parts(
            config=config,
            lm=CosyVoiceLM(config.lm),
            flow=Flow(config.flow),
            hift=HiFT(config.hift).prepare(),
            speech_tokenizer=SpeechTokenizer(config.speech_tokenizer),
            speaker=CampPlus(config.speaker),
            tokenizer=build_tokenizer(config.text, None),
            voices=voices,
        )
    return CosyVoiceModel(parts, Placement.choose(device, dtype))


def save_model(
    model: CosyVoiceModel, folder: Path, card: str | None = None, dtype: torch.dtype = torch.float32
) -> Path:
    """Write a model in our own layout, its tensors in ``dtype``; returns the folder; see `save_parts`."""
    return save_parts(model.parts, folder, card, dtype)


def save_parts(parts: Parts, folder: Path, card: str | None = None, dtype: torch.dtype | None = torch.float32) -> Path:
    """Write a model's parts in our own layout, their tensors in ``dtype``; returns the folder.

    Without a dtype, a part is in half precision if that holds it exactly. Files appear only when all of them are
    written.

    Raises:
        FileMissingError: the folder to put it in is not there.
    """
    files = {
        FLOW_FILE: parts.flow,
        HIFT_FILE: parts.hift,
        SPEECH_TOKENIZER_FILE: parts.speech_tokenizer,
        SPEAKER_FILE: parts.speaker,
    }
    with whole_folder(folder, optional=(TOKENIZER_FILE, CARD_FILE)) as partial:
        write_json(partial / CONFIG_FILE, to_mapping(parts.config))
        save_lm(parts.lm, partial)
        for file, part in files.items():
            save_part(part, partial / file, dtype or exact_dtype(part, few_bit_names(part)))
        write_voices(partial / VOICES_FILE, parts.voices)
        if isinstance(parts.tokenizer, HubTokenizer):
            parts.tokenizer.save(partial / TOKENIZER_FILE)
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


def add_voice(model: CosyVoiceModel, path: Path, voice: Voice) -> None:
    """Put a voice into a published folder's file of speakers; errors as for `add_speaker`."""
    add_speaker(path, voice, model.parts.tokenizer.encode)


def _as_asked(parts: Parts, placement: Placement, options: ModelOptions) -> Parts:
    """The parts with the language model's adapter, in the dtype in which it will compute, and then in few bits."""
    where = f"model '{parts.config.name}'"
    options.check(parts.config.quantize, placement.device, where)
    lm = parts.lm
    if options.adapter is not None:
        lm = options.adapter.given_to(lm.to(dtype=placement.dtype), ADAPTER_NAMES)
    return quantized_parts(replace(parts, lm=lm), options.quantize)


def quantized_parts(parts: Parts, kind: Kind | None) -> Parts:
    """The parts, language model and flow kept in few bits; the vocoder and what hears speakers stay as they are.

    What hears words decides between codes and is used once a voice: half precision is small enough, and nearly exact.
    """
    if kind is None or parts.config.quantize is not None:
        return parts
    quantize(parts.lm, kind)
    quantize(parts.flow, kind)
    quantize(parts.speech_tokenizer, "half")
    return replace(parts, config=replace(parts.config, quantize=kind))


def quantize_folder(folder: Path, out: Path, kind: Kind) -> Path:
    """Write the model of a folder, of any layout, in our own, with its weights in few bits; returns the folder.

    Raises:
        FileMissingError, ConfigError, CheckpointError: as for `load_model`.
    """
    is_published = (folder / published.SETTINGS_FILE).is_file()
    parts = read_published_parts(folder) if is_published else read_parts(folder)
    check_kind(kind, parts.config.quantize, f"model '{parts.config.name}'")
    save_parts(quantized_parts(parts, kind), out, read_card(folder), dtype=None)
    if not is_published:
        shutil.copy(folder / HIFT_FILE, out / HIFT_FILE)  # as it is: folding its weight norm anew would round it
    return out


def _check_fit(parts: Parts) -> None:
    lm, flow, hift, where = parts.config.lm, parts.flow.config, parts.hift.config, f"model '{parts.config.name}'"
    tokenizer, speaker = parts.speech_tokenizer.config, parts.speaker.config
    sizes = {
        "speech codes": (lm.codebook_size, flow.vocab_size, int(np.prod(tokenizer.levels))),
        "mel bands": (flow.mel_bins, hift.mel_bins),
        "numbers of a speaker embedding": (flow.speaker_dim, speaker.embedding_size),
    }
    for what, counts in sizes.items():
        if len(set(counts)) > 1:
            raise CheckpointError(
                f"{where}: its parts have {' and '.join(map(str, counts))} {what}; take all from one checkpoint"
            )
    rate = hift.source.sample_rate / (flow.encoder.frames_per_token * hift.samples_per_frame)
    if rate != tokenizer.token_rate:
        raise CheckpointError(
            f"{where}: the vocoder makes {rate:g} tokens' sound a second, the speech tokenizer hears "
            f"{tokenizer.token_rate:g}; take both from one checkpoint"
        )
    if parts.tokenizer.vocab_size > lm.vocab_size:
        raise CheckpointError(
            f"{where}: the tokenizer has {parts.tokenizer.vocab_size} ids, the language model {lm.vocab_size}; "
            "take both from one checkpoint"
        )
    check_voices(parts.voices, voice_sizes(lm, flow), parts.config.default_voice, where)


def voice_sizes(lm: LMConfig, flow: FlowConfig) -> VoiceSizes:
    """What voices must fit."""
    return VoiceSizes(lm.codebook_size, flow.mel_bins, flow.speaker_dim)
