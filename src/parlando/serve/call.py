"""A request on its way through the server, and what is counted and logged of it when it is over."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass, field
from typing import Any

from starlette.types import Scope

from parlando.serve.metrics import Registry
from parlando.serve.problems import Problem, problem_of

log = logging.getLogger("parlando.serve")
FAILED = 500
MOST_WARNINGS, LONGEST_WARNING = 8, 160


@dataclass
class Call:
    """One request on its way: who asks, under which id, and how it goes."""

    request_id: str
    caller: str
    started_seconds: float
    status: int = 0
    first_byte_seconds: float | None = None
    sent_bytes: int = 0
    error: BaseException | None = None
    warnings: list[str] = field(default_factory=list)

    def warn(self, text: str) -> None:
        """Have something told in a header of the answer and in the log line: in ASCII, bounded, and once."""
        shown = "".join(sign if " " <= sign <= "~" else "?" for sign in text)
        shown = shown if len(shown) <= LONGEST_WARNING else shown[: LONGEST_WARNING - 3] + "..."
        if len(self.warnings) < MOST_WARNINGS and shown not in self.warnings:
            self.warnings.append(shown)

    @property
    def shown_warnings(self) -> str:
        """All of them as the value of a header."""
        return " ".join(self.warnings)

    def count(self, sent_bytes: int) -> None:
        """Take note of what was sent."""
        if self.first_byte_seconds is None:
            self.first_byte_seconds = time.perf_counter() - self.started_seconds
        self.sent_bytes += sent_bytes

    def note(self, error: BaseException) -> None:
        """Have an error in the log line."""
        self.error = error

    def fail(self, error: BaseException) -> Problem:
        """Note an error that is the answer, and its status; as the problem that it is."""
        self.note(error)
        problem = problem_of(error)
        self.status = problem.status
        return problem


def call_of(scope: Scope) -> Call:
    """The call that a scope belongs to."""
    call: Call = scope["parlando"]
    return call


def report(registry: Registry, call: Call, method: str, path: str, route: str) -> None:
    """Count a call that is over, and log its line."""
    seconds = time.perf_counter() - call.started_seconds
    registry.count("parlando_requests_total", route=route, status=str(call.status))
    if call.first_byte_seconds is not None:
        registry.observe("parlando_first_byte_seconds", call.first_byte_seconds, route=route)
    level = logging.INFO
    line: dict[str, Any] = {
        "event": "request",
        "request_id": call.request_id,
        "caller": call.caller,
        "method": method,
        "path": path,
        "status": call.status,
        "seconds": round(seconds, 4),
        "first_byte_seconds": round(call.first_byte_seconds or 0.0, 4),
        "bytes": call.sent_bytes,
    }
    if call.warnings:
        line["warnings"] = call.warnings
        level = logging.WARNING
    if call.error is not None:
        line["error"] = f"{type(call.error).__name__}: {call.error}"
        level = logging.ERROR if problem_of(call.error).status == FAILED else logging.WARNING
    if log.isEnabledFor(level):
        log.log(level, json.dumps(line))
