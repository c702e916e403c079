"""Reads random and mutated recordings and notes what is asked of the system meanwhile; run by `test_hostile_files`.

Usage: fuzz_reader.py RANDOM MUTATED SEED. It prints one line of JSON; a crash or a hang is seen by who started it.
"""

from __future__ import annotations

import io
import json
import os
import random
import resource
import sys
from pathlib import Path

import numpy as np
import soundfile
from recordings import MAGIC_STARTS, make_recordings

from exploits import make_exploits
from parlando.audio.files import read_audio
from parlando.core.errors import AudioError

BEGIN, END = "/parlando-fuzz-begins", "/parlando-fuzz-ends"
MAX_SECONDS = 60.0
EXTREMES = (b"\x00\x00\x00\x00", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x80\x00\x00\x00")


def noise(chance: random.Random) -> bytes:
    """Random bytes, half of them behind the start of a container that is read."""
    start = chance.choice(MAGIC_STARTS) if chance.random() < 0.5 else b""
    return start + chance.randbytes(chance.choice((0, 10, 100, 1000, 10_000)))


def mutated(data: bytes, chance: random.Random) -> bytes:
    """A recording with a few bytes changed, a stretch lost or said twice, or its end cut off."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 12)):
        # Heads are short and decide most.
        place = chance.randrange(1 + (min(len(changed), 200) if chance.random() < 0.5 else len(changed)))
        kind, length = chance.randrange(5), chance.randint(1, 64)
        if kind == 0:
            changed[place : place + 1] = chance.randbytes(1)
        elif kind == 1:
            changed[place : place + 4] = chance.choice(EXTREMES)
        elif kind == 2:
            del changed[place : place + length]
        elif kind == 3:
            changed[place:place] = changed[place : place + length] * chance.choice((1, 1, 50))
        else:
            del changed[max(place, 32) :]
    return bytes(changed)


def outcome(data: bytes) -> str:
    """What becomes of it: the only error is the user's."""
    try:
        samples = read_audio(data, max_seconds=MAX_SECONDS).samples
    except AudioError:
        return "refused"
    assert samples.dtype == np.float32
    assert np.isfinite(samples).all()
    assert np.abs(samples).max() <= 1.0
    return "read"


def main() -> None:
    """Read everything, after a first round in which whatever is loaded late is loaded."""
    chance = random.Random(int(sys.argv[3]))
    seeds = list(make_recordings().values())
    for data in seeds:
        assert outcome(data) == "read"
    with open(os.devnull), io.BytesIO(seeds[0]) as file, soundfile.SoundFile(file):
        pass
    inputs = [*make_exploits(Path(__file__).with_name("sounds.py")).values()]
    inputs += [noise(chance) for _ in range(int(sys.argv[1]))]
    inputs += [mutated(chance.choice(seeds), chance) for _ in range(int(sys.argv[2]))]
    memory_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    events: list[str] = []
    watching = True
    sys.addaudithook(
        lambda name, about: events.append(f"{name} {about!r:.100}") if watching and name in FORBIDDEN else None
    )
    os.path.exists(BEGIN)
    counts = {"read": 0, "refused": 0}
    for data in inputs:
        counts[outcome(data)] += 1
    os.path.exists(END)
    watching = False
    grown_mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory_kib) / 1024
    print(json.dumps({**counts, "inputs": len(inputs), "events": events, "grown_mib": grown_mib}))


FORBIDDEN = ("open", "os.listdir", "os.scandir", "os.remove", "subprocess.Popen", "os.exec", "os.fork", "ctypes.dlopen")
FORBIDDEN += ("socket.__new__", "socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto")

if __name__ == "__main__":
    main()
