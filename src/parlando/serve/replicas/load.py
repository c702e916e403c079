"""How much a server has to do, who of several takes a request, and how many of them are needed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from parlando.serve.admission import MARGIN
from parlando.serve.replicas.rendezvous import ranked
from parlando.serve.service import Service

FREE, BUSY, FULL = range(3)
WAIT_SECONDS = 0.25  # of a newcomer, above which there should be more servers
TARGET_SHARE = 0.75  # of the listeners whom servers can feed: what they are to have


@dataclass(frozen=True)
class Scale:
    """How many replicas there are at least and at most, and what of a machine each takes."""

    least: int = 1
    most: int = 1
    processors: float = 1.0
    gpus: float = 0.0


@dataclass(frozen=True)
class Load:
    """What a server tells of itself; over all its models, but for the prediction, which is the worst one's.

    ``feeds`` is how many listeners it makes sound for in time, ``wait_seconds`` how long a newcomer would wait for
    others, and ``full`` is 1 where it would be refused.
    """

    rows: int
    streams: int
    feeds: float
    wait_seconds: float
    full: int

    def figures(self) -> dict[str, float]:
        """As plain numbers by name, which is what Ray carries."""
        return asdict(self)

    def level(self, requests: int = 0) -> int:
        """Whether it is free, busy or full; ``requests`` is how many somebody has sent it that may not be counted."""
        if self.full:
            return FULL
        return BUSY if self.wait_seconds > 0 or max(self.streams, requests) >= self.rows else FREE


UNKNOWN = Load(rows=1, streams=0, feeds=1.0, wait_seconds=0.0, full=0)


def load_of(service: Service) -> Load:
    """What a server has to do just now."""
    limits, admissions = service.config.limits, service.admissions.values()
    streams = sum(admission.streams for admission in admissions)
    predicted = [(admission.predicted_seconds(), admission.first_audio_seconds) for admission in admissions]
    late = any(seconds > max(limits.max_first_audio_seconds, usual) for seconds, usual in predicted)
    return Load(
        rows=sum(host.rows for host in service.hosts.values()),
        streams=streams,
        feeds=sum(max(1.0, host.sound_rate() / MARGIN) for host in service.hosts.values()),
        wait_seconds=max(seconds - usual for seconds, usual in predicted),
        full=int(late or streams >= limits.max_streams or service.draining),
    )


def read_load(figures: Mapping[str, float]) -> Load:
    """What a server told; one that has told nothing yet counts as free for one request."""
    return Load(**figures) if figures else UNKNOWN  # type: ignore[arg-type]


def preferred(key: str, levels: Mapping[str, int]) -> list[str]:
    """The servers by whom a request with this key should be taken, the best first.

    A voice goes to the same one, which has read it already, as long as nobody has to wait there.
    """
    return sorted(ranked(key, levels), key=levels.__getitem__)


def wanted_servers(loads: Sequence[Load]) -> int:
    """How many servers would have to do what these do: enough that all are fed, and one more where somebody waits."""
    if not loads:
        return 1
    fed = sum(load.feeds for load in loads) / len(loads)
    for_streams = math.ceil(sum(load.streams for load in loads) / (TARGET_SHARE * fed))
    waits = all(load.full or load.wait_seconds > WAIT_SECONDS for load in loads)
    return max(1, for_streams, len(loads) + 1 if waits else 1)
