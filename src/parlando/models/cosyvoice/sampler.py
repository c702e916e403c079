"""Decides each next position of one request: a speech code that is drawn, or text that is due, or the end.

Speech is drawn with repetition-aware sampling (VALL-E 2, Chen et al., 2024) in `nn.sampling`, by CosyVoice2's rules.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch

from parlando.core.types import Awaited, Frame, SamplingOptions
from parlando.models.cosyvoice.config import LMConfig
from parlando.models.cosyvoice.parts.interleave import Due, Interleaver
from parlando.models.cosyvoice.parts.mbr import MinimumBayesRisk
from parlando.models.cosyvoice.prompt import SpeechPrompt
from parlando.nn.sampling import Kept, Ranking, Widening, check_options, draw


class StepLogits(Protocol):
    """What the LM hands the sampler."""

    @property
    def ranking(self) -> Ranking:
        """Logits of the next code of every row of the step; one codebook."""
        ...

    @property
    def row(self) -> int:
        """Which row of them is this request's."""
        ...

    @property
    def place(self) -> int:
        """The token of the sentence that is said next, or `NOWHERE`."""
        ...


class CosyVoiceSampler:
    """The frames of one request (a `core.stages.FrameSampler`); owns its place in the text, history and random numbers.

    Frames with a code are speech; frames without one are text that is fed while it arrives, not to be decoded.
    ``seed`` is the one in use, drawn if the options have none; ``made_frames`` counts the speech.

    Where the published loop differs, on purpose:

    - Before the least length it forbids one of the three codes that are no speech, and the other two could end it
      early; here none can.
    - Text that arrives has no limit at its end there, and the code without a meaning is an error; here the lengths by
      text and the stop codes are those of a whole text.

    As there, the end of every group counts as a request for text when repetition is looked for: one that comes again
    at once is drawn anew, so that the model does not hurry through its text.
    """

    def __init__(self, config: LMConfig, prompt: SpeechPrompt, options: SamplingOptions) -> None:
        check_options(options)
        self._widening = Widening(options, prompt.num_places)
        self._config, self._options, self._prompt = config, options, prompt
        self._turns = None if prompt.turns is None else prompt.turns.fresh()
        self._generator = torch.Generator()
        self.seed = self._generator.seed() if options.seed is None else options.seed
        self._generator.manual_seed(self.seed)
        self._history = np.zeros((0, 1), dtype=np.int64)
        self._mbr = MinimumBayesRisk(config.codebook_size, config.code_levels)
        self._not_in_group = tuple(code for code in config.stop_codes if code != config.fill)
        self.made_frames = 0
        self.ended = False

    def next(self, logits: StepLogits) -> Frame | Awaited | None:
        """The next frame, more text to be fetched, or None when the request has ended.

        Raises:
            GenerationError: the logits are not finite.
        """
        if self.ended:
            return None
        return self._last_speech(logits) if self._turns is None else self._in_turn(self._turns, logits)

    def _in_turn(self, turns: Interleaver, logits: StepLogits) -> Frame | Awaited | None:
        """While text may follow: a code of this turn, or, if that asks for text, what there is of it."""
        due = turns.due()
        if due is Due.GROUP_SPEECH:
            code = self._draw(logits, self._not_in_group)
            if code != self._config.fill:
                turns.spoke()
                frame = self._speech(code, logits.place)
                if not turns.speech_left:
                    self._remember(self._config.fill)
                return frame
            self._remember(code)
            turns.end_group()
            due = turns.due()
        if due is Due.ARRIVAL:
            return Awaited(turns.text.pull)
        return Frame(due) if isinstance(due, int) else self._last_speech(logits)

    def _last_speech(self, logits: StepLogits) -> Frame | None:
        """Speech after all text: the model may end it, within the lengths that its text allows."""
        least, most = self._lengths()
        if self.made_frames >= most:
            self.ended = True
            return None
        code = self._draw(logits, self._config.stop_codes if self.made_frames < least else ())
        self.ended = code in self._config.stop_codes
        return None if self.ended else self._speech(code, logits.place)

    def _lengths(self) -> tuple[int, int]:
        """The least and the most frames; what is fed before a text that arrives may have been spoken, or not."""
        spoken = self._prompt.text_tokens if self._turns is None else len(self._turns.text.tokens)
        fed = spoken if self._turns is None else self._turns.text_tokens
        return int(self._config.min_frames_per_token * spoken), int(self._config.max_frames_per_token * fed)

    def _draw(self, logits: StepLogits, forbidden: tuple[int, ...]) -> int:
        ranking, options = logits.ranking.without(forbidden), self._widening.at(logits.place)
        code = int(draw(ranking, logits.row, options, self._history, self._generator)[0])
        if self._config.consensus_draws == 1 or code in self._config.stop_codes or self._options.temperature == 0:
            return code
        return self._agreed(ranking.kept(options), logits.row, code)

    def _agreed(self, kept: Kept, row: int, code: int) -> int:
        """Of this code and more draws, the one nearest to all of them; this one if that would repeat itself."""
        cumulative = kept.cumulative[row, 0]
        uniform = torch.rand(self._config.consensus_draws - 1, generator=self._generator, dtype=torch.float64).numpy()
        places = np.searchsorted(cumulative, uniform * cumulative[-1], side="right")
        codes = np.concatenate(([code], kept.indices[row, 0][places]))
        codes = codes[codes < self._config.codebook_size]
        agreed = int(self._mbr.of(codes))
        window, limit = self._options.repetition_window or 0, self._options.repetition_limit
        repeats = window and (self._history[-window:] == agreed).sum() >= limit
        return code if repeats else agreed

    def _speech(self, code: int, place: int) -> Frame:
        self._remember(code)
        self.made_frames += 1
        self.ended = self.made_frames == self._options.max_frames
        return Frame(self._config.speech_id, (code,), place)

    def _remember(self, code: int) -> None:
        window = self._options.repetition_window
        if window:
            self._history = np.concatenate((self._history, [[code]]))[-window:]
