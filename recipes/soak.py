"""Ten minutes of mixed load on `parlando serve`, over loopback: nothing fails, leaks, grows or stutters.

    python recipes/soak.py --seconds 600 --listeners 2 --out soak.json

Listeners ask again and again, each played by a simulated player; beside them one client asks for other formats and
doors, leaves early, and sends nonsense. What is refused under load is no fault. The exit status is 1 if anything is.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from parlando.evaluate.http_stream import Target, post
from parlando.evaluate.load_report import LevelReport, load_markdown, summarise
from parlando.evaluate.prompts import prompts
from parlando.evaluate.serve_load import REFUSED, Ask, Level, LevelResult, ask, run_level

MOST_GROWTH, SAMPLE_SECONDS = 0.05, 1.0
JSON = {"Content-Type": "application/json"}
CHAT = "/v1/chat/completions"


def spoken(text: str, **more: object) -> bytes:
    return json.dumps({"input": text, **more}).encode()


def said(text: str, **more: object) -> bytes:
    return json.dumps({"messages": [{"role": "user", "content": text}], **more}).encode()


# Path, body, the status that is right, and whether to leave after the first bytes.
MIXTURE = [
    ("/v1/audio/speech", lambda text: spoken(text, response_format="mp3"), 200, False),
    ("/v1/audio/speech", lambda text: spoken(text, response_format="opus"), 200, False),
    ("/v1/audio/speech", lambda text: spoken(text, response_format="pcm", stream_format="sse"), 200, False),
    ("/v1/audio/speech", lambda text: spoken(text, response_format="flac", sample_rate=16000, speed=1.2), 200, False),
    (CHAT, lambda text: said(text), 200, False),
    (CHAT, lambda text: said(text, stream=True), 200, False),
    ("/v1/audio/speech", lambda text: spoken(text * 20, response_format="pcm"), 200, True),
    ("/v1/audio/speech", lambda text: spoken(text * 20, response_format="wav"), 200, True),
    ("/v1/audio/speech", lambda text: spoken(text, voice="nobody"), 404, False),
    ("/v1/audio/speech", lambda _: b'{"input": ', 400, False),
    ("/v1/nowhere", lambda _: b"", 404, False),
]


@dataclass(frozen=True)
class Soaked:
    """What came out: ``memory_growth`` is a share of the resident memory after the first quarter."""

    seconds: float
    listeners: LevelReport
    mixture: dict[str, int]
    faults: list[str]
    memory_mebibytes: list[float]
    memory_growth: float
    metrics: dict[str, float]


async def mix(url: str, until: float, faults: list[str]) -> Counter[str]:
    """One client that does everything in turn."""
    seen: Counter[str] = Counter()
    texts, chance = prompts(99, (1,)), random.Random(1)
    while time.perf_counter() < until:
        path, body, right, leaves = chance.choice(MIXTURE)
        try:
            async with asyncio.timeout(120), post(Target(url), path, JSON, body(next(texts))) as answer:
                async for _ in answer.body():
                    if leaves:
                        break
            status = answer.status
        except (OSError, EOFError, TimeoutError) as error:
            faults.append(f"{path}: {type(error).__name__}: {error}")
            continue
        seen[f"{path} {status}{' left' if leaves else ''}"] += 1
        if status != right and status not in REFUSED:
            faults.append(f"{path}: status {status} and not {right}")
        await asyncio.sleep(0.2)
    return seen


async def watch(process: int, until: float) -> list[float]:
    """The server's resident memory, in MiB, second by second."""
    page = os.sysconf("SC_PAGE_SIZE") / 2**20
    taken = []
    while time.perf_counter() < until:
        taken.append(int(Path(f"/proc/{process}/statm").read_text().split()[1]) * page)
        await asyncio.sleep(SAMPLE_SECONDS)
    return taken


def metrics_of(url: str) -> dict[str, float]:
    """The server's own gauges and counters, without labels of their own."""
    with urllib.request.urlopen(f"{url}/metrics") as answer:
        lines = [line for line in answer.read().decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines) if "bucket" not in name}


async def soak(url: str, process: int, seconds: float, listeners: int) -> Soaked:
    """All of it, at once."""
    texts, wanted, faults = prompts(), Ask(url), []
    until, level = time.perf_counter() + seconds, Level("concurrency", listeners, seconds)
    heard, mixture, memory = await asyncio.gather(
        run_level(level, lambda due: ask(wanted, next(texts), due)), mix(url, until, faults), watch(process, until)
    )
    report = summarise(LevelResult(level, tuple(heard), seconds))
    await asyncio.sleep(1.0)
    quarter = max(1, len(memory) // 4)
    before, after = (statistics.median(part) for part in (memory[quarter : 2 * quarter], memory[-quarter:]))
    metrics = await asyncio.to_thread(metrics_of, url)
    faults += [f"{count} x {error}" for error, count in report.errors.items()]
    faults += [f"{report.interrupted} listeners were interrupted"] if report.interrupted else []
    faults += [f"memory grew from {before:.0f} to {after:.0f} MiB"] if after > before * (1 + MOST_GROWTH) else []
    left = [name for name in metrics if name.startswith(("parlando_streams_running", "parlando_queue"))]
    faults += [f"{name} is {metrics[name]:g} at the end" for name in left if metrics[name]]
    rounded = [round(each, 1) for each in memory]
    return Soaked(seconds, report, dict(mixture), faults, rounded, after / before - 1, metrics)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--listeners", type=int, default=2)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    line = [sys.executable, "-m", "parlando", "serve", "--port", "0"]
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True) as process:
        try:
            url = json.loads(process.stderr.readline())["url"]
            with open(os.devnull, "w", encoding="utf-8") as nowhere:
                drain = subprocess.Popen(["cat"], stdin=process.stderr, stdout=nowhere)
            wait_until_ready(url)
            soaked = asyncio.run(soak(url, process.pid, chosen.seconds, chosen.listeners))
        finally:
            process.send_signal(signal.SIGTERM)
        drain.wait(60)
    print(load_markdown([soaked.listeners]))
    print(f"\nmemory {soaked.memory_growth:+.1%}; beside them: {soaked.mixture}")
    for fault in soaked.faults:
        print(f"FAULT: {fault}")
    if chosen.out is not None:
        chosen.out.write_text(json.dumps(asdict(soaked), indent=2) + "\n", encoding="utf-8")
    return 1 if soaked.faults else 0


def wait_until_ready(url: str, seconds: float = 120.0) -> None:
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/ready", timeout=5):
            return
        time.sleep(0.2)
    raise TimeoutError(f"{url} is not ready after {seconds:g} s")


if __name__ == "__main__":
    sys.exit(main())
