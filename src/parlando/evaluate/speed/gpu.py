"""One run on one device, at most some minutes: what a step costs against reading its weights, and what listeners get.

Weights are random, of the published sizes. Stages are in the order of what is asked most; those for which there is no
time left are named, and so is whatever a device cannot do.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import median

import numpy as np
import torch

from parlando.core.errors import ParlandoError
from parlando.engine.playback import Playback
from parlando.evaluate.load.listener import FULL_SCALE, Listener
from parlando.evaluate.report import markdown_table
from parlando.evaluate.speed.bench import SENTENCE, measure
from parlando.evaluate.speed.contender import Load, maker
from parlando.evaluate.speed.machine import describe_machine, peak_memory_mib
from parlando.evaluate.speed.published import GIGABYTE, family_of
from parlando.evaluate.speed.whole import CosyVoiceWhole, HiggsWhole, Whole
from parlando.nn.checkpoint import SkipInitialisation
from parlando.nn.few_bits import Kind
from parlando.nn.quantized import check_arithmetic, quantize
from parlando.request import Retries
from parlando.speech import Synthesizer

COPIED_BYTES, COPIES = 2**30, 10


@dataclass(frozen=True)
class Plan:
    """What is measured, and for how many minutes at most."""

    models: Mapping[str, Whole] = field(
        default_factory=lambda: {"higgs-v2": HiggsWhole(), "cosyvoice2": CosyVoiceWhole()}
    )
    kinds: tuple[Kind | None, ...] = (None, "int8", "fp8")
    streams: tuple[int, ...] = (1, 16)
    stream_frames: int = 250
    load: Load = field(
        default_factory=lambda: Load((1, 8, 16, 32), 100, 100, 1, repeats=2, dtype=torch.bfloat16, device="cuda")
    )
    copied_bytes: int = COPIED_BYTES
    minutes: float = 8.0
    peer: bool = True


@dataclass(frozen=True)
class Figure:
    """One value; ``of`` is whose, ``against`` its share of what it is compared to, where there is such a thing."""

    of: str
    what: str
    value: float
    unit: str
    against: str = ""


@dataclass(frozen=True)
class GpuReport:
    """All figures, in the order in which they were made, and what was not measured, with the reason."""

    device: str
    seconds: float
    figures: tuple[Figure, ...]
    missing: tuple[tuple[str, str], ...]


def run_gpu_bench(plan: Plan, clock: Callable[[], float] = time.monotonic) -> GpuReport:
    """Take stage after stage while there is time."""
    started = clock()
    bandwidth = _bandwidth(plan)
    figures = [Figure("device", "copying memory", bandwidth / GIGABYTE, "GB/s")]
    missing: list[tuple[str, str]] = []
    for name, stage in _stages(plan, bandwidth):
        if clock() - started > 60 * plan.minutes:
            missing.append((name, f"the {plan.minutes:g} minutes were over"))
            continue
        try:
            figures += stage()
        except (ParlandoError, torch.cuda.OutOfMemoryError) as error:
            missing.append((name, str(error).split("\n")[0]))
        _free(plan.load.device)
    return GpuReport(_device_name(plan.load.device), clock() - started, tuple(figures), tuple(missing))


def _stages(plan: Plan, bandwidth: float) -> Iterator[tuple[str, Callable[[], list[Figure]]]]:
    for name, whole in plan.models.items():
        plain = plan.kinds[0]
        yield _named(name, plain), partial(_steps, plan, name, whole, plain, bandwidth)
        for count in plan.streams:
            yield f"{name}, {count} listeners", partial(_listeners, plan, name, whole, count)
        if plan.peer:
            yield f"{name}, transformers", partial(_peer, plan, name, whole)
        for kind in plan.kinds[1:]:
            yield _named(name, kind), partial(_steps, plan, name, whole, kind, bandwidth)


def _named(name: str, kind: Kind | None) -> str:
    return f"{name}, {kind or 'plain'}"


def _bandwidth(plan: Plan) -> float:
    """Bytes read and written a second by the fastest of some copies."""
    source = torch.ones(plan.copied_bytes, dtype=torch.uint8, device=plan.load.device)
    target, taken = torch.empty_like(source), []
    for _ in range(COPIES):
        _wait(plan.load.device)
        started = time.perf_counter()
        target.copy_(source)
        _wait(plan.load.device)
        taken.append(time.perf_counter() - started)
    return 2 * plan.copied_bytes / min(taken)


def read_bytes(whole: Whole, kind: Kind | None, dtype: torch.dtype) -> int:
    """What a step for one more frame of sound reads of the language model's weights."""
    with SkipInitialisation(), torch.device("meta"):
        module = whole.module().to(dtype)
        if kind is not None:
            quantize(module, kind)
    read = {
        name: tensor for name, tensor in module.state_dict().items() if not any(each in name for each in whole.unread)
    }
    return sum(tensor.numel() * tensor.element_size() for tensor in read.values())


def _steps(plan: Plan, name: str, whole: Whole, kind: Kind | None, bandwidth: float) -> list[Figure]:
    """Memory of the language model, and its steps at every batch size; one step against reading its weights once."""
    check_arithmetic(kind, torch.device(plan.load.device), name)
    of, before = _named(name, kind), _memory(plan.load.device)
    load = replace(plan.load, quantize=kind)
    generator = maker(family_of(whole.lm), "ours")(whole.lm, load)
    figures = [Figure(of, "weights", (_memory(load.device) - before) / GIGABYTE, "GB")]
    floor_seconds = read_bytes(whole, kind, load.dtype) / bandwidth
    for each in measure([generator], load)[0]:
        step_seconds = each.batch / each.frames_per_second
        share = f"{step_seconds / floor_seconds:.2f} × of reading the weights"
        figures.append(Figure(of, f"a step of {each.batch}", 1000 * step_seconds, "ms", share))
        figures.append(Figure(of, f"{each.batch} at a time", each.tokens_per_second, "tokens/s"))
    return figures


def _peer(plan: Plan, name: str, whole: Whole) -> list[Figure]:
    generator = maker(family_of(whole.lm), "peer")(whole.lm, plan.load)
    speeds = measure([generator], replace(plan.load, repeats=1))[0]
    return [Figure(f"{name}, transformers", f"{s.batch} at a time", s.tokens_per_second, "tokens/s") for s in speeds]


def _listeners(plan: Plan, name: str, whole: Whole, count: int) -> list[Figure]:
    """So many streams at once, each begun when all are there: first audible sound, gaps, and sound in all."""
    model = whole.model(plan.load)
    with Synthesizer(model, count) as synthesizer:
        synthesizer.engine.start()
        _hear(plan, synthesizer, count)  # so that whatever is made or recorded once is there
        started = time.perf_counter()
        listeners = _hear(plan, synthesizer, count)
        seconds = time.perf_counter() - started
    of = f"{name}, {count} listeners"
    firsts = [1000 * (each.audible_seconds or each.playable_seconds or 0.0) for each in listeners]
    heard = sum(each.audio_seconds for each in listeners)
    return [
        Figure(of, "first audible sound, p50", median(firsts), "ms"),
        Figure(of, "first audible sound, p95", float(np.percentile(firsts, 95)), "ms"),
        Figure(of, "underruns", sum(each.gaps for each in listeners), "gaps"),
        Figure(of, "sound", heard / seconds, "s/s"),
        Figure(of, "memory", _memory(plan.load.device) / GIGABYTE, "GB"),
    ]


def _hear(plan: Plan, synthesizer: Synthesizer, count: int) -> list[Listener]:
    """As many threads as listeners; what one of them raises is raised."""
    follow = partial(_followed, plan, synthesizer, count == 1)
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(follow, range(count)))


def _followed(plan: Plan, synthesizer: Synthesizer, alone: bool, seed: int) -> Listener:
    listener, started = Listener(synthesizer.sample_rate), time.perf_counter()
    playback = Playback(is_alone=lambda: alone)
    retries = Retries(attempts=1, silence_seconds=math.inf)
    request = synthesizer.request(seed=seed, max_frames=plan.stream_frames, retries=retries, playback=playback)
    for chunk in synthesizer.run(SENTENCE, request):
        pcm = (chunk.samples.clip(-1, 1) * (FULL_SCALE - 1)).astype("<i2").tobytes()
        listener.hear(pcm, time.perf_counter() - started)
        playback.hand_out(chunk.duration_seconds)
    return listener


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def _memory(device: str) -> float:
    """What is held of a GPU, or the most that the process has held."""
    return torch.cuda.memory_allocated(device) if device.startswith("cuda") else peak_memory_mib() * 2**20


def _free(device: str) -> None:
    gc.collect()
    if device.startswith("cuda"):
        torch.cuda.empty_cache()


def _device_name(device: str) -> str:
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else "the processor"
    return f"{name}; {describe_machine()}"


def gpu_markdown(report: GpuReport) -> str:
    """Every figure in a row, and what is missing below."""
    rows = [(each.of, each.what, _shown(each), each.against) for each in report.figures]
    table = markdown_table(("of", "what", "figure", "against"), rows)
    missing = "".join(f"\nnot measured: {name} ({why})" for name, why in report.missing)
    return f"{table}\n\n{report.device}, {report.seconds:.0f} s{missing}"


def _shown(figure: Figure) -> str:
    return f"{figure.value:.3g} {figure.unit}" if figure.value < 1000 else f"{figure.value:.0f} {figure.unit}"
