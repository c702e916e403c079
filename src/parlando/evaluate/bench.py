"""How fast it is: real-time factor, time to first audio and memory of a model, and frames per second next to a peer."""

from __future__ import annotations

import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Protocol

import torch
from tqdm import tqdm

from parlando.core.errors import MissingDependencyError
from parlando.core.types import SamplingOptions
from parlando.evaluate.engine_load import EngineGenerator
from parlando.evaluate.peer import TransformersPeer
from parlando.evaluate.report import markdown_table
from parlando.models.higgs.config import LMConfig

SENTENCE = "The quick brown fox jumps over the lazy dog, and then it rests in the shade of an old tree."


@dataclass(frozen=True)
class Load:
    """So many equal prompts at a time, ``num_frames`` frames each; every figure is a median of ``repeats``.

    ``dtype`` is that of the random weights, ours and the peer's.
    """

    batches: tuple[int, ...] = (1, 2, 4, 8)
    num_frames: int = 64
    prompt_tokens: int = 48
    repeats: int = 3
    dtype: torch.dtype = torch.float32
    sampling: SamplingOptions = field(default_factory=lambda: SamplingOptions(seed=0))


@dataclass(frozen=True)
class StreamFigures:
    """One stream on a warm model; memory is the most this process has held so far."""

    real_time_factor: float
    first_audio_seconds: float
    audio_seconds: float
    load_seconds: float
    peak_memory_mib: float


@dataclass(frozen=True)
class Throughput:
    """Speed at one batch size; a frame is ``num_codebooks`` tokens."""

    batch: int
    frames_per_second: float
    tokens_per_second: float


@dataclass(frozen=True)
class BenchReport:
    """Everything that `parlando bench` prints; ``peer`` is empty when there was none, and ``note`` says why."""

    model: str
    machine: str
    threads: int
    dtype: str
    stream: StreamFigures
    ours: tuple[Throughput, ...]
    peer: tuple[Throughput, ...]
    peer_name: str
    note: str = ""

    @property
    def ratios(self) -> tuple[float, ...]:
        """Ours over the peer's, by batch size."""
        return tuple(a.frames_per_second / b.frames_per_second for a, b in zip(self.ours, self.peer, strict=False))


class Generator(Protocol):
    """Continues copies of a prompt with frames; ours and the peer's do."""

    name: str

    def generate(self, tokens: tuple[int, ...], batch: int, num_frames: int) -> int:
        """Make ``num_frames`` frames for each of ``batch`` rows; returns how many were made in all."""
        ...


def random_prompt(config: LMConfig, length: int, seed: int = 0) -> tuple[int, ...]:
    """Text ids (none of them special) that end with the opening of an audio answer."""
    special = {value for name, value in vars(config).items() if name.endswith("_id")}
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randperm(config.vocab_size, generator=generator).tolist()
    ordinary = [token for token in drawn if token not in special] or [config.eot_id]
    return (*(ordinary[i % len(ordinary)] for i in range(length - 1)), config.audio_out_bos_id)


def measure(generator: Generator, config: LMConfig, load: Load) -> tuple[Throughput, ...]:
    """Frames per second at every batch size, after one short warm-up each."""
    tokens = random_prompt(config, load.prompt_tokens)
    results = []
    for batch in tqdm(load.batches, desc=generator.name, unit="batch size"):
        generator.generate(tokens, batch, min(8, load.num_frames))
        speeds = [_frames_per_second(generator, tokens, batch, load.num_frames) for _ in range(load.repeats)]
        speed = median(speeds)
        results.append(Throughput(batch, speed, speed * config.num_codebooks))
    return tuple(results)


def _frames_per_second(generator: Generator, tokens: tuple[int, ...], batch: int, num_frames: int) -> float:
    started = time.perf_counter()
    made = generator.generate(tokens, batch, num_frames)
    elapsed = time.perf_counter() - started
    assert made == batch * num_frames, f"{generator.name} made {made} frames instead of {batch} × {num_frames}"
    return made / elapsed


def measure_stream(load_model: Callable[[], Any], repeats: int) -> tuple[Any, StreamFigures]:
    """Load a model, warm it with one sentence, and stream another ``repeats`` times; returns it and the medians."""
    started = time.perf_counter()
    synthesizer = load_model()
    load_seconds = time.perf_counter() - started
    list(synthesizer.stream("Warm up.", seed=0))
    factors, firsts, lengths = [], [], []
    for seed in tqdm(range(repeats), desc="stream", unit="sentence"):
        started = time.perf_counter()
        first, samples = None, 0
        for chunk in synthesizer.stream(SENTENCE, seed=seed):
            if first is None and len(chunk.samples):
                first = time.perf_counter() - started
            samples += len(chunk.samples)
        lengths.append(samples / synthesizer.sample_rate)
        factors.append((time.perf_counter() - started) / lengths[-1])
        firsts.append(first or 0.0)
    return synthesizer, StreamFigures(
        real_time_factor=median(factors),
        first_audio_seconds=median(firsts),
        audio_seconds=median(lengths),
        load_seconds=load_seconds,
        peak_memory_mib=peak_memory_mib(),
    )


def run_bench(load_model: Callable[[], Any], load: Load, with_peer: bool = True) -> BenchReport:
    """Measure one stream, then the language model's configuration with random weights, ours and the peer's in turn."""
    synthesizer, stream = measure_stream(load_model, load.repeats)
    config = synthesizer.model.lm.config
    synthesizer.close()
    ours = measure(EngineGenerator(config, load.sampling, max(load.batches), load.dtype), config, load)
    peer: tuple[Throughput, ...] = ()
    note = "" if with_peer else "transformers was left out"
    if with_peer:
        try:
            peer = measure(TransformersPeer(config, load.sampling, load.dtype), config, load)
        except MissingDependencyError as error:
            note = str(error)
    return BenchReport(
        model=synthesizer.model.name,
        machine=describe_machine(),
        threads=torch.get_num_threads(),
        dtype=str(load.dtype).removeprefix("torch."),
        stream=stream,
        ours=ours,
        peer=peer,
        peer_name=TransformersPeer.name,
        note=note,
    )


def peak_memory_mib() -> float:
    """The most memory this process has held (resident)."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def describe_machine() -> str:
    """Processor count, architecture and the version of torch."""
    return f"{os.cpu_count()} processors, {platform.machine()}, {platform.system()}, torch {torch.__version__}"


def bench_markdown(report: BenchReport) -> str:
    """The report as tables."""
    stream = report.stream
    figures = [
        ("real-time factor", f"{stream.real_time_factor:.2f}"),
        ("time to first audio", f"{1000 * stream.first_audio_seconds:.0f} ms"),
        ("loading", f"{stream.load_seconds:.1f} s"),
        ("peak memory", f"{stream.peak_memory_mib:.0f} MiB"),
        ("machine", f"{report.machine}, {report.threads} threads"),
    ]
    tables = [markdown_table((f"{report.model}, one stream", "value"), figures), _throughput_table(report)]
    return "\n\n".join([*tables, *([report.note] if report.note else [])])


def _throughput_table(report: BenchReport) -> str:
    header = [f"batch ({report.dtype})", "frames/s", "tokens/s"]
    rows: list[Sequence[object]] = [
        [t.batch, f"{t.frames_per_second:.0f}", f"{t.tokens_per_second:.0f}"] for t in report.ours
    ]
    if report.peer:
        header += [f"{report.peer_name} tokens/s", "ratio"]
        peers = zip(rows, report.peer, report.ratios, strict=True)
        rows = [[*row, f"{peer.tokens_per_second:.0f}", f"{ratio:.1f} ×"] for row, peer, ratio in peers]
    return markdown_table(header, rows)
