"""Whisper (Radford et al., 2022) by transformers, as the published Seed-TTS evaluation calls it: greedy."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch

from parlando.audio.clip import Clip
from parlando.core.errors import CheckpointError
from parlando.evaluate.judges.base import JUDGE_RATE, Card, at_judge_rate, version_of
from parlando.evaluate.optional import require

DEFAULT_MODEL = "openai/whisper-large-v3"
WINDOW_SECONDS = 30.0


class TransformersWhisper:
    """A recogniser (`judges.base.Asr`); ``model`` is a folder or a hub id."""

    def __init__(self, model: str = DEFAULT_MODEL, device: str = "cpu") -> None:
        """Name it; the weights are loaded with the first clip.

        Raises:
            MissingDependencyError: transformers is not installed.
        """
        self._library = require("transformers", "pip install transformers")
        self._name, self._device = model, device
        self.card = Card(
            f"whisper {model.rstrip('/').rsplit('/', 1)[-1]}",
            f"transformers {version_of('transformers')}",
            {"search": "greedy", "device": device},
        )

    @cached_property
    def _parts(self) -> tuple[Any, Any]:
        try:
            processor = self._library.WhisperProcessor.from_pretrained(self._name)
            model = self._library.WhisperForConditionalGeneration.from_pretrained(self._name)
        except (OSError, ValueError) as error:
            reason = str(error).strip().split("\n")[0]
            raise CheckpointError(
                f"Whisper '{self._name}' could not be loaded ({reason}); give its folder, or fetch it from the hub"
            ) from error
        return processor, model.to(self._device).eval()

    @torch.inference_mode()
    def hear(self, clip: Clip, language: str) -> str:
        """The words of a clip; one window of 30 s where it fits, else window after window."""
        processor, model = self._parts
        is_long = clip.duration_seconds > WINDOW_SECONDS
        shape = {"truncation": False, "padding": "longest"} if is_long else {}
        inputs = processor.feature_extractor(
            at_judge_rate(clip), sampling_rate=JUDGE_RATE, return_tensors="pt", return_attention_mask=True, **shape
        )
        options: dict[str, Any] = {"return_timestamps": True} if is_long else {}
        if getattr(model.generation_config, "is_multilingual", False):
            options |= {"language": language, "task": "transcribe"}
        tokens = model.generate(
            inputs.input_features.to(self._device),
            attention_mask=inputs.attention_mask.to(self._device),
            do_sample=False,
            num_beams=1,
            **options,
        )
        return str(processor.tokenizer.batch_decode(tokens, skip_special_tokens=True)[0]).strip()
