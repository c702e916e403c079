"""Understanding in use: a recording in, one answer out; a long one is heard piece by piece, cut where it is quiet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch

from parlando.audio.clip import Clip
from parlando.audio.resample import resample
from parlando.audio.silence import frame_levels
from parlando.core.errors import AudioError
from parlando.models.understanding.network import BLANK, Impression, UnderstandingNetwork
from parlando.models.understanding.search import Hypothesis, prefix_beam_search
from parlando.models.understanding.tokens import BYTES, END, decode, next_in_header
from parlando.text.answer import EVENTS, Answer, parse_answer

BEAMS = 8
PIECE_SECONDS, CUT_SECONDS, LEVEL_SECONDS = 14.0, 6.0, 0.05
SHORTEST_SECONDS = 0.1
TARGET_RMS, SILENT_RMS = 0.06, 1e-6


@dataclass(frozen=True)
class Piece:
    """What was heard from one time to another."""

    start_seconds: float
    end_seconds: float
    answer: Answer


class Listener:
    """Asks an understanding network.

    The header is what the language model says; of the transcripts that CTC finds likely, the one is taken that both
    like best (attention rescoring: Zhang et al., 2020, U2). So nothing is written that was not heard.
    """

    def __init__(self, network: UnderstandingNetwork, beams: int = BEAMS) -> None:
        self.network, self._beams = network.eval(), beams

    @cached_property
    def _device(self) -> torch.device:
        return next(self.network.parameters()).device

    def pieces(self, clip: Clip) -> list[Piece]:
        """What is heard of a clip of any length.

        Raises:
            AudioError: it is shorter than a tenth of a second.
        """
        ear = self.network.config.ear
        wave = resample(clip.samples, clip.sample_rate, ear.sample_rate)
        if len(wave) < max(SHORTEST_SECONDS * ear.sample_rate, ear.fft_samples):
            raise AudioError(
                f"{clip.duration_seconds:.2f} s are too short to be understood; give at least {SHORTEST_SECONDS:g} s"
            )
        longest = min(PIECE_SECONDS, self.network.config.longest_seconds)
        edges = list(_edges(wave, ear.sample_rate, longest))
        return [
            Piece(start / ear.sample_rate, end / ear.sample_rate, self.understand_wave(wave[start:end]))
            for start, end in pairwise(edges)
        ]

    def understand(self, clip: Clip) -> Answer:
        """What is heard of a clip, the pieces of a long one joined (`joined`)."""
        return joined([piece.answer for piece in self.pieces(clip)])

    @torch.inference_mode()
    def understand_wave(self, wave: np.ndarray) -> Answer:
        """The answer of samples at the ear's rate, no more than the network hears at once."""
        network = self.network
        loudness = float(np.sqrt(np.square(wave, dtype=np.float64).mean()))
        levelled = torch.from_numpy(wave * np.float32(TARGET_RMS / max(loudness, SILENT_RMS)))[None].to(self._device)
        samples = torch.tensor([len(wave)], device=self._device)
        heard = network.hear(network.ear(levelled, samples), network.ear.frames(samples))
        header = self._header(heard)
        found = self._transcripts(heard) if header[-1] != END else [Hypothesis((), 0.0)]
        header = header[:-1]
        best = max(zip(self._scores(heard, header, found), found, strict=True), key=lambda pair: pair[0])[1]
        return parse_answer(decode((*header, *best.symbols)))

    def _header(self, heard: Impression) -> list[int]:
        """The likeliest header that the grammar allows, with what follows it."""
        header: list[int] = []
        while not header or (header[-1] != END and header[-1] not in _BODY):
            allowed = list(next_in_header(header))
            logits = self._logits(heard, [header])[0, len(header)]
            header.append(allowed[int(logits[allowed].argmax())])
        return header

    def _transcripts(self, heard: Impression) -> list[Hypothesis]:
        log_probs = heard.symbols[0, : int(heard.num_slots[0])].log_softmax(-1).double().cpu().numpy()
        return prefix_beam_search(log_probs, BLANK, self._beams)

    def _scores(self, heard: Impression, header: Sequence[int], found: Sequence[Hypothesis]) -> list[float]:
        """Of each transcript, both log probabilities weighed."""
        share = self.network.config.ctc_share
        rows = [[*header, *each.symbols, END] for each in found]
        told = self._logits(heard, [row[:-1] for row in rows]).log_softmax(-1)
        written = [float(told[place, range(len(row)), row].sum()) for place, row in enumerate(rows)]
        return [share * each.score + (1 - share) * own for each, own in zip(found, written, strict=True)]

    def _logits(self, heard: Impression, rows: Sequence[Sequence[int]]) -> torch.Tensor:
        longest = max(map(len, rows))
        tokens = torch.zeros(len(rows), longest, dtype=torch.long, device=self._device)
        present = torch.zeros(len(rows), longest, dtype=torch.bool, device=self._device)
        for place, row in enumerate(rows):
            tokens[place, : len(row)] = torch.tensor(row, dtype=torch.long)
            present[place, : len(row)] = True
        together = Impression(*(each.expand(len(rows), *each.shape[1:]) for each in heard))
        return self.network.answer(together, tokens, present)


_BODY = range(BYTES, BLANK)
"""The turns, the first of which ends a header."""


def joined(answers: Sequence[Answer]) -> Answer:
    """One answer of several pieces: described as the first one is, with all events and turns.

    Speakers of different pieces are not known to be the same; they are counted as if the n-th were.
    """
    first = answers[0]
    events = tuple(name for name in EVENTS if any(name in each.events for each in answers))
    speakers = max((each.speakers for each in answers), key=len)
    return Answer(first.place, events, first.emotion, speakers, tuple(turn for each in answers for turn in each.turns))


def _edges(wave: np.ndarray, rate: int, longest_seconds: float) -> Iterator[int]:
    """Where pieces of no more than so many seconds begin and end: in the quietest place of each one's last seconds."""
    longest, frame = int(longest_seconds * rate), round(LEVEL_SECONDS * rate)
    place = 0
    yield place
    while len(wave) - place > longest:
        first = place + max(longest - round(CUT_SECONDS * rate), longest // 2)
        levels = frame_levels(wave[first : place + longest], frame)
        place = min(first + int(levels.argmin()) * frame + frame // 2, place + longest)
        yield place
    yield len(wave)
