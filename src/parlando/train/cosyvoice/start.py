"""What the language model starts from: nothing, a finished run, or a model's folder in any layout."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from parlando.core.config import read_json
from parlando.models.cosyvoice.build import (
    CONFIG_FILE,
    PUBLISHED_LM_FILES,
    TEXT_FOLDER,
    build_tokenizer,
    read_published_configs,
)
from parlando.models.cosyvoice.config import CosyVoiceConfig, LMConfig, parse_cosyvoice_config
from parlando.models.cosyvoice.lm_weights import load_lm, load_published_lm
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


def _read_config(folder: Path) -> CosyVoiceConfig:
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
    read_config=_read_config,
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
