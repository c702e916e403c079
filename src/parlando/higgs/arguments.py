"""The published arguments of `generate` and `generate_delta_stream`, once for both."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import wraps
from typing import Any, TypeVar

from parlando.core.types import SamplingOptions
from parlando.models.higgs.parts.chatml import ChatMLSample

R = TypeVar("R")
DEFAULT_STOP_STRINGS = ("<|end_of_text|>", "<|eot_id|>")


@dataclass(frozen=True)
class GenerateArguments:
    """Names, order and defaults as published; ``max_new_tokens`` counts text tokens and frames of one reply."""

    chat_ml_sample: ChatMLSample
    max_new_tokens: int
    temperature: float = 0.7
    top_k: int | None = None
    top_p: float | None = 0.95
    stop_strings: Sequence[str] | None = None
    force_audio_gen: bool = False
    ras_win_len: int | None = 7
    ras_win_max_num_repeat: int = 2
    seed: int | None = None

    @property
    def stops(self) -> tuple[str, ...]:
        """The strings that end a reply."""
        return DEFAULT_STOP_STRINGS if self.stop_strings is None else tuple(self.stop_strings)

    def sampling(self, base: SamplingOptions) -> SamplingOptions:
        """The same in the engine's words."""
        window = self.ras_win_len if self.ras_win_len and self.ras_win_len > 0 else None
        return replace(
            base,
            temperature=self.temperature,
            top_k=self.top_k,
            top_p=self.top_p,
            repetition_window=window,
            repetition_limit=self.ras_win_max_num_repeat,
            seed=self.seed,
            max_frames=self.max_new_tokens,
        )


def published(kind: type[Any]) -> Callable[[Callable[[Any, Any], R]], Callable[..., R]]:
    """Give a method of one arguments object the object's fields as its own arguments."""
    parameters = [
        inspect.Parameter(
            spec.name,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=parameter.default,
            annotation=parameter.annotation,
        )
        for spec, parameter in zip(fields(kind), inspect.signature(kind).parameters.values(), strict=True)
    ]
    owner = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)

    def decorate(method: Callable[[Any, Any], R]) -> Callable[..., R]:
        @wraps(method)
        def call(self: Any, *arguments: Any, **named: Any) -> R:
            return method(self, kind(*arguments, **named))

        call.__signature__ = inspect.Signature([owner, *parameters])  # type: ignore[attr-defined]
        return call

    return decorate
