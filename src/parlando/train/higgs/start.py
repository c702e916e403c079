"""What the language model starts from: nothing, a finished run, or a model's folder in any layout."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from parlando.core.config import read_json
from parlando.models.higgs.build import CONFIG_FILE, build_tokenizer
from parlando.models.higgs.config import HiggsConfig, LMConfig, parse_higgs_config
from parlando.models.higgs.lm_weights import load_lm, load_published_lm
from parlando.models.higgs.tokenizer import (
    HubTextConfig,
    HubTokenizer,
    PhonemeTextConfig,
    TextTokenizer,
    default_phoneme_config,
)
from parlando.models.locate import is_own_layout, locate
from parlando.train.loop.checkpoint import float32_copy
from parlando.train.shared.start import LMFolders, Start

LMStart = Start[LMConfig, TextTokenizer]


@dataclass(frozen=True)
class _Described:
    text: PhonemeTextConfig | HubTextConfig


def _read_config(folder: Path) -> HiggsConfig:
    path = folder / CONFIG_FILE
    return parse_higgs_config(read_json(path), str(path))


def _of_published(folder: Path) -> LMStart:
    lm, tokenizer = load_published_lm(folder), HubTokenizer(folder)
    ids = {"audio_in_id": tokenizer.audio_in, "audio_bos_id": tokenizer.audio_bos, "audio_eos_id": tokenizer.audio_eos}
    missing: dict[str, Any] = {name: token for name, token in ids.items() if getattr(lm.config, name) is None}
    sizes = replace(lm.config, **missing)
    return Start(HubTextConfig(), tokenizer, sizes, float32_copy(lm.state_dict()))


FOLDERS = LMFolders(
    family="higgs",
    sizes=LMConfig,
    described=_Described,
    default_text=default_phoneme_config,
    build_tokenizer=build_tokenizer,
    is_own_layout=is_own_layout,
    read_config=_read_config,
    load_lm=load_lm,
    published_file=CONFIG_FILE,
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
