"""Every error a user can cause, each saying what is wrong, where, and what to do.

ParlandoError
├── InputError                  what was asked cannot be spoken
│   ├── TextError               empty text, nothing to pronounce
│   ├── AudioError              unreadable, silent, clipped, too short or too long audio
│   ├── VoiceNotFoundError      no voice of that name
│   ├── ModelNotFoundError      no model of that name
│   ├── FileMissingError        a path that is not there
│   ├── TooLargeError           more text, audio or bytes than a server accepts
│   └── PromptTooLongError      more positions than the model's context
├── ConfigError                 a wrong type, a value out of range
│   └── UnknownKeyError         a key that nothing is set by
├── CheckpointError             missing, unexpected or misshapen tensors, no model in a folder
├── MissingDependencyError      an optional package or program is not installed
├── GenerationError             the model produced no usable audio
├── TextModelError              a text model that hangs, died or cannot be reached
├── TrainingError               a training that cannot go on
├── AccessError                 a key that is missing or not known
│   ├── NotYoursError           something that belongs to somebody else
│   └── ForeignPageError        a web page of another origin
├── BusyError                   asking again later may work
│   ├── EngineBusyError         the engine's queue is full
│   ├── OverloadedError         a first sound would come too late
│   └── RateLimitError          one caller asks too often, or for too much at once
├── EngineClosedError           a request to an engine that has shut down
└── CancelledError              the request was cancelled by its owner
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches


def nearest(name: str, known: Iterable[str]) -> str:
    """`` Did you mean 'x'?`` when something in ``known`` is close to ``name``, else an empty string."""
    by_folded = {each.casefold(): each for each in known}
    close = get_close_matches(name.casefold(), by_folded, n=1)
    return f" Did you mean '{by_folded[close[0]]}'?" if close else ""


class ParlandoError(Exception):
    """Root of everything Parlando raises on purpose."""

    def __reduce__(self) -> tuple[Callable[..., ParlandoError], tuple[type[ParlandoError], str]]:
        """Cross from a worker process with the finished message, whatever arguments a constructor takes."""
        return _revive, (type(self), str(self))


def _revive(kind: type[ParlandoError], message: str) -> ParlandoError:
    error = kind.__new__(kind)
    error.args = (message,)
    return error


class InputError(ParlandoError):
    """What was asked for cannot be spoken."""


class TextError(InputError):
    """Text that is empty or has nothing to pronounce."""


class AudioError(InputError):
    """Audio that cannot serve: unreadable, silent, clipped, too short, too long, not finite."""


class VoiceNotFoundError(InputError):
    """No voice of that name."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        listing = ", ".join(names) or "none"
        super().__init__(f"no voice named '{name}'; there are: {listing}.{nearest(name, names)}")


class ModelNotFoundError(InputError):
    """No model of that name."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        super().__init__(f"no model named '{name}'; there are: {', '.join(names)}.{nearest(name, names)}")


class FileMissingError(InputError):
    """A path that is not there."""

    def __init__(self, path: object, what: str = "file") -> None:
        super().__init__(f"no {what} at '{path}'; check the path")


class TooLargeError(InputError):
    """More text, audio or bytes than a server accepts."""


class PromptTooLongError(InputError):
    """A prompt that leaves no room in the model's context."""


class ConfigError(ParlandoError):
    """A configuration with an unknown key, a wrong type or a value out of range."""


class UnknownKeyError(ConfigError):
    """A configuration has a key that nothing is set by."""

    def __init__(self, where: str, key: str, known: Iterable[str]) -> None:
        self.where, self.key, self.known = where, key, tuple(known)
        hint = nearest(key, self.known) or f" There are: {', '.join(self.known)}."
        super().__init__(f"{where}: unknown key '{key}'.{hint}")


class CheckpointError(ParlandoError):
    """A checkpoint whose tensors do not fit the model that its config describes."""


class MissingDependencyError(ParlandoError):
    """An optional package or program that is not installed."""

    def __init__(self, name: str, command: str) -> None:
        super().__init__(f"'{name}' is needed for this and is not installed; run: {command}")


class GenerationError(ParlandoError):
    """The model produced no usable audio."""


class TextModelError(ParlandoError):
    """A text model that says nothing, broke off, or cannot be reached."""


class TrainingError(ParlandoError):
    """A training that cannot go on, such as one whose loss is no longer a number."""


class AccessError(ParlandoError):
    """A key that is missing or not known."""


class NotYoursError(AccessError):
    """Something that may be used and not changed, since it belongs to somebody else."""


class ForeignPageError(AccessError):
    """A web page of another origin, which nobody allowed to ask."""


class BusyError(ParlandoError):
    """Refused for now; asking again after ``retry_after_seconds`` may work."""

    retry_after_seconds = 1.0

    def __init__(self, message: str, retry_after_seconds: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class EngineBusyError(BusyError):
    """A request that the engine's queue has no room for."""


class OverloadedError(BusyError):
    """A request whose first sound would come too late."""


class RateLimitError(BusyError):
    """A caller that asks too often, or for too much at once."""


class EngineClosedError(ParlandoError):
    """A request to an engine that has shut down."""


class CancelledError(ParlandoError):
    """The request was cancelled by its owner."""
