"""How fast it is: real-time factor, time to first audio and memory of a model, and frames per second next to a peer."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import torch
from tqdm import tqdm

from parlando.evaluate.report import markdown_table
from parlando.evaluate.speed.contender import Generator, Load, contenders
from parlando.evaluate.speed.machine import describe_machine, peak_memory_mib

SENTENCE = "The quick brown fox jumps over the lazy dog, and then it rests in the shade of an old tree."


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
    """Speed with so many requests at a time; a frame may be several tokens."""

    batch: int
    frames_per_second: float
    tokens_per_second: float


@dataclass(frozen=True)
class BenchReport:
    """Everything that `parlando bench` prints; ``peer`` is empty when there was none, and ``note`` says why.

    ``ours`` and ``peer`` are of requests of different lengths, ``ours_equal`` and ``peer_equal`` of equal ones.
    """

    model: str
    machine: str
    threads: int
    dtype: str
    stream: StreamFigures
    load: Load
    ours: tuple[Throughput, ...]
    peer: tuple[Throughput, ...]
    ours_equal: tuple[Throughput, ...]
    peer_equal: tuple[Throughput, ...]
    peer_name: str
    frame_rate: float = 25.0
    compiled: bool = False
    note: str = ""

    @property
    def ratios(self) -> tuple[float, ...]:
        """Ours over the peer's, by batch size."""
        return ratios(self.ours, self.peer)


def ratios(ours: Sequence[Throughput], peer: Sequence[Throughput]) -> tuple[float, ...]:
    """Ours over the peer's, by batch size."""
    return tuple(a.frames_per_second / b.frames_per_second for a, b in zip(ours, peer, strict=False))


def measure(generators: Sequence[Generator], load: Load) -> list[tuple[Throughput, ...]]:
    """Frames per second at every batch size, by generator; they take turns, so that whatever else runs slows all."""
    names = " and ".join(generator.name for generator in generators)
    columns: list[list[Throughput]] = [[] for _ in generators]
    with tqdm(total=len(load.batches) * load.repeats, desc=names, unit="round") as bar:
        for batch in load.batches:
            for generator in generators:
                generator.generate(batch, [*load.lengths(batch)[: batch - 1], load.longest])
            speeds: list[list[float]] = [[] for _ in generators]
            for _ in range(load.repeats):
                for generator, mine in zip(generators, speeds, strict=True):
                    mine.append(_frames_per_second(generator, batch, load.lengths(batch)))
                bar.update()
            for column, mine, generator in zip(columns, speeds, generators, strict=True):
                column.append(Throughput(batch, median(mine), median(mine) * generator.tokens_per_frame))
    return [tuple(column) for column in columns]


def _frames_per_second(generator: Generator, batch: int, lengths: Sequence[int]) -> float:
    started = time.perf_counter()
    made = generator.generate(batch, lengths)
    elapsed = time.perf_counter() - started
    assert made == sum(lengths), f"{generator.name} made {made} frames instead of {sum(lengths)}"
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
    """Measure one stream, then random weights of the same sizes under load, ours and the peer's by turns."""
    synthesizer, stream = measure_stream(load_model, load.repeats)
    model = synthesizer.model
    synthesizer.close()
    two = contenders(model.family, model.lm.config, load, with_peer)
    generators = [two.ours, *([] if two.peer is None else [two.peer])]
    ours, *peer = measure(generators, load)
    middle = (load.shortest + load.longest) // 2
    ours_equal, *peer_equal = measure(generators, replace(load, shortest=middle, longest=middle, rounds=1))
    return BenchReport(
        model=model.name,
        machine=describe_machine(),
        threads=torch.get_num_threads(),
        dtype=str(load.dtype).removeprefix("torch."),
        stream=stream,
        load=load,
        ours=ours,
        peer=peer[0] if peer else (),
        ours_equal=ours_equal,
        peer_equal=peer_equal[0] if peer_equal else (),
        peer_name=two.peer_name,
        frame_rate=model.frame_rate,
        compiled=two.is_compiled,
        note=two.note,
    )


def bench_markdown(report: BenchReport) -> str:
    """The report as tables."""
    stream = report.stream
    figures = [
        ("real-time factor", f"{stream.real_time_factor:.2f}"),
        ("time to first audio", f"{1000 * stream.first_audio_seconds:.0f} ms"),
        ("loading", f"{stream.load_seconds:.1f} s"),
        ("peak memory", f"{stream.peak_memory_mib:.0f} MiB"),
        ("machine", f"{report.machine}, {report.threads} threads"),
        ("steps", "compiled" if report.compiled else "PyTorch"),
    ]
    load, rate = report.load, report.frame_rate
    mixed = f"{load.shortest / rate:.3g}–{load.longest / rate:.3g} s each, {report.dtype}"
    equal = f"{(load.shortest + load.longest) / 2 / rate:.3g} s each, {report.dtype}"
    tables = [
        markdown_table((f"{report.model}, one stream", "value"), figures),
        _throughput_table(mixed, report.ours, report.peer, report.peer_name),
        _throughput_table(equal, report.ours_equal, report.peer_equal, report.peer_name),
    ]
    return "\n\n".join([*tables, *([report.note] if report.note else [])])


def _throughput_table(what: str, ours: Sequence[Throughput], peer: Sequence[Throughput], peer_name: str) -> str:
    header = [f"requests at a time ({what})", "frames/s", "tokens/s"]
    rows: list[Sequence[object]] = [[t.batch, f"{t.frames_per_second:.0f}", f"{t.tokens_per_second:.0f}"] for t in ours]
    if peer:
        header += [f"{peer_name} tokens/s", "ratio"]
        beside = zip(rows, peer, ratios(ours, peer), strict=True)
        rows = [[*row, f"{other.tokens_per_second:.0f}", f"{ratio:.1f} ×"] for row, other, ratio in beside]
    return markdown_table(header, rows)
