"""Ten minutes of mixed load on `parlando serve`, over loopback: nothing fails, leaks, grows or stutters.

    python recipes/soak.py --seconds 600 --listeners 2 --out soak.json

Listeners ask again and again; beside them one client goes through every door in turn (`soak_doors.py`), leaves early,
and sends nonsense. Whatever is streamed is played by a simulated player; what is refused under load is no fault. Before
it counts, a warm-up has more listeners and every door once. The exit status is 1 if a check fails.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shlex
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path

from parlando.evaluate.load.http_stream import Target, exchange
from parlando.evaluate.load.load_report import INTERRUPTED_SECONDS, LevelReport, load_markdown, summarise
from parlando.evaluate.load.prompts import prompts
from parlando.evaluate.load.serve_load import OK, Heard, Level, LevelResult, run_level
from parlando.evaluate.report import markdown_table
from soak_doors import DOORS, LISTENER, SPEECH, Door, spoken
from soak_server import PAUSE_SECONDS, Server, State
from soak_visit import JSON, Place, visit

MOST_GROWTH, SAMPLE_SECONDS, MOST_TOLD = 0.05, 1.0, 10
CROWD = 3  # more listeners than there will be: what is kept for each is there before it is counted
CLONED = "The quick brown fox jumps over the lazy dog, and then the engineer found two letters by the river."


@dataclass(frozen=True)
class Visited:
    """One visit: at which door, when it began, and how it went."""

    door: str
    at_seconds: float
    heard: Heard


@dataclass(frozen=True)
class Check:
    """Something that must hold, and the figure that says whether it does."""

    what: str
    figure: str
    holds: bool


@dataclass
class Soaked:
    """What came out; ``memory_mebibytes`` is the resident memory second by second."""

    seconds: float
    skipped: list[str]
    warm: State
    end: State
    warm_up: list[Visited]
    visits: list[Visited]
    memory_mebibytes: list[float]
    complaints: list[str]

    def doors(self) -> list[LevelReport]:
        """How each door fared."""
        names = [door.name for door in (LISTENER, *DOORS) if any(each.door == door.name for each in self.visits)]
        level = Level("concurrency", 1, self.seconds)
        heard = {name: tuple(each.heard for each in self.visits if each.door == name) for name in names}
        return [replace(summarise(LevelResult(level, heard[name], self.seconds)), load=name) for name in names]

    def interrupted(self) -> list[Visited]:
        """Whose sound stopped, the worst first."""
        stopped = [each for each in self.visits if each.heard.underrun_seconds > INTERRUPTED_SECONDS]
        return sorted(stopped, key=lambda each: -each.heard.underrun_seconds)

    def checks(self) -> list[Check]:
        """What must hold."""
        everyone = [*self.warm_up, *self.visits]
        failed = Counter(
            f"{each.door}: {each.heard.error or each.heard.status}"
            for each in everyone
            if each.heard.outcome == "failed"
        )
        silent = {each.door for each in everyone} - {each.door for each in everyone if each.heard.outcome == "done"}
        stopped = self.interrupted()
        worst = f", the worst {stopped[0].heard.underrun_seconds:.3f} s ({stopped[0].door})" if stopped else ""
        tenth = max(1, len(self.memory_mebibytes) // 10)
        before = statistics.median(self.memory_mebibytes[:tenth])
        after = statistics.median(self.memory_mebibytes[-tenth:])
        warm, end = self.warm, self.end
        return [
            Check("nothing failed", _listed(f"{count} x {what}" for what, count in failed.items()), not failed),
            Check("every door answered", _listed(sorted(silent)), not silent),
            Check("nobody's sound stopped", f"{len(stopped)} of {len(self.visits)}{worst}", not stopped),
            Check("memory", f"{before:.0f} to {after:.0f} MiB", after <= before * (1 + MOST_GROWTH)),
            Check("open files", f"{warm.open_files} to {end.open_files}", end.open_files <= warm.open_files),
            Check("threads", f"{warm.threads} to {end.threads}", end.threads <= warm.threads),
            Check(
                "all slots are free", f"{end.slots_taken:g} taken, {end.queue:g} queued, {end.streams:g} run", end.idle
            ),
            Check("no worker died", f"{end.worker_restarts:g} restarts", not end.worker_restarts),
            Check("the server's log", _listed(self.complaints), not self.complaints),
        ]


def _listed(what: Iterable[str]) -> str:
    return "; ".join(what) or "none"


@dataclass
class Load:
    """Listeners and the one who goes through all doors, and what they were answered."""

    place: Place
    doors: Sequence[Door]
    begun_seconds: float = field(default_factory=time.perf_counter)
    visits: list[Visited] = field(default_factory=list)

    async def ask(self, door: Door, due_seconds: float) -> Heard:
        heard = await visit(door.go, self.place, due_seconds)
        print(f"\r{len(self.visits)} visits, the last: {door.name:40}", end="", file=sys.stderr, flush=True)
        self.visits.append(Visited(door.name, due_seconds - self.begun_seconds, heard))
        return heard

    async def listen(self, listeners: int, seconds: float) -> None:
        await run_level(Level("concurrency", listeners, seconds), lambda due: self.ask(LISTENER, due))

    async def go_round(self, seconds: float) -> None:
        """All doors in turn, each round in another order, until the time is over."""
        until, chance = self.begun_seconds + seconds, random.Random(1)
        while time.perf_counter() < until:
            for door in chance.sample(self.doors, len(self.doors)):
                if time.perf_counter() < until:
                    await self.ask(door, time.perf_counter())
                    await asyncio.sleep(PAUSE_SECONDS)

    async def go_once(self) -> None:
        """All doors, one after the other."""
        for door in self.doors:
            await self.ask(door, time.perf_counter())


async def recorded(url: str) -> bytes:
    """A recording to clone: the server's own voice."""
    body = spoken(CLONED, response_format="wav", seed=1)
    async with exchange(Target(url), SPEECH, {"Content-Type": JSON}, body) as answer:
        data = b"".join([part async for part in answer.body()])
    if answer.status != OK:
        raise SystemExit(f"the server does not speak: {data[:200]!r}")
    return data


async def soak(server: Server, seconds: float, warm_up_seconds: float, listeners: int) -> Soaked:
    """The warm-up, and then all of it, at once; standard error says how far it is."""
    await server.ready(own_ports())
    usable = [door for door in DOORS if not door.missing]
    skipped = [f"{door.name}: its client needs the package {door.package}" for door in DOORS if door.missing]
    place = Place(server.url, prompts(), server.ports, recording=await recorded(server.url), recording_text=CLONED)
    warming = Load(place, usable)
    await asyncio.gather(warming.listen(listeners + CROWD, warm_up_seconds), warming.go_once())
    warm = await server.settled(lambda state: state.idle)
    load, memory = Load(place, usable), []

    async def watch() -> None:
        while not memory or time.perf_counter() < load.begun_seconds + seconds:
            memory.append(round(server.memory_mebibytes, 1))
            await asyncio.sleep(SAMPLE_SECONDS)

    await asyncio.gather(load.listen(listeners, seconds), load.go_round(seconds), watch())
    end = await server.settled(lambda state: state.idle and state.no_more_than(warm))
    return Soaked(seconds, skipped, warm, end, warming.visits, load.visits, memory, server.complaints)


def own_ports() -> list[str]:
    """Protocols with a port of their own that can be spoken here."""
    return [name for name in ("grpc", "wyoming") if find_spec(name)]


def told(soaked: Soaked) -> str:
    """The doors, the checks and the worst moments."""
    checks = [[each.what, each.figure, "holds" if each.holds else "FAILS"] for each in soaked.checks()]
    worst = [
        f"{each.door} stood still for {each.heard.underrun_seconds:.3f} s in {each.heard.gaps} gaps, "
        f"{each.at_seconds:.1f} s from the beginning"
        for each in soaked.interrupted()[:MOST_TOLD]
    ]
    skipped = [f"skipped: {each}" for each in soaked.skipped]
    table = markdown_table(["check", "figure", ""], checks)
    return "\n".join([load_markdown(soaked.doors()), "", table, "", *worst, *skipped]).strip()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--warm-up", type=float, default=30.0, help="seconds, before it counts")
    parser.add_argument("--listeners", type=int, default=2)
    parser.add_argument("--server", default=f"{sys.executable} -m parlando", help="the command that has `serve`")
    parser.add_argument("--out", type=Path, help="write everything here as JSON")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as voices:
        line = [*shlex.split(chosen.server), "serve", "--port", "0", "--voice-folder", voices]
        for name in own_ports():
            line += [f"--{name}-port", "0"]
        with Server(line) as server:
            soaked = asyncio.run(soak(server, chosen.seconds, chosen.warm_up, chosen.listeners))
    print(told(soaked))
    checks = soaked.checks()
    if chosen.out is not None:
        report = {"checks": checks, "doors": soaked.doors(), "interrupted": soaked.interrupted()}
        rows = {name: [asdict(each) for each in several] for name, several in report.items()}
        chosen.out.write_text(json.dumps({**rows, **asdict(soaked)}, indent=2) + "\n", encoding="utf-8")
    return 0 if all(check.holds for check in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
