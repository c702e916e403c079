"""How tests wait: for what happens, however long the machine takes; the seconds here only end a test that hangs."""

from __future__ import annotations

import time

HANG_SECONDS = 90.0
LOOK_SECONDS = 0.002


def wait_until(has_happened):
    deadline = time.monotonic() + HANG_SECONDS
    while not has_happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(LOOK_SECONDS)
