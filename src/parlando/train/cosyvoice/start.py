"""What the language model starts from: nothing, a finished run, or a model's folder in any layout."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from parlando.core.config import from_mapping, read_json
from parlando.models.cosyvoice.build import (
    CONFIG_FILE,
    PUBLISHED_LM_FILES,
    TEXT_FOLDER,
    build_tokenizer,
    read_published_configs,
)
from parlando.models.cosyvoice.config import LMConfig, parse_cosyvoice_config
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
from parlando.train.loop.checkpoint import float32_copy, read_float32
from parlando.train.shared.lm import LM_CONFIG, LM_WEIGHTS
from parlando.train.shared.start import TEXT_CONFIG, Start, of_family

LMStart = Start[LMConfig, TextTokenizer]


@dataclass(frozen=True)
class _Described:
    text: PhonemeTextConfig | HubTextConfig


def find_start(start_from: str | None) -> LMStart:
    """The tokenizer, sizes and tensors to start from: of a run's folder, or of a model by folder, name or hub id.

    Raises:
        InputError, FileMissingError: there is nothing to start from.
        ConfigError, CheckpointError: what is there is damaged, or another family's.
    """
    if start_from is None:
        return Start(default_phoneme_config(), build_tokenizer(default_phoneme_config(), None))
    folder = locate(start_from)
    with of_family("cosyvoice", folder):
        if is_own_layout(folder):
            return _of_model(folder)
        return _of_published(folder) if (folder / SETTINGS_FILE).is_file() else _of_run(folder)


def read_text(folder: Path) -> PhonemeTextConfig | HubTextConfig:
    """How a run's text became tokens; a run that does not say had the default phonemes.

    Raises:
        ConfigError: its settings are damaged.
    """
    file = folder / TEXT_CONFIG
    if not file.is_file():
        return default_phoneme_config()
    return from_mapping(_Described, {"text": read_json(file)}, str(file)).text


def _of_run(folder: Path) -> LMStart:
    """What a training left; one that says no sizes has those of the recipe."""
    text, file = read_text(folder), folder / LM_CONFIG
    sizes = from_mapping(LMConfig, read_json(file), str(file)) if file.is_file() else None
    return Start(text, build_tokenizer(text, folder), sizes, read_float32(folder / LM_WEIGHTS))


def _of_model(folder: Path) -> LMStart:
    path = folder / CONFIG_FILE
    config = parse_cosyvoice_config(read_json(path), str(path))
    tensors = load_lm(folder, config.lm).state_dict()
    return Start(config.text, build_tokenizer(config.text, folder), config.lm, float32_copy(tensors))


def _of_published(folder: Path) -> LMStart:
    sizes, *_ = read_published_configs(folder)
    lm = load_published_lm(first_file(folder, PUBLISHED_LM_FILES, "language model weights"), sizes)
    return Start(HubTextConfig(), HubTokenizer(folder / TEXT_FOLDER), sizes, float32_copy(lm.state_dict()))
