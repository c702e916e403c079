"""A loaded model that stays up: warmed by a real synthesis, and made anew when its worker has died."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import takewhile

import numpy as np

from parlando.audio.clip import Clip
from parlando.core.errors import EngineClosedError, TextError
from parlando.core.types import Voice
from parlando.engine.chunking import HopSchedule
from parlando.engine.playback import Playback
from parlando.nn.threads import settle_thread
from parlando.request import Request
from parlando.result import Chunk
from parlando.serve.bridge import TextFeed
from parlando.speech import Synthesizer
from parlando.text.language import detect

log = logging.getLogger("parlando.serve")
WARM_UP_TEXT = "Ready."
LANGUAGE_NAMES = {"zh": "Chinese", "ja": "Japanese", "ko": "Korean"}
MULTILINGUAL = "FunAudioLLM/CosyVoice2-0.5B"
HUM_SECONDS, HUM_HERTZ, HUM_PARTIALS, HUM_LEVEL, HUM_SYLLABLES = 3.0, 120.0, 20, 0.2, 4.0  # about as a voice


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

    def sound_rate(self) -> float:
        """Seconds of sound that it makes in a second by now."""
        return self.synthesizer.sound_rate

    def warm_up(self) -> None:
        """Speak, and be ready if there was sound; a failure is logged and leaves the server unready.

        First alone, and then with as many at once as there are rows: what those take says how many can be fed.
        """
        try:
            voice = self._any_voice()
            heard = self._try(voice)
            with ThreadPoolExecutor(self.rows, "parlando-warm", settle_thread) as pool:
                self.ready = heard and all(pool.map(self._try, [voice] * self.rows))
        except Exception:
            log.exception("the model '%s' could not speak; it is not ready", self.name)

    def _try(self, voice: Voice) -> bool:
        options = self.synthesizer.options(schedule=HopSchedule(), seed=0, playback=Playback())
        request = self.synthesizer.spoken_by(voice, options)
        return sum(len(chunk.samples) for chunk in self.run(WARM_UP_TEXT, request)) > 0

    def _any_voice(self) -> Voice:
        """The default voice, or one that follows a hum where the model has none of its own."""
        model = self.synthesizer.model
        if model.default_voice:
            return model.voices[model.default_voice]
        moments = np.arange(round(HUM_SECONDS * model.sample_rate)) / model.sample_rate
        hum = sum(np.sin(2 * np.pi * HUM_HERTZ * partial * moments) / partial for partial in range(1, HUM_PARTIALS))
        samples = (HUM_LEVEL * hum * np.sin(np.pi * HUM_SYLLABLES * moments) ** 2).astype(np.float32)
        return Voice("hum", references=(model.refer(WARM_UP_TEXT, samples, model.sample_rate),))

    def run(self, text: str | TextFeed, request: Request) -> Iterator[Chunk]:
        """`Synthesizer.run`; when the worker turns out to be dead, this request fails and the next finds a new one.

        Raises:
            EngineClosedError: the worker died; asking again works.
        """
        synthesizer = self.synthesizer
        try:
            yield from synthesizer.run(text, request)
        except TextError as error:
            raise self._explained(error, text) from error
        except EngineClosedError:
            self._restart(synthesizer)
            raise

    def convert(self, clip: Clip, request: Request) -> Iterator[Chunk]:
        """What a recording says in the voice of a request, until that is cancelled."""
        chunks = self.synthesizer.stream_conversion(clip, request.voice, request.speed)
        for chunk in takewhile(lambda _: not request.cancellation.cancelled, chunks):
            if request.playback is not None:
                request.playback.hand_out(chunk.duration_seconds)
            yield chunk

    def close(self) -> None:
        """Shut down for good."""
        with self._lock:
            self._closed, self.ready = True, False
            self.synthesizer.close()

    def _explained(self, error: TextError, text: str | TextFeed) -> TextError:
        """What is wrong with a text, and which model could speak it if this one cannot read its script."""
        language = LANGUAGE_NAMES.get(detect(text)) if isinstance(text, str) else None
        if language is None:
            return error
        return TextError(
            f"model '{self.name}' cannot speak this {language} text ({error}); start the server with a model that "
            f"speaks {language}, such as --model {MULTILINGUAL}"
        )

    def _restart(self, dead: Synthesizer) -> None:
        """Replace a dead synthesizer, once, whoever notices first."""
        with self._lock:
            if self._closed or self.synthesizer is not dead:
                return
            log.error("the worker of model '%s' died; starting another", self.name)
            self.synthesizer = Synthesizer(dead.model, self.rows, self._length)
            self.synthesizer.engine.start()
            self.restarts += 1
