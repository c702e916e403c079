"""What a chunk of a long stream costs by its position: our stream with states against recomputing all that was.

The peer is how published code streams a flow and its vocoder: for every chunk the flow computes the whole sequence so
far and the vocoder the new frames after some cached ones. It is written out here as a plain loop over our own modules.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from parlando.evaluate.report import markdown_table
from parlando.models.cosyvoice.parts.flow import Flow, FlowConfig, FlowPrompt
from parlando.models.cosyvoice.parts.hift import HiFT, HiFTConfig

CACHED_FRAMES = 8
FIRST_ROUNDS = 7


@dataclass(frozen=True)
class StreamLoad:
    """A stream of ``seconds`` in chunks of ``hops`` tokens, the last of which repeats; sizes are the published ones.

    Without ``peer`` only ours is measured: recomputing a long stream takes hours.
    """

    seconds: float = 20.0
    hops: tuple[int, ...] = (25, 50, 100)
    solver_steps: int = 10
    flow: FlowConfig = field(default_factory=FlowConfig)
    hift: HiFTConfig = field(default_factory=HiFTConfig)
    peer: bool = True

    @property
    def num_tokens(self) -> int:
        """Speech tokens of the whole stream."""
        samples_per_token = self.flow.encoder.frames_per_token * self.hift.samples_per_frame
        return round(self.seconds * self.hift.source.sample_rate / samples_per_token)

    def ends(self) -> list[int]:
        """After how many tokens each chunk ends."""
        ends, index = [0], 0
        while ends[-1] < self.num_tokens:
            ends.append(min(ends[-1] + self.hops[min(index, len(self.hops) - 1)], self.num_tokens))
            index += 1
        return ends[1:]


@dataclass(frozen=True)
class ChunkCost:
    """One chunk: where it ends, and what it took either way; ``recomputed_seconds`` is 0 without a peer."""

    end_seconds: float
    audio_seconds: float
    ours_seconds: float
    recomputed_seconds: float


@dataclass(frozen=True)
class StreamReport:
    """All chunks of a stream, in order."""

    chunks: tuple[ChunkCost, ...]
    machine: str

    @property
    def ratio(self) -> float:
        """Our total time as a share of the recomputation's."""
        return sum(c.ours_seconds for c in self.chunks) / sum(c.recomputed_seconds for c in self.chunks)


def run_stream_bench(load: StreamLoad, device: str = "cpu", seed: int = 0) -> StreamReport:
    """Time both ways, chunk by chunk and by turns, on the same random weights and tokens.

    The first chunk, for which somebody waits, is made `FIRST_ROUNDS` times anew; each way's fastest counts.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        flow, hift = Flow(load.flow).to(device).eval(), HiFT(load.hift).prepare().to(device)
        tokens = torch.randint(load.flow.vocab_size, (load.num_tokens,)).tolist()
    prompt = _no_prompt(load.flow, device)
    arguments = (flow, hift, prompt, load.solver_steps)
    costs, start = [], 0
    for end in tqdm(load.ends(), desc="stream", unit="chunk"):
        known = tokens[: min(end + load.flow.encoder.lookahead_tokens, len(tokens))]
        final, rounds = end == len(tokens), []
        for _ in range(1 if start else FIRST_ROUNDS):
            if not start:
                ways: list[_KeptState | _Recomputed] = [_KeptState(*arguments)]
                ways += [_Recomputed(*arguments)] * load.peer
            rounds.append([_timed(partial(way.chunk, known, final), device) for way in ways])
        ours, *recomputed = np.min(rounds, axis=0).tolist()
        seconds = load.seconds / len(tokens)
        costs.append(ChunkCost(end * seconds, (end - start) * seconds, ours, sum(recomputed)))
        start = end
    return StreamReport(tuple(costs), f"{torch.get_num_threads()} threads on {device}, torch {torch.__version__}")


class _KeptState:
    """Our stream: only the new tokens are computed."""

    def __init__(self, flow: Flow, hift: HiFT, prompt: FlowPrompt, solver_steps: int) -> None:
        self._flow, self._hift = flow, hift
        self._mel_state, self._wave_state = flow.open(prompt, solver_steps), hift.open([0])
        self._pushed = 0

    @torch.inference_mode()
    def chunk(self, known: Sequence[int], final: bool) -> None:
        """The next chunk; ``known`` are all tokens so far, the look-ahead included."""
        mel = self._flow.push(self._mel_state, known[self._pushed :], final)
        _, self._wave_state = self._hift.push(mel, self._wave_state, final)
        self._pushed = len(known)


class _Recomputed:
    """The peer: all tokens are computed for every chunk."""

    def __init__(self, flow: Flow, hift: HiFT, prompt: FlowPrompt, solver_steps: int) -> None:
        self._flow, self._hift, self._prompt, self._solver_steps = flow, hift, prompt, solver_steps
        self._made_frames = 0

    @torch.inference_mode()
    def chunk(self, known: Sequence[int], final: bool) -> None:
        """As `_KeptState.chunk`."""
        encoder = self._flow.config.encoder
        mel = self._flow.synthesise([(self._prompt, known)], steps=self._solver_steps)[0]
        end = mel.shape[1] - (0 if final else encoder.lookahead_tokens * encoder.frames_per_token)
        fresh = mel[None, :, max(0, self._made_frames - CACHED_FRAMES) : end]
        self._hift(fresh, self._hift.open([0]).noise)
        self._made_frames = end


def _timed(work: Callable[[], object], device: str) -> float:
    started = time.perf_counter()
    work()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - started


def _no_prompt(config: FlowConfig, device: str) -> FlowPrompt:
    tokens = torch.zeros(0, dtype=torch.long, device=device)
    mel = torch.zeros(0, config.mel_bins, device=device)
    return FlowPrompt(tokens, mel, torch.ones(config.speaker_dim, device=device))


def stream_markdown(report: StreamReport) -> str:
    """The chunks as a table, with totals, or without a peer with what a second of each took."""
    if not any(chunk.recomputed_seconds for chunk in report.chunks):
        paces = [(f"{c.end_seconds:.1f} s", *_shown(c.audio_seconds, c.ours_seconds), _pace(c)) for c in report.chunks]
        table = markdown_table(("chunk ends at", "audio", "ours", "per second of audio"), paces)
        return f"{table}\n\n{report.machine}"
    rows = [
        (f"{c.end_seconds:.1f} s", *_shown(c.audio_seconds, c.ours_seconds, c.recomputed_seconds))
        for c in report.chunks
    ]
    names = ("audio_seconds", "ours_seconds", "recomputed_seconds")
    rows.append(("all", *_shown(*(sum(getattr(c, name) for c in report.chunks) for name in names))))
    table = markdown_table(("chunk ends at", "audio", "ours", "recomputed"), rows)
    return f"{table}\n\nours takes {report.ratio:.2f} of the recomputation's time; {report.machine}"


def _shown(*seconds: float) -> tuple[str, ...]:
    return tuple(f"{value:.2f} s" for value in seconds)


def _pace(chunk: ChunkCost) -> str:
    return f"{chunk.ours_seconds / chunk.audio_seconds:.2f} s"


def draw_stream(report: StreamReport, path: Path) -> Path:
    """Time per second of audio against the chunk's position, both ways.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    from parlando.evaluate.optional import require

    plots = require("matplotlib.figure")
    figure = plots.Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    ends = np.array([c.end_seconds for c in report.chunks])
    series: Sequence[tuple[str, list[float]]] = (
        ("state kept (ours)", [c.ours_seconds / c.audio_seconds for c in report.chunks]),
        ("recomputed", [c.recomputed_seconds / c.audio_seconds for c in report.chunks]),
    )
    for label, values in series:
        if not any(values):
            continue
        axes.plot(ends, values, marker="o", label=label)
    axes.set(xlabel="end of the chunk (s of audio)", ylabel="seconds of work per second of audio", ylim=(0, None))
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)
    return path
