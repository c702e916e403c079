"""A text model on this machine: any causal language model with a chat template, such as SmolLM2, by transformers."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

from parlando.converse.stages import Message, Reply
from parlando.core.errors import CheckpointError, MissingDependencyError

WEIGHTS_OF_LLAMA_CPP = "*.gguf"


@dataclass(frozen=True)
class Writing:
    """How it writes: ``temperature`` 0 takes the likeliest word."""

    most_tokens: int = 256
    temperature: float = 0.0


LIKELIEST = Writing()


class LocalModel:
    """The model in a folder in Hugging Face's layout, or with one ``.gguf`` file; loaded when it is first asked."""

    def __init__(self, folder: Path, writing: Writing = LIKELIEST) -> None:
        self._folder, self._writing, self._turn = folder, writing, threading.Lock()

    def reply(self, messages: Sequence[Message]) -> Reply:
        """Its next message; one is written at a time."""
        return _LocalReply(self, [{"role": each.role, "content": each.content} for each in messages])

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        try:
            transformers: Any = import_module("transformers")
        except ModuleNotFoundError as error:
            raise MissingDependencyError("transformers", "pip install transformers") from error
        packed = sorted(self._folder.glob(WEIGHTS_OF_LLAMA_CPP))
        where = {"gguf_file": packed[0].name} if packed else {}
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(self._folder, **where)
            return tokenizer, transformers.AutoModelForCausalLM.from_pretrained(self._folder, **where).eval()
        except (OSError, ValueError, ImportError, KeyError) as error:
            reason = str(error).strip().split("\n")[0]
            raise CheckpointError(
                f"'{self._folder}' holds no text model that transformers can read: {reason}"
            ) from error

    def write(self, messages: list[dict[str, str]], is_cancelled: Any) -> Iterator[str]:
        """The words of a reply as they are certain: a character may be several tokens."""
        with self._turn:
            tokenizer, model = self._loaded
            made: list[int] = []
            told = ""
            for token in self._tokens(tokenizer, model, messages):
                if is_cancelled():
                    return
                made.append(token)
                text = tokenizer.decode(made, skip_special_tokens=True)
                if not text.endswith("\ufffd") and len(text) > len(told):
                    yield text[len(told) :]
                    told = text

    def _tokens(self, tokenizer: Any, model: Any, messages: list[dict[str, str]]) -> Iterator[int]:
        import torch

        prompt = tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_dict=True, return_tensors="pt"
        )
        positions, cache = prompt["input_ids"], None
        ends = {tokenizer.eos_token_id, *_several(model.generation_config.eos_token_id)}
        for _ in range(self._writing.most_tokens):
            with torch.inference_mode():
                made = model(input_ids=positions, past_key_values=cache, use_cache=True)
            token = self._choose(made.logits[0, -1])
            if token in ends:
                return
            yield token
            positions, cache = torch.tensor([[token]]), made.past_key_values

    def _choose(self, logits: Any) -> int:
        if self._writing.temperature <= 0:
            return int(logits.argmax())
        return int((logits.float() / self._writing.temperature).softmax(-1).multinomial(1))


class _LocalReply:
    def __init__(self, model: LocalModel, messages: list[dict[str, str]]) -> None:
        self._model, self._messages, self._cancelled = model, messages, threading.Event()

    def cancel(self) -> None:
        self._cancelled.set()

    def __iter__(self) -> Iterator[str]:
        return self._model.write(self._messages, self._cancelled.is_set)


def _several(ids: int | list[int] | None) -> list[int]:
    if ids is None:
        return []
    return [ids] if isinstance(ids, int) else list(ids)
