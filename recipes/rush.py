"""A rush on `parlando serve`, over loopback: whoever is let in hears something soon, and nothing stays behind.

    python recipes/rush.py --only crowd texts --out rush.json

Long texts and another caller, clients that never read and another caller, sixty at once, a burst of a hundred. Every
scenario ends by itself; the exit status is 1 if a check fails.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shlex
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

from parlando.evaluate.load.http_stream import exchange
from parlando.evaluate.load.load_report import INTERRUPTED_SECONDS
from parlando.evaluate.load.prompts import prompts
from parlando.evaluate.load.serve_load import OK, REFUSED, Ask, Heard, ask
from parlando.evaluate.report import markdown_table
from soak_server import Server, State

LONG_CHARACTERS, LONG_TEXTS = 4400, 8
CROWD, BURST = 60, 100
SOON_SECONDS, REFUSAL_SECONDS, LIMIT_SECONDS = 1.0, 0.05, 10.0
CROWD_REFUSAL_SECONDS = 0.3  # so many connections take a while to be read
BACK_SECONDS, BACK_FACTOR = 30.0, 1.3
UNDER_WAY_SECONDS, BETWEEN_SECONDS, TRIALS = 3.0, 0.5, 5


@dataclass(frozen=True)
class Check:
    """Something that must hold, and the figure that says whether it does."""

    what: str
    figure: str
    holds: bool


def long_texts() -> list[str]:
    """Texts of so many characters, each another."""
    source = prompts(seed=3)
    texts = []
    for _ in range(LONG_TEXTS):
        text = ""
        while len(text) < LONG_CHARACTERS:
            text += next(source) + " "
        texts.append(text[:LONG_CHARACTERS])
    return texts


@asynccontextmanager
async def speaking(wanted: Ask, text: str, reads: bool) -> AsyncIterator[None]:
    """A text that is being spoken to somebody who reads as it comes, or never."""
    async with exchange(wanted.target, "/v1/audio/speech", wanted.headers, wanted.body(text)) as answer:
        reading = asyncio.create_task(_read(answer.body())) if reads else None
        try:
            yield
        finally:
            if reading is not None:
                reading.cancel()
                with suppress(asyncio.CancelledError, EOFError):
                    await reading


async def _read(body: AsyncIterator[bytes]) -> None:
    async for _ in body:
        pass


async def newcomers(wanted: Ask, reads: bool) -> list[Heard]:
    """How callers fare who come, one after the other, while long texts are spoken."""
    texts, heard = prompts(seed=4, clauses=(1,)), []
    async with AsyncExitStack() as stack:
        for text in long_texts():
            await stack.enter_async_context(speaking(wanted, text, reads))
        await asyncio.sleep(UNDER_WAY_SECONDS)
        for _ in range(TRIALS):
            heard.append(await ask(wanted, next(texts), time.perf_counter()))
            await asyncio.sleep(BETWEEN_SECONDS)
    return heard


async def at_once(wanted: Ask, count: int) -> list[Heard]:
    """So many callers at the same moment."""
    now = time.perf_counter()
    return list(await asyncio.gather(*(ask(wanted, text, now) for text in islice(prompts(seed=5), count))))


def soon(what: str, heard: Sequence[Heard]) -> Check:
    """Each newcomer hears something soon or is refused at once."""
    first = [each.playable_seconds or each.total_seconds for each in heard if each.outcome == "done"]
    refused = [each.total_seconds for each in heard if each.status in REFUSED]
    holds = all(seconds <= SOON_SECONDS for seconds in first) and all(s <= REFUSAL_SECONDS for s in refused)
    return Check(what, _figure(first, refused), holds and len(first) + len(refused) == len(heard))


def within_limit(what: str, heard: Sequence[Heard]) -> Check:
    """Who is let in waits no longer than the limit and is not interrupted, and who is not knows it at once."""
    done = [each for each in heard if each.outcome == "done"]
    first = [each.playable_seconds or each.total_seconds for each in done]
    refused = [each.total_seconds for each in heard if each.status in REFUSED]
    stalled = max((each.underrun_seconds for each in done), default=0.0)
    figure = f"{_figure(first, refused)}; worst underrun {stalled:.3f} s"
    whole = len(done) + len(refused) == len(heard)
    in_time = bool(done) and max(first) <= LIMIT_SECONDS and max(refused, default=0.0) <= CROWD_REFUSAL_SECONDS
    return Check(what, figure, whole and in_time and stalled <= INTERRUPTED_SECONDS)


def _figure(first: Sequence[float], refused: Sequence[float]) -> str:
    parts = []
    if first:
        parts.append(f"{len(first)} heard, first sound after {min(first):.3f} to {max(first):.3f} s")
    if refused:
        parts.append(f"{len(refused)} refused within {max(refused):.3f} s")
    return ", ".join(parts) or "nobody was answered"


def given_back(before: State, after: State) -> Check:
    """Threads and memory after a burst."""
    threads = f"threads {before.threads} to {after.threads}"
    memory = f"memory {before.memory_mebibytes:.0f} to {after.memory_mebibytes:.0f} MiB"
    holds = (
        after.threads <= before.threads * BACK_FACTOR
        and after.memory_mebibytes <= before.memory_mebibytes * BACK_FACTOR
    )
    return Check(f"{BACK_SECONDS:g} s after {BURST} at once", f"{threads}, {memory}", holds)


async def crowd(server: Server, wanted: Ask, before: State) -> list[Check]:
    """Sixty at once."""
    return [within_limit(f"{CROWD} at once", await at_once(wanted, CROWD))]


async def burst(server: Server, wanted: Ask, before: State) -> list[Check]:
    """A hundred at once, and what they leave behind."""
    heard = within_limit(f"{BURST} at once", await at_once(wanted, BURST))
    await server.settled(lambda state: state.idle)
    await asyncio.sleep(BACK_SECONDS)
    return [heard, given_back(before, await server.state())]


async def behind_texts(server: Server, wanted: Ask, before: State) -> list[Check]:
    """Newcomers while long texts are read."""
    return [soon(f"newcomers behind {LONG_TEXTS} long texts", await newcomers(wanted, reads=True))]


async def behind_unread(server: Server, wanted: Ask, before: State) -> list[Check]:
    """Newcomers while clients hold long texts and never read."""
    return [soon(f"newcomers behind {LONG_TEXTS} long texts that nobody reads", await newcomers(wanted, reads=False))]


SCENARIOS = {"burst": burst, "crowd": crowd, "texts": behind_texts, "unread": behind_unread}


async def rush(server: Server, names: Sequence[str]) -> list[Check]:
    """These scenarios, one after the other."""
    await server.ready([])
    wanted = Ask(server.url)
    for _ in range(2):
        assert (await ask(wanted, "This is only a test.", time.perf_counter())).status == OK
    before = await server.settled(lambda state: state.idle)
    checks = []
    for name in names:
        checks += await SCENARIOS[name](server, wanted, before)
        await server.settled(lambda state: state.idle)
    return checks


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--server", default=f"{sys.executable} -m parlando", help="the command that has `serve`")
    parser.add_argument("--only", nargs="+", choices=SCENARIOS, default=[*SCENARIOS], help="these scenarios")
    parser.add_argument("--out", type=Path, help="write the checks here as JSON")
    chosen = parser.parse_args(arguments)
    line = [*shlex.split(chosen.server), "serve", "--port", "0"]
    with tempfile.TemporaryDirectory() as voices, Server([*line, "--voice-folder", voices]) as server:
        checks = asyncio.run(rush(server, chosen.only))
    rows = [[each.what, each.figure, "holds" if each.holds else "FAILS"] for each in checks]
    print(markdown_table(["check", "figure", ""], rows))
    if chosen.out is not None:
        chosen.out.write_text(json.dumps([asdict(each) for each in checks], indent=2) + "\n", encoding="utf-8")
    return 0 if all(check.holds for check in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
