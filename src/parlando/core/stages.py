"""What each stage of a request promises the next; engine and models meet only here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from parlando.core.types import Awaited, Frame, Notation, Prefill, Prompt, Reference, SamplingOptions, Voice


class PromptBuilder(Protocol):
    """Turns a sentence and a voice into a prompt; training and inference use the same one."""

    def build(self, sentence: str, voice: Voice) -> Prompt:
        """Build the prompt for one normalised sentence.

        Raises:
            PromptTooLongError: it leaves no room in the model's context.
        """
        ...

    def spans(self, sentence: str) -> Sequence[tuple[int, int]]:
        """The characters of a sentence that each of its tokens stands for (`Frame.place` counts them)."""
        ...


class ArrivingPromptBuilder(Protocol):
    """Turns a sentence that still arrives into a prompt, for a model that reads while it speaks."""

    def build_arriving(self, pieces: Iterable[str], voice: Voice) -> Prompt:
        """Build the prompt for the normalised words of a sentence, of which it takes as many as it needs now.

        Raises:
            TextError: nothing to pronounce has come.
            Exception: whatever the pieces raise, as it is.
        """
        ...


class Cache(Protocol):
    """Keys and values of a fixed number of rows; made by the LM, owned by the engine.

    ``position_bytes`` is what a position takes.
    """

    position_bytes: int

    def free(self, row: int) -> None:
        """Forget a row: its length becomes zero."""
        ...

    def length(self, row: int) -> int:
        """Positions held for a row."""
        ...

    def copy(self, row: int) -> Any:
        """Everything a row holds, to be kept elsewhere."""
        ...

    def park(self, row: int) -> Any:
        """Everything a row holds, to be kept elsewhere; the row is free then."""
        ...

    def resume(self, row: int, parked: Any) -> None:
        """Put into a free row what `park` or `copy` gave, any number of times; the LM goes on bit by bit the same."""
        ...


class TokenLM(Protocol):
    """A causal LM over text and audio positions. Weights are read-only; all state is in the cache passed in."""

    context_length: int

    def new_cache(self, rows: int, length: int) -> Cache:
        """Allocate a cache of ``rows`` sequences of at most ``length`` positions."""
        ...

    def prefill(self, prompt: Prompt, cache: Cache, row: int, start: int = 0) -> Any:
        """Fill one row with a prompt, of which it holds the first ``start`` positions.

        Returns the logits of the last one (whatever the family's sampler takes), bit by bit the same whether those
        before ``start`` were filled just now or resumed.
        """
        ...

    def step(self, frames: Sequence[Frame | None], cache: Cache) -> Sequence[Any]:
        """Advance rows ``0..len(frames)-1`` by one frame each and return one logits value per row.

        ``None`` marks an idle row: it is computed along (shapes stay fixed), its cache is not advanced and its logits
        mean nothing.
        """
        ...


@runtime_checkable
class JoiningLM(TokenLM, Protocol):
    """A language model that can read several prompts in one pass.

    ``joins_prompts``: whether each then is bit by bit what it is alone, so that the engine may have them read together.
    """

    joins_prompts: bool

    def prefill_all(self, prefills: Sequence[Prefill], cache: Cache) -> Sequence[Any]:
        """`prefill` for each, in one pass; of a failure no row counts anything."""
        ...


class FrameSampler(Protocol):
    """Decides the next frame of one request; owns that request's counters, history and random generator.

    ``ended``: whether nothing follows the frames decided so far, so that the model need not be asked again.
    """

    ended: bool

    def next(self, logits: Any) -> Frame | Awaited | None:
        """The next frame, what it waits for, or ``None`` when the request has ended."""
        ...


class WaveStream(Protocol):
    """Frames in, samples out, for one request; owns its look-ahead and decoder history."""

    def push(self, frames: Sequence[Frame], final: bool) -> np.ndarray:
        """Samples (float32 [n], n may be 0) that are final; concatenated, they equal decoding everything at once."""
        ...

    def frames_until(self, sounding: int) -> int:
        """How many more frames must come, if no end does, before the sound of so many more is final.

        0 or less: it could be by now, at the next push.
        """
        ...


class WaveDecoder(Protocol):
    """Opens wave streams."""

    sample_rate: int
    samples_per_frame: int

    def open(self, prompt: Prompt, speed: float = 1.0) -> WaveStream:
        """A new stream for the audio that follows a prompt, ``speed`` times as fast at the same pitch."""
        ...


class Converter(Protocol):
    """Says what a recording says in another voice, without a language model."""

    def frames(self, samples: np.ndarray, sample_rate: int) -> Sequence[Frame]:
        """What a mono clip (float32 [n], any rate, any length) says.

        Raises:
            AudioError: the clip is too short, not finite, or its rate too low.
        """
        ...

    def open(self, voice: Voice, speed: float = 1.0) -> WaveStream:
        """A stream that turns such frames into a voice's audio."""
        ...


class Model(Protocol):
    """A loaded family: its stages, voices and defaults. Everything above this line sees only this.

    ``needs_transcript``: whether a voice that follows a clip must come with the clip's words. ``notation``: what it
    understands in its text besides words. ``takes_instructions``: whether it does what `Voice.instruction` says.
    ``arriving`` and ``converter`` are None where a model cannot do such a thing. ``codebook_sizes`` has one entry
    for each codebook.
    """

    name: str
    family: str
    sample_rate: int
    frame_rate: float
    codebook_sizes: tuple[int, ...]
    prompts: PromptBuilder
    lm: TokenLM
    decoder: WaveDecoder
    voices: Mapping[str, Voice]
    default_voice: str
    needs_transcript: bool
    takes_instructions: bool
    arriving: ArrivingPromptBuilder | None
    converter: Converter | None
    notation: Notation
    sampling: SamplingOptions

    def new_sampler(self, prompt: Prompt, options: SamplingOptions) -> FrameSampler:
        """A sampler for one request."""
        ...

    def encode(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        """Codes (int64 [codebook, frame]) of a mono clip (float32 [n]) at any rate.

        Raises:
            AudioError: the clip is too short, too long, silent, clipped or not finite.
        """
        ...

    def recode(self, samples: np.ndarray, sample_rate: int) -> tuple[Sequence[Frame], WaveStream]:
        """A mono clip as the frames that a language model would make, and a stream that gives them its sound.

        Raises:
            AudioError: as for `encode`.
        """
        ...

    def refer(self, text: str, samples: np.ndarray, sample_rate: int) -> Reference:
        """What a voice that follows a mono clip is made of; ``text`` is what is said in it, or empty.

        Raises:
            AudioError: as for `encode`.
        """
        ...
