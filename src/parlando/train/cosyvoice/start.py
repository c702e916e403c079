"""What the parts start from: nothing, a finished run, or a model's folder in any layout."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from parlando.core.config import from_mapping, read_json
from parlando.models.cosyvoice.build import (
    CONFIG_FILE,
    PUBLISHED_FLOW_FILES,
    PUBLISHED_HIFT_FILES,
    PUBLISHED_LM_FILES,
    TEXT_FOLDER,
    build_tokenizer,
    load_published_speech_tokenizer,
    read_published_configs,
)
from parlando.models.cosyvoice.config import CosyVoiceConfig, LMConfig, parse_cosyvoice_config
from parlando.models.cosyvoice.lm_weights import load_lm, load_published_lm
from parlando.models.cosyvoice.parts.flow import Flow
from parlando.models.cosyvoice.parts.hift import HiFT, HiFTConfig
from parlando.models.cosyvoice.parts.hift_weights import CONFIG_FILE as HIFT_SETTINGS
from parlando.models.cosyvoice.parts.hift_weights import WEIGHTS_FILE as HIFT_FILE
from parlando.models.cosyvoice.parts.hift_weights import read_hift
from parlando.models.cosyvoice.parts.part_weights import load_flow, load_part, load_speech_tokenizer
from parlando.models.cosyvoice.parts.speech_tokenizer import SpeechTokenizer, SpeechTokenizerConfig
from parlando.models.cosyvoice.published import SETTINGS_FILE
from parlando.models.cosyvoice.tokenizer import (
    HubTextConfig,
    HubTokenizer,
    PhonemeTextConfig,
    TextTokenizer,
    default_phoneme_config,
)
from parlando.models.locate import is_own_layout, locate
from parlando.nn.checkpoint import first_file
from parlando.train.loop.checkpoint import float32_copy
from parlando.train.shared.start import LMFolders, Start

LMStart = Start[LMConfig, TextTokenizer]


@dataclass(frozen=True)
class _Described:
    text: PhonemeTextConfig | HubTextConfig


def read_config(folder: Path) -> CosyVoiceConfig:
    """The settings of a model in our own layout.

    Raises:
        ConfigError: they are damaged, or another family's.
    """
    path = folder / CONFIG_FILE
    return parse_cosyvoice_config(read_json(path), str(path))


def _of_published(folder: Path) -> LMStart:
    sizes, *_ = read_published_configs(folder)
    lm = load_published_lm(first_file(folder, PUBLISHED_LM_FILES, "language model weights"), sizes)
    return Start(HubTextConfig(), HubTokenizer(folder / TEXT_FOLDER), sizes, float32_copy(lm.state_dict()))


FOLDERS = LMFolders(
    family="cosyvoice",
    sizes=LMConfig,
    described=_Described,
    default_text=default_phoneme_config,
    build_tokenizer=build_tokenizer,
    is_own_layout=is_own_layout,
    read_config=read_config,
    load_lm=load_lm,
    published_file=SETTINGS_FILE,
    of_published=_of_published,
)
read_text = FOLDERS.read_text


def find_start(start_from: str | None) -> LMStart:
    """The tokenizer, sizes and tensors to start from: of a run's folder, or of a model by folder, name or hub id.

    Raises:
        InputError, FileMissingError: there is nothing to start from.
        ConfigError, CheckpointError: what is there is damaged, or another family's.
    """
    found = FOLDERS.find(None if start_from is None else locate(start_from))
    return replace(found, base=start_from or "")


def find_flow(start_from: str) -> Flow:
    """The flow of a run's folder, or of a model by folder, name or hub id; errors as for `find_start`."""
    folder = locate(start_from)
    if is_own_layout(folder):
        return load_flow(folder, read_config(folder).flow)
    if not (folder / SETTINGS_FILE).is_file():
        return load_flow(folder)
    _, sizes, *_ = read_published_configs(folder)
    return load_part(Flow, sizes, first_file(folder, PUBLISHED_FLOW_FILES, "flow weights"))


def find_hift(start_from: str) -> HiFT:
    """The vocoder of the same, as it is trained."""
    folder = locate(start_from)
    if is_own_layout(folder):
        return read_hift(folder / HIFT_FILE, read_config(folder).hift)
    if not (folder / SETTINGS_FILE).is_file():
        return read_hift(folder / HIFT_FILE, from_mapping(HiFTConfig, read_json(folder / HIFT_SETTINGS), str(folder)))
    _, _, sizes, _ = read_published_configs(folder)
    return read_hift(first_file(folder, PUBLISHED_HIFT_FILES, "vocoder weights"), sizes)


def find_speech_tokenizer(start_from: str, sizes: SpeechTokenizerConfig) -> SpeechTokenizer:
    """The speech tokenizer of the same; that of a published graph, which does not say its sizes, is of ``sizes``."""
    folder = locate(start_from)
    if is_own_layout(folder):
        return load_speech_tokenizer(folder, read_config(folder).speech_tokenizer)
    return load_published_speech_tokenizer(folder, sizes)
