"""Decides each next frame of one request: text, the forced BOS frame, or codes under the delay pattern.

The ramp-in (codebooks that have not begun are BOS) and the ramp-out (codebooks that have ended are EOS) are forced on
top of what is drawn. How a clip ends differs between the two published generators; `Ending` has both.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from parlando.core.errors import GenerationError
from parlando.core.types import NOWHERE, Frame, Prompt, SamplingOptions
from parlando.models.higgs.config import LMConfig
from parlando.models.higgs.parts.chatml import Layout
from parlando.nn.sampling import Ranking, Widening, check_options, draw

_NOTHING = -1


class StepLogits(Protocol):
    """What the LM hands the sampler: rows per codebook, and the text vocabulary after a text position."""

    @property
    def ranking(self) -> Ranking:
        """Logits of the next frame of every row of the step."""
        ...

    @property
    def row(self) -> int:
        """Which row of them is this request's."""
        ...

    @property
    def text(self) -> Float[Tensor, " vocab"] | None:
        """Logits of the next text token, if the model made them."""
        ...

    @property
    def place(self) -> int:
        """The token of the sentence that is said next, or `NOWHERE`."""
        ...


class Mode(Enum):
    """What the last position makes the next one."""

    TEXT = auto()
    AUDIO_INIT = auto()
    AUDIO = auto()


class Ramp:
    """The delay pattern of one clip while it is generated: which codebooks have begun, and which have ended.

    ``ending`` "original": the lowest codebook that draws EOS ends those below it at once, and the clip is over when the
    last one's turn has come. "transformers": any EOS starts an ending from codebook 0, over when all say EOS.
    """

    def __init__(self, num_codebooks: int, bos: int, eos: int, ending: Layout) -> None:
        self._num_codebooks, self._bos, self._eos, self._ending = num_codebooks, bos, eos, ending
        self._begun = 0
        self._ended: int | None = None
        self.over = False

    def resume(self, codes: Sequence[int]) -> None:
        """Continue after a delayed frame that was already there."""
        self._begun = self._num_codebooks - list(codes).count(self._bos)
        if self._eos in codes:
            leading = next((index for index, code in enumerate(codes) if code != self._eos), self._num_codebooks)
            self._ended = max(1, leading)
            self.over = leading == self._num_codebooks

    def constrain(self, drawn: Sequence[int]) -> list[int]:
        """The next frame: what was drawn for each codebook, overruled where the pattern leaves no choice."""
        codes = list(drawn)
        self._begun = min(self._begun + 1, self._num_codebooks)
        codes[self._begun :] = [self._bos] * (self._num_codebooks - self._begun)
        if self._ended is not None:
            codes[: self._ended] = [self._eos] * self._ended
            self._ended += 1
        elif self._eos in codes:
            lowest = codes.index(self._eos) if self._ending == "original" else 0
            codes[:lowest] = [self._eos] * lowest
            self._ended = lowest + 1
        self.over = self._is_over(codes)
        return codes

    def _is_over(self, codes: Sequence[int]) -> bool:
        if self._ending == "original":
            return self._ended is not None and self._ended >= self._num_codebooks
        return all(code == self._eos for code in codes)


class HiggsSampler:
    """The frames of one request (a `core.stages.FrameSampler`); owns its ramp, its history and its random numbers.

    With ``speech_only`` the request ends with its first clip; otherwise the model goes on in text until it says a stop
    token. ``seed`` is the one in use, drawn if the options have none.
    """

    def __init__(
        self,
        config: LMConfig,
        prompt: Prompt,
        options: SamplingOptions,
        layout: Layout = "original",
        speech_only: bool = True,
    ) -> None:
        self._config, self._options, self._layout, self._speech_only = config, options, layout, speech_only
        check_options(options)
        self._widening = Widening(options, prompt.num_places)
        self._generator = torch.Generator()
        self.seed = self._generator.seed() if options.seed is None else options.seed
        self._generator.manual_seed(self.seed)
        self._no_history = np.zeros((0, 1), dtype=np.int64)
        self._placeholders = torch.tensor(sorted(config.placeholder_ids))
        self._history = self._history_of(prompt)
        self._ramp = self._new_ramp()
        self._made = 0
        self.ended = False
        self._mode = self._first_mode(prompt)

    def next(self, logits: StepLogits) -> Frame | None:
        """The next frame, or None when the request has ended.

        Raises:
            GenerationError: text is due and the model made no text logits.
        """
        self.ended = self.ended or self._made == self._options.max_frames
        frame = None if self.ended else self._decide(logits)
        self._made += 1
        return frame

    def _decide(self, logits: StepLogits) -> Frame | None:
        if self._mode is Mode.AUDIO_INIT:
            self._mode, self._ramp = Mode.AUDIO, self._new_ramp()
            return self._audio_frame([self._config.stream_bos] * self._config.num_codebooks)
        if self._mode is Mode.TEXT:
            return self._text_frame(logits)
        if self._ramp.over:
            return self._close_clip()
        options = self._widening.at(logits.place)
        drawn = draw(logits.ranking, logits.row, options, self._history, self._generator).tolist()
        frame = self._audio_frame(self._ramp.constrain(drawn), logits.place)
        self.ended = self._ramp.over and self._speech_only
        return frame

    def _close_clip(self) -> Frame:
        """The text token after a clip, which is not for the model to choose."""
        self._mode = Mode.TEXT
        assert self._config.audio_eos_id is not None, "a model with a text head names its end of audio"
        return Frame(self._config.audio_eos_id)

    def _audio_frame(self, codes: list[int], place: int = NOWHERE) -> Frame:
        """The frame, remembered in the history."""
        window = self._options.repetition_window
        if window:
            self._history = np.concatenate((self._history, self._remembered(np.array([codes]))))[-window:]
        ending = self._layout == "transformers" and self._config.stream_eos in codes
        token = self._config.delay_id if ending and self._config.delay_id is not None else self._config.audio_out_id
        return Frame(token, tuple(codes), place)

    def _text_frame(self, logits: StepLogits) -> Frame | None:
        if logits.text is None:
            raise GenerationError(
                "the next position is text and this model speaks only; end the prompt with <|audio_out_bos|>"
            )
        # A placeholder without codes would be a position with nothing in it; the published model can loop on those.
        allowed = logits.text.index_fill(0, self._placeholders, float("-inf"))
        token = int(draw(Ranking(allowed[None, None]), 0, self._options, self._no_history, self._generator)[0])
        self.ended = token in (self._config.eot_id, self._config.end_of_text_id)
        if token == self._config.audio_out_bos_id:
            self._mode = Mode.AUDIO_INIT
        return None if self.ended else Frame(token)

    def _first_mode(self, prompt: Prompt) -> Mode:
        if prompt.audio_mask[-1]:
            self._ramp.resume(prompt.codes[-1].tolist())
            self.ended = self._ramp.over and self._speech_only
            return Mode.AUDIO
        return Mode.AUDIO_INIT if prompt.tokens[-1] == self._config.audio_out_bos_id else Mode.TEXT

    def _new_ramp(self) -> Ramp:
        config = self._config
        return Ramp(config.num_codebooks, config.stream_bos, config.stream_eos, self._layout)

    def _history_of(self, prompt: Prompt) -> Int[np.ndarray, "window codebook"]:
        """The prompt's last spoken frames; clips that were only heard do not count as repetition."""
        window = self._options.repetition_window or 0
        tokens = np.array(prompt.tokens)[prompt.audio_mask]
        spoken = prompt.codes[tokens != self._config.audio_in_id]
        recent = spoken[max(0, len(spoken) - window) :]
        return self._remembered(recent)

    def _remembered(self, codes: Int[np.ndarray, "frame codebook"]) -> Int[np.ndarray, "frame codebook"]:
        """Codes as history: the transformers generator does not count BOS and EOS as repetition."""
        if self._layout == "original":
            return codes
        return np.where(codes >= self._config.stream_bos, _NOTHING, codes)
