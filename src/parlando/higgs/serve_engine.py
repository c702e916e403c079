"""`HiggsAudioServeEngine`: the published names, arguments and results, served by Parlando's engine."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Generator, Sequence
from pathlib import Path

import numpy as np
import torch

from parlando.audio.check import DEFAULT_LIMITS, ReferenceLimits, check_reference
from parlando.audio.files import read_audio
from parlando.core.errors import CheckpointError, ConfigError
from parlando.engine.chunking import HopSchedule
from parlando.higgs.arguments import GenerateArguments, published
from parlando.higgs.reply import Call, ReplyStep, chat_reply, spoken_reply
from parlando.higgs.response import HiggsAudioResponse, HiggsAudioStreamerDelta, clip_source
from parlando.models.higgs.build import HiggsModel, load_model, load_published
from parlando.models.higgs.parts.chatml import AudioContent
from parlando.models.higgs.parts.delay import Undelay, build_delay
from parlando.models.locate import is_own_layout, locate
from parlando.models.options import ModelOptions
from parlando.models.registry import family_of
from parlando.request import WHOLE_SENTENCES
from parlando.speech import Synthesizer

logger = logging.getLogger(__name__)
STREAMED = HopSchedule(first=2, largest=10)
# A clip may also be an earlier reply, which can be one word or a minute long.
CLIP_LIMITS = ReferenceLimits(min_speech_seconds=0.2, used_seconds=DEFAULT_LIMITS.max_seconds, speech_only=False)


class HiggsAudioServeEngine:
    """Generates from ChatML conversations, from any number of threads at once.

    A model that was trained on conversations is given the messages as they are. The packaged default was trained on
    single utterances of up to about nine seconds: the last user message is normalised and split into the turns of its
    speakers and into sentences, each spoken in the voice that system message and reference clips ask for, and their
    codes are joined; scene descriptions do not change its sound. Reference clips count wherever they stand, in system
    and user messages too.
    """

    def __init__(
        self,
        model_name_or_path: str | Path | None = None,
        audio_tokenizer_name_or_path: str | Path | None = None,
        tokenizer_name_or_path: str | Path | None = None,
        device: str | torch.device | None = None,
        torch_dtype: str | torch.dtype = "auto",
        kv_cache_lengths: Sequence[int] | None = None,
        *,
        torch_compile: bool = False,
        load_in_8bit: bool = False,
    ) -> None:
        """Load a model: None or "default" is the packaged one, else a name, folder or hub id.

        Published checkpoints keep codec and text tokenizer in folders of their own; own ones do not need those
        arguments. Cache rows are as long as the longest of ``kv_cache_lengths``, without them as `parlando.load` has
        them. ``load_in_8bit`` keeps the language model's weights in int8. ``torch_compile`` records steps as
        CUDA graphs on a CUDA device; elsewhere a warning says what is done instead.

        Raises:
            ParlandoError: as `parlando.load`.
            CheckpointError: the model is of another family.
        """
        folder = locate(model_name_or_path)
        target = None if device is None else str(device)
        dtype = None if torch_dtype == "auto" else str(torch_dtype).removeprefix("torch.")
        family = family_of(folder)
        if family != HiggsModel.family:
            raise CheckpointError(
                f"'{model_name_or_path}' is a model of the family '{family}', which HiggsAudioServeEngine does not "
                "speak; use parlando.cosyvoice.CosyVoice2 or parlando.load for it"
            )
        options = ModelOptions(quantize="int8" if load_in_8bit else None, cuda_graphs=torch_compile)
        if is_own_layout(folder):
            self._model: HiggsModel = load_model(folder, target, dtype, options)
        else:
            codec = locate(audio_tokenizer_name_or_path)
            text = folder if tokenizer_name_or_path is None else locate(tokenizer_name_or_path)
            self._model = load_published(folder, codec, text, target, dtype, options)
        if torch_compile and self._model.device.type != "cuda":
            logger.warning(
                "torch_compile is not used here: small models step in a compiled kernel, others in PyTorch as it is; "
                "on a CUDA device steps are recorded as CUDA graphs"
            )
        self._synthesizer = Synthesizer(self._model, context=_longest_row(kv_cache_lengths, self._model))

    @published(GenerateArguments)
    def generate(self, arguments: GenerateArguments) -> HiggsAudioResponse:
        """The whole reply to a conversation; ``audio`` is None when the model answered in words only.

        Raises:
            InputError: the conversation cannot be spoken; the message says why.
            GenerationError: the model failed.
        """
        call = self._call(arguments)
        return self._response(call, list(self._reply(call, WHOLE_SENTENCES)))

    @published(GenerateArguments)
    async def generate_delta_stream(self, arguments: GenerateArguments) -> AsyncIterator[HiggsAudioStreamerDelta]:
        """The reply token by token as it is made; errors reach the consumer, and leaving the loop cancels.

        Raises:
            InputError: the conversation cannot be spoken; the message says why.
            GenerationError: the model failed.
        """
        call = await asyncio.to_thread(self._call, arguments)
        steps = self._reply(call, STREAMED)
        pending: asyncio.Future[ReplyStep | None] | None = None
        try:
            while True:
                pending = asyncio.ensure_future(asyncio.to_thread(next, steps, None))
                step = await asyncio.shield(pending)
                if step is None:
                    return
                yield self._delta(step)
        finally:
            if pending is not None:
                await asyncio.wait([pending])
            await asyncio.to_thread(steps.close)

    def close(self) -> None:
        """Shut the engine down."""
        self._synthesizer.close()

    def _call(self, arguments: GenerateArguments) -> Call:
        messages = arguments.chat_ml_sample.messages
        contents = [part for message in messages for part in message.parts() if isinstance(part, AudioContent)]
        return Call(messages, tuple(self._encode(content) for content in contents), arguments)

    def _encode(self, content: AudioContent) -> np.ndarray:
        clip = read_audio(clip_source(content), max_seconds=CLIP_LIMITS.max_seconds)
        start = round((content.offset or 0.0) * clip.sample_rate)
        length = len(clip.samples) if content.duration is None else round(content.duration * clip.sample_rate)
        samples = clip.samples[start : start + length]
        check_reference(samples, clip.sample_rate, "audio content", CLIP_LIMITS)
        return self._model.encode(samples, clip.sample_rate)

    def _reply(self, call: Call, schedule: HopSchedule) -> Generator[ReplyStep, None, None]:
        reply = spoken_reply if self._model.speaks_utterances else chat_reply
        return reply(self._synthesizer, self._model, call, schedule)

    def _delta(self, step: ReplyStep) -> HiggsAudioStreamerDelta:
        frame, finish = step.frame, step.finish
        if frame is None:
            return HiggsAudioStreamerDelta(finish_reason=finish, audio=step.samples)
        if frame.codes:
            return HiggsAudioStreamerDelta(
                audio_tokens=torch.tensor(frame.codes), finish_reason=finish, audio=step.samples
            )
        text = self._model.tokenizer.decode([frame.token])
        return HiggsAudioStreamerDelta(text, torch.tensor([frame.token]), finish_reason=finish, audio=step.samples)

    def _response(self, call: Call, steps: Sequence[ReplyStep]) -> HiggsAudioResponse:
        frames = [step.frame for step in steps if step.frame is not None]
        text_tokens = [frame.token for frame in frames if not frame.codes]
        samples = np.concatenate([np.zeros(0, np.float32), *(step.samples for step in steps)])
        prompt_tokens = len(self._model.chat.render(call.messages, call.clips, call.suffix))
        return HiggsAudioResponse(
            audio=samples if len(samples) else None,
            generated_audio_tokens=self._first_clip([frame.codes for frame in frames if frame.codes]),
            sampling_rate=self._model.sample_rate,
            generated_text=self._model.tokenizer.decode(text_tokens),
            generated_text_tokens=np.array(text_tokens, dtype=np.int64),
            usage={
                "prompt_tokens": prompt_tokens,
                "completion_tokens": len(frames),
                "total_tokens": prompt_tokens + len(frames),
                "cached_tokens": 0,
            },
        )

    def _first_clip(self, codes: Sequence[tuple[int, ...]]) -> np.ndarray | None:
        """Delayed codes [codebook, frame]; the sentences of one message are one clip."""
        if not codes:
            return None
        bos = self._model.config.lm.stream_bos
        starts = [index for index, frame in enumerate(codes) if all(code == bos for code in frame)]
        if len(starts) < 2 or not self._model.speaks_utterances:
            return np.array(codes[: starts[1] if len(starts) > 1 else None], dtype=np.int64).T
        undelay = Undelay(len(codes[0]), bos, bos + 1)
        return build_delay(undelay.push_all(codes), bos, bos + 1)


def _longest_row(lengths: Sequence[int] | None, model: HiggsModel) -> int | None:
    if not lengths:
        return None
    longest = max(lengths)
    if longest < 2:
        raise ConfigError(f"kv_cache_lengths: {list(lengths)} leave no room for a prompt; use at least 2 positions")
    return min(longest, model.config.lm.context_length)
