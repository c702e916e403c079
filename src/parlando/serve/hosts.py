"""A loaded model that stays up: warmed by a real synthesis, and made anew when its worker has died."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from itertools import takewhile

from parlando.audio.clip import Clip
from parlando.core.errors import EngineClosedError
from parlando.engine.chunking import HopSchedule
from parlando.engine.playback import Playback
from parlando.request import Request
from parlando.result import Chunk
from parlando.serve.bridge import TextFeed
from parlando.speech import Synthesizer

log = logging.getLogger("parlando.serve")
WARM_UP_TEXT = "Ready."


class Host:
    """One model of the server. Its engine steps in a thread of its own."""

    def __init__(self, name: str, synthesizer: Synthesizer) -> None:
        self.name = name
        self.rows = synthesizer.rows
        self.ready = False
        self.restarts = 0
        self.synthesizer = synthesizer
        self._length = synthesizer.engine.length
        self._lock = threading.Lock()
        self._closed = False
        synthesizer.engine.start()

    def places(self) -> int:
        """How many streams it can feed at once, as far as is known."""
        return self.synthesizer.engine.streams

    def warm_up(self) -> None:
        """Speak, and be ready if there was sound; a failure is logged and leaves the server unready."""
        playback = Playback()
        try:
            request = self.synthesizer.request(schedule=HopSchedule(), seed=0, playback=playback)
            self.ready = any(len(chunk.samples) for chunk in list(self.run(WARM_UP_TEXT, request)))
        except Exception:
            log.exception("the model '%s' could not speak; it is not ready", self.name)
        finally:
            playback.close()

    def run(self, text: str | TextFeed, request: Request) -> Iterator[Chunk]:
        """`Synthesizer.run`; when the worker turns out to be dead, this request fails and the next finds a new one.

        Raises:
            EngineClosedError: the worker died; asking again works.
        """
        synthesizer = self.synthesizer
        try:
            yield from synthesizer.run(text, request)
        except EngineClosedError:
            self._restart(synthesizer)
            raise

    def convert(self, clip: Clip, request: Request) -> Iterator[Chunk]:
        """What a recording says in the voice of a request, until that is cancelled."""
        chunks = self.synthesizer.stream_conversion(clip, request.voice, request.speed)
        return takewhile(lambda _: not request.cancellation.cancelled, chunks)

    def close(self) -> None:
        """Shut down for good."""
        with self._lock:
            self._closed, self.ready = True, False
            self.synthesizer.close()

    def _restart(self, dead: Synthesizer) -> None:
        """Replace a dead synthesizer, once, whoever notices first."""
        with self._lock:
            if self._closed or self.synthesizer is not dead:
                return
            log.error("the worker of model '%s' died; starting another", self.name)
            self.synthesizer = Synthesizer(dead.model, self.rows, self._length)
            self.synthesizer.engine.start()
            self.restarts += 1
