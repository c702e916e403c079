"""Two ways to a reply: the conversation itself, for models trained on such, or utterance by utterance."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from parlando.core.types import Frame
from parlando.engine.chunking import Chunker, HopSchedule
from parlando.higgs.arguments import GenerateArguments
from parlando.higgs.conversation import cast, read_conversation
from parlando.models.higgs.build import HiggsModel
from parlando.models.higgs.parts.chatml import ANSWER, SPEAK, Message
from parlando.request import Pauses, derived_seed
from parlando.speech import Synthesizer

SILENT = np.zeros(0, dtype=np.float32)
NO_PAUSES = Pauses(0.0, 0.0)
LONGEST_STOP_TOKENS = 16


@dataclass(frozen=True)
class Call:
    """One request: its messages, the codes (int64 [codebook, frame]) of their clips in order, and its arguments."""

    messages: Sequence[Message]
    clips: tuple[np.ndarray, ...]
    arguments: GenerateArguments

    @property
    def suffix(self) -> str:
        """What opens the reply: with ``force_audio_gen`` it must be audio, else the model decides."""
        return SPEAK if self.arguments.force_audio_gen else ANSWER


@dataclass(frozen=True)
class ReplyStep:
    """A frame (None in a last step that only ends), the samples that became final, and how the reply ended."""

    frame: Frame | None
    samples: np.ndarray
    finish: str | None = None


def spoken_reply(
    synthesizer: Synthesizer, model: HiggsModel, call: Call, schedule: HopSchedule
) -> Generator[ReplyStep, None, None]:
    """Speak the last user message turn by turn in the voices that the conversation asks for."""
    conversation = read_conversation(call.messages, call.clips)
    voices = cast(conversation, model.voices, model.default_voice)
    sampling = call.arguments.sampling(model.sampling)
    options = {name: value for name, value in vars(sampling).items() if name != "max_frames"}
    first = synthesizer.options(schedule=schedule, pauses=NO_PAUSES, lead_silence_seconds=math.inf, **options)
    remaining = call.arguments.max_new_tokens
    for index, turn in enumerate(conversation.turns):
        turned = replace(first, seed=derived_seed(first.seed, index, 1))
        request = synthesizer.spoken_by(voices[turn.speaker], turned)
        for chunk in synthesizer.run(turn.text, request):
            frames = chunk.frames[:remaining]
            remaining -= len(chunk.frames)
            samples = chunk.samples[: max(0, len(chunk.samples) + min(0, remaining) * model.samples_per_frame)]
            yield from _steps(frames, samples)
            if remaining <= 0:
                yield ReplyStep(None, SILENT, "length")
                return
    yield ReplyStep(None, SILENT, "stop")


def chat_reply(
    synthesizer: Synthesizer, model: HiggsModel, call: Call, schedule: HopSchedule
) -> Generator[ReplyStep, None, None]:
    """Let the model answer the conversation as it stands."""
    prompt = model.chat.render(call.messages, call.clips, call.suffix)
    sampling = call.arguments.sampling(model.sampling)
    stream, chunker, stop = model.decoder.open(prompt), Chunker(schedule), _StopWatch(model, call.arguments.stops)
    session = synthesizer.engine.submit(prompt, model.new_chat_sampler(prompt, sampling), sampling.max_frames)
    with session:
        for frame in session:
            yield ReplyStep(frame, stream.push(chunker.push(frame), final=False))
            if stop.reached(frame):
                break
    samples = stream.push(chunker.flush(), final=True)
    yield ReplyStep(None, samples, "length" if session.finish == "length" else "stop")


def _steps(frames: Sequence[Frame], samples: np.ndarray) -> Iterator[ReplyStep]:
    """The samples go with the last frame, which made them final."""
    yield from (ReplyStep(frame, SILENT) for frame in frames[:-1])
    if frames or len(samples):
        yield ReplyStep(frames[-1] if frames else None, samples)


class _StopWatch:
    """Whether the text of a reply ends with one of the stop strings."""

    def __init__(self, model: HiggsModel, stops: Sequence[str]) -> None:
        self._tokenizer, self._stops = model.tokenizer, tuple(stops)
        self._recent: list[int] = []

    def reached(self, frame: Frame) -> bool:
        """Whether the reply ends with this frame."""
        if frame.codes or not self._stops:
            return False
        self._recent = [*self._recent[-LONGEST_STOP_TOKENS:], frame.token]
        return self._tokenizer.decode(self._recent).endswith(self._stops)
