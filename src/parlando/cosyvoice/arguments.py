"""The published arguments under all the names that snippets have for them, and what becomes of each."""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

from parlando.core.config import from_mapping
from parlando.core.errors import ConfigError
from parlando.engine.chunking import HopSchedule
from parlando.models.options import FlowOptions, ModelOptions

logger = logging.getLogger(__name__)
R = TypeVar("R")

ALIASES = {
    "text": "tts_text",
    "prompt_speech": "prompt_wav",
    "prompt_speech_16k": "prompt_wav",
    "prompt_audio": "prompt_wav",
    "prompt_transcript": "prompt_text",
    "instruction": "instruct_text",
    "instruct": "instruct_text",
    "style": "instruct_text",
    "speaker": "spk_id",
    "speaker_id": "spk_id",
    "spk": "spk_id",
    "source_speech": "source_wav",
    "source_speech_16k": "source_wav",
}
"""What people write, and the published name."""

STREAMED = HopSchedule(first=25, largest=100)
_ROWS = 8
_EMOTION = re.compile(r"<emotion(?P<level>(?:[\s=:][^<>]*)?)>|</emotion\s*>", re.IGNORECASE)
_TAGS = ("<emotion", "</emotion")
_LONGEST_TAG = 80  # characters
_EMPHATIC = "strong"


def any_name(method: Callable[..., R]) -> Callable[..., R]:
    """Let a method be called by the names of `ALIASES`, too.

    Raises:
        ConfigError: an argument is given under two names.
    """
    known = inspect.signature(method).parameters

    @wraps(method)
    def call(*arguments: Any, **named: Any) -> R:
        renamed: dict[str, Any] = {}
        for name, value in named.items():
            ours = name if name in known else ALIASES.get(name, name)
            if ours in renamed:
                raise ConfigError(f"'{name}' is another name of '{ours}', which is given too; leave one of them out")
            renamed[ours] = value
        return method(*arguments, **renamed)

    return call


@dataclass(frozen=True)
class EngineArguments:
    """What snippets ask of the constructor; each has an effect here, or a warning says what is done instead."""

    load_jit: bool = False
    load_trt: bool = False
    load_vllm: bool = False
    trt_engine: bool = False
    fp16: bool = False
    trt_concurrent: int = 1
    chunk_size: int | None = None
    num_decoding_left_chunks: int = -1
    max_concurrent: int | None = None
    max_batch_size: int | None = None
    buffer_size: int | None = None
    enable_kv_cache: bool = True
    load_in_8bit: bool = False

    @property
    def rows(self) -> int:
        """How many requests share a batch.

        Raises:
            ConfigError: one of the two limits is below one.
        """
        limits = {"max_concurrent": self.max_concurrent, "max_batch_size": self.max_batch_size}
        given = {name: limit for name, limit in limits.items() if limit is not None}
        for name, limit in given.items():
            if limit < 1:
                raise ConfigError(f"{name}: {limit} is out of range; use at least 1")
        return min(given.values(), default=_ROWS)

    @property
    def schedule(self) -> HopSchedule:
        """How many speech tokens a streamed piece has."""
        if self.chunk_size is None:
            return STREAMED
        if self.chunk_size < 1:
            raise ConfigError(f"chunk_size: {self.chunk_size} is out of range; use at least 1")
        return HopSchedule(first=self.chunk_size, largest=max(self.chunk_size, STREAMED.largest))

    @property
    def options(self) -> ModelOptions:
        """How the model is loaded: a piece smaller than the flow's chunk counts for the first chunk.

        Raises:
            ConfigError: a number is out of range.
        """
        left = self.num_decoding_left_chunks
        if left < -1:
            raise ConfigError(f"num_decoding_left_chunks: {left} is out of range; use -1 for all, or a number")
        first = self.schedule.first if self.schedule.first < STREAMED.first else None
        flow = FlowOptions(left_chunks=None if left == -1 else left, first_tokens=first)
        return ModelOptions(quantize="int8" if self.load_in_8bit else None, flow=flow)

    def warn(self) -> None:
        """Say what is done instead of that which has no effect here."""
        pytorch = "this engine runs on PyTorch alone; the results are the same"
        instead = {
            "load_jit": (self.load_jit, pytorch),
            "load_trt": (self.load_trt, pytorch),
            "load_vllm": (self.load_vllm, pytorch),
            "trt_engine": (self.trt_engine, pytorch),
            "trt_concurrent": (self.trt_concurrent > 1, f"{pytorch}; max_concurrent says how many share a batch"),
            "buffer_size": (
                self.buffer_size is not None,
                "samples are handed out as soon as they are final; chunk_size says how many tokens a piece has",
            ),
            "enable_kv_cache": (not self.enable_kv_cache, "keys and values are always kept; without them it is slower"),
        }
        for name, (asked, what) in instead.items():
            if asked:
                logger.warning("%s is not used here: %s", name, what)


_BY_POSITION = ("load_jit", "load_trt", "load_vllm", "fp16", "trt_concurrent")


def engine_arguments(by_position: Sequence[Any], by_name: Mapping[str, Any]) -> EngineArguments:
    """The constructor's options, as they were given.

    Raises:
        ConfigError: an option is unknown, given twice, or of a wrong type.
    """
    positional = dict(zip(_BY_POSITION, by_position, strict=False))
    twice = positional.keys() & by_name.keys()
    if twice or len(by_position) > len(_BY_POSITION):
        raise ConfigError(f"CosyVoice2: {min(twice, default='an option')} is given twice; give options by name")
    return from_mapping(EngineArguments, {**positional, **by_name}, "CosyVoice2")


def without_emotion_tags(text: str | Iterable[str]) -> str | Iterator[str]:
    """Text in which ``<emotion strong>…</emotion>`` is ``<strong>…</strong>``; other levels go, with a warning.

    The published model has marks for emphasis and laughter, and takes every other mood from an instruction.
    """
    open_tags: list[str] = []

    def replaced(match: re.Match[str]) -> str:
        if match["level"] is None:
            return open_tags.pop() if open_tags else ""
        level = match["level"].rpartition("=")[2].strip(" \t\r\n:\"'")
        strong = level.casefold() == _EMPHATIC
        if not strong:
            logger.warning("%s is not a mark that this model knows; say it in the instruction instead", match[0])
        open_tags.append(f"</{_EMPHATIC}>" if strong else "")
        return f"<{_EMPHATIC}>" if strong else ""

    if isinstance(text, str):
        return _EMOTION.sub(replaced, text)
    return (_EMOTION.sub(replaced, part) if isinstance(part, str) else part for part in _with_whole_tags(text))


def _with_whole_tags(pieces: Iterable[str]) -> Iterator[str]:
    """The pieces, with what may be the beginning of a tag held back until the rest of it is there."""
    held = ""
    for piece in pieces:
        if not isinstance(piece, str):
            yield piece  # whoever reads them refuses it
            continue
        text = held + piece
        end = text.rfind("<")
        if end < 0 or not _is_unfinished(text[end:]):
            end = len(text)
        held = text[end:]
        yield text[:end]
    if held:
        yield held


def _is_unfinished(tail: str) -> bool:
    start = tail.casefold()
    alike = any(tag.startswith(start) or start.startswith(tag) for tag in _TAGS)
    return alike and ">" not in tail and len(tail) < _LONGEST_TAG
