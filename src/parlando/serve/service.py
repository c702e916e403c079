"""What every door speaks through: `Utterance` in, a `Stream` of chunks or encoded bytes out, counted and admitted.

Everything that can be checked cheaply is checked in `Service.open`, on the event loop, before a thread is taken.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np

from parlando.audio.clip import Clip, check_sample_rate
from parlando.audio.containers import STREAM_FORMATS, open_encoder
from parlando.audio.files import read_audio
from parlando.audio.formats import find_format
from parlando.audio.resample import StreamResampler
from parlando.core.errors import (
    CancelledError,
    ConfigError,
    EngineClosedError,
    GenerationError,
    InputError,
    ModelNotFoundError,
    ParlandoError,
    TextError,
    TooLargeError,
)
from parlando.core.types import Voice
from parlando.engine.playback import Playback
from parlando.engine.prefixes import PrefixCounts
from parlando.request import Request, SpeechOptions, check_speed, derived_seed
from parlando.result import Chunk
from parlando.serve.admission import Admission, Entrant, expected_seconds
from parlando.serve.bridge import Bridge, Stream, TextFeed
from parlando.serve.config import HIGHEST_RATE, LOWEST_RATE, ServeConfig
from parlando.serve.hosts import Host
from parlando.serve.lack import Lack
from parlando.serve.limits import Budgets
from parlando.serve.memory import give_back
from parlando.serve.metrics import Registry, StreamStats
from parlando.serve.names import find_model, model_names
from parlando.serve.partner import partner_of
from parlando.serve.problems import INTERNAL, InternalError
from parlando.serve.voices import Recording, VoiceRegistry, WantedVoice
from parlando.text.normalize import check_speakable

log = logging.getLogger("parlando.serve")
LONGEST_CONVERSION_SECONDS = 300.0
LOOK_SECONDS = 0.02
QUIET_SECONDS = 5.0  # without a stream, until what the last ones left is given back
ARRIVING_SECONDS = 10.0  # what a text that still arrives is taken to last
# Of a second in a file, about; the first are those of files whose samples are not or hardly compressed.
WHOLE_SIGNATURES, WHOLE_BYTES, COMPRESSED_BYTES = (b"RIFF", b"fLaC"), 48_000, 16_000
# What becomes of chunks in the stream's own thread: a format by name, or anything else a door makes of them.
Making = Callable[[Iterator[Chunk]], Iterator[Any]]


@dataclass(frozen=True)
class Utterance:
    """What a door wants spoken.

    ``text`` may be a `Recording` to be converted, by models that can; ``voice`` is a name, a `Voice`, the card of an
    uploaded one, or a `Recording` to follow; ``sample_rate`` (hertz) is the model's own by default; ``options`` are
    those of `Synthesizer.stream`, such as seed and temperature.
    """

    text: str | TextFeed | Recording
    voice: WantedVoice = None
    model: str | None = None
    language: str | None = None
    instructions: str | None = None
    speed: float = 1.0
    sample_rate: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Speaking:
    """A stream that runs: ``stream`` to read, ``stats`` to read after its end, and what was decided."""

    stream: Stream[Any]
    stats: StreamStats
    model: str
    seed: int
    sample_rate: int


class Service:
    """One server's models, voices and limits. It lives on ``loop``, known while the application runs."""

    def __init__(self, hosts: Mapping[str, Host], config: ServeConfig, voices: VoiceRegistry) -> None:
        self.hosts, self.config, self.voices = hosts, config, voices
        self.models = model_names(config.models, {name: host.synthesizer.model.family for name, host in hosts.items()})
        self.registry = Registry()
        self.partner = partner_of(config, voices.recogniser)
        self.bridge = Bridge()
        self.budgets = Budgets(config.limits)
        self.admissions = {name: Admission(host.rows, config.limits, host.sound_rate) for name, host in hosts.items()}
        self._watched: list[Admission] = []
        self.draining = False
        self._telling = 0
        self._awake = False
        self._resting: asyncio.TimerHandle | None = None
        self._tidying: asyncio.Future[bool] | None = None
        self.ports: dict[str, int] = {}  # of doors that listen on their own
        self.loop: asyncio.AbstractEventLoop | None = None
        self.when_closed: Callable[[], None] = lambda: None
        self._register_gauges()

    def host(self, model: str | None) -> Host:
        """The model of that name, or the default one.

        Raises:
            ModelNotFoundError: there is none.
        """
        name = next(iter(self.hosts)) if model is None else find_model(self.models, model)
        if name is None:
            raise ModelNotFoundError(model or "", self.models)
        return self.hosts[name]

    def converter(self, model: str | None) -> Host:
        """The model of that name, or the first that can convert recordings.

        Raises:
            ModelNotFoundError: there is none of that name.
            InputError: it cannot, or none can.
        """
        able = [name for name, host in self.hosts.items() if host.synthesizer.model.converter is not None]
        host = self.host(model if model is not None or not able else able[0])
        if host.name not in able:
            raise InputError(
                f"model '{host.name}' cannot convert recordings; start the server with a model of the CosyVoice "
                "family, such as --model cosyvoice-mini"
            )
        return host

    def open(
        self,
        utterances: Utterance | Sequence[Utterance],
        format: str | Making | None = None,
        caller: str = "local",
        warn: Callable[[str], None] = lambda warning: None,
    ) -> Speaking:
        """Begin to speak, one utterance after the other; items are bytes of ``format``, or without one `Chunk`s.

        A function for ``format`` is given the chunks in a thread, and what it yields are the items.

        Model, speed, rate, seed and options are the first one's; texts and voices each one's own. ``warn`` is told, in
        a thread and before the first item, what may be wrong with a voice.

        Raises:
            ParlandoError: anything `problems.STATUSES` knows.
        """
        several = [utterances] if isinstance(utterances, Utterance) else list(utterances)
        first = several[0]
        host = self.host(first.model)
        self._check(several, format)
        playback = Playback(expected_seconds=sum(map(said_seconds, several)), is_alone=self.has_one_task)
        options = host.synthesizer.options(speed=first.speed, playback=playback, **first.options)
        several = [replace(each, voice=self.voices.checked(host, each.voice, caller)) for each in several]
        rate = first.sample_rate or host.synthesizer.sample_rate
        stream: Stream[Any] = Stream(options.cancellation, playback=playback)
        feeds = [each.text for each in several if isinstance(each.text, TextFeed)]

        def close_feeds() -> None:
            for feed in feeds:
                feed.close()

        stream.when_cancelled = close_feeds
        # Time that a slow reader or writer takes is not the model's.
        stats = StreamStats(
            lambda: time.perf_counter() - stream.stalled_seconds - sum(feed.lack.seconds for feed in feeds)
        )
        source = Source(self, host, several, options, stats, warn)
        stream.lacks = [source.preparing, *(feed.lack for feed in feeds)]
        self._admit(host, caller, stream, source, lambda: source.items(format, rate))
        return Speaking(stream, stats, host.name, options.seed, rate)

    def close(self) -> None:
        """Cancel what runs and shut the models down."""
        self.draining = True
        self.bridge.close()
        for host in self.hosts.values():
            host.close()
        self.when_closed()

    def opened(self, protocol: str, port: int) -> None:
        """Take note of a door on a port of its own, and say so in the log."""
        self.ports[protocol] = port
        log.info(json.dumps({"event": "listening", "protocol": protocol, "port": port}))

    def wake(self) -> None:
        """Have the recogniser load its model, before somebody has spoken and waits; blocks."""
        if self.voices.recogniser is not None and not self._awake:
            self._awake = True
            self.voices.recogniser.hear(Clip(np.zeros(LOWEST_RATE, np.float32), LOWEST_RATE), "en")

    @property
    def ready(self) -> bool:
        """Whether every model has spoken and nobody is shutting down."""
        return not self.draining and all(host.ready for host in self.hosts.values())

    @property
    def speaking(self) -> bool:
        """Whether anything is being spoken, waits for it, or was spoken and its listener not told all of it."""
        return self._telling > 0 or any(admission.streams for admission in self.admissions.values())

    def has_one_task(self) -> bool:
        """Whether one stream, or less, is all that there is to do."""
        return self.bridge.helping + sum(admission.streams for admission in self.admissions.values()) <= 1

    @contextmanager
    def telling(self) -> Iterator[None]:
        """While somebody is told what was spoken: a socket may not be closed before its last message."""
        self._telling += 1
        try:
            yield
        finally:
            self._telling -= 1

    def _check(self, utterances: Sequence[Utterance], format: str | Making | None) -> None:
        if self.draining:
            raise EngineClosedError("the server is shutting down; ask again in a moment")
        if isinstance(format, str):
            find_format(format, STREAM_FORMATS)
        check_speed(utterances[0].speed)
        rate = utterances[0].sample_rate
        if rate is not None and not LOWEST_RATE <= check_sample_rate(rate) <= HIGHEST_RATE:
            raise ConfigError(f"sample_rate: {rate} is out of range; use {LOWEST_RATE} to {HIGHEST_RATE}")
        texts = [each.text for each in utterances if isinstance(each.text, str)]
        for text in texts:
            check_characters(text)
        characters = sum(map(len, texts))
        most = self.config.limits.max_input_characters
        if characters > most:
            raise TooLargeError(
                f"a text of {characters} characters is longer than the {most} allowed; send it in parts"
            )

    def _admit(
        self, host: Host, caller: str, stream: Stream[Any], source: Source, items: Callable[[], Iterator[Any]]
    ) -> None:
        """Begin to pump now, or as soon as there is sound for one more."""
        admission, stats = self.admissions[host.name], source.stats

        def begin() -> None:
            self.bridge.open(stream, items, ended)

        def over() -> None:
            self.budgets.leave(caller)
            stats.publish(self.registry, host.name)

        def ended() -> None:
            admission.leave(entrant, None if source.has_recordings else stats.first_audio_seconds)
            over()
            self._rest()

        def dismissed(error: Exception | None) -> None:
            stats.finish = "error" if error else "aborted"
            stream.dismiss(error)
            over()

        entrant = Entrant(
            caller,
            stream.playback,
            begin=begin,
            dismiss=dismissed,
            is_cancelled=lambda: stream.cancellation.cancelled,
            lacks=stream.lacks,
        )
        self.budgets.enter(caller)
        try:
            admission.enter(entrant)
        except BaseException:
            self.budgets.leave(caller)
            self.registry.count("parlando_refused_total", model=host.name)
            raise
        self._watch(admission)

    def _watch(self, admission: Admission) -> None:
        """Look again soon whether somebody who waits may begin."""
        if admission.waiting and self.loop is not None and admission not in self._watched:
            self._watched.append(admission)
            self.loop.call_later(LOOK_SECONDS, self._look, admission)

    def _look(self, admission: Admission) -> None:
        self._watched.remove(admission)
        try:
            admission.proceed()
        finally:
            self._watch(admission)

    def _rest(self) -> None:
        """Tidy up if nobody speaks for a while."""
        if self._resting is not None:
            self._resting.cancel()
        self._resting = asyncio.get_running_loop().call_later(QUIET_SECONDS, self._tidy)

    def _tidy(self) -> None:
        if not self.speaking and not self.draining:
            self._tidying = asyncio.ensure_future(self.bridge.call(give_back))

    def _register_gauges(self) -> None:
        def gauge(name: str, read: Callable[[str], float]) -> None:
            self.registry.gauge(name, lambda: {(("model", model),): read(model) for model in self.hosts})

        def prefixes(model: str) -> PrefixCounts:
            return self.hosts[model].synthesizer.engine.metrics().prefixes

        gauge("parlando_streams_running", lambda model: self.admissions[model].streams)
        gauge("parlando_predicted_first_audio_seconds", lambda model: self.admissions[model].predicted_seconds())
        gauge("parlando_slots", lambda model: self.hosts[model].rows)
        gauge("parlando_slots_free", lambda model: self.hosts[model].synthesizer.engine.free_rows)
        gauge("parlando_queue", lambda model: self.hosts[model].synthesizer.engine.metrics().waiting)
        gauge("parlando_prefix_hits", lambda model: prefixes(model).hits)
        gauge("parlando_prefix_misses", lambda model: prefixes(model).misses)
        gauge("parlando_prefix_bytes", lambda model: prefixes(model).held_bytes)
        gauge("parlando_worker_restarts", lambda model: self.hosts[model].restarts)
        gauge("parlando_ready", lambda model: self.hosts[model].ready)


class Source:
    """The blocking half of a request: runs in a thread of the bridge.

    While it is ``preparing``, a voice is encoded or a recording that is to be converted, and the model has no work.
    """

    def __init__(
        self,
        service: Service,
        host: Host,
        utterances: Sequence[Utterance],
        options: SpeechOptions,
        stats: StreamStats,
        warn: Callable[[str], None],
    ) -> None:
        self.stats, self._warn, self.preparing = stats, warn, Lack()
        self._service, self._host, self._utterances, self._options = service, host, utterances, options

    @property
    def has_recordings(self) -> bool:
        """Whether recordings came with it, whose preparation its first sound waits for."""
        return any(isinstance(given, Recording) for each in self._utterances for given in (each.text, each.voice))

    def items(self, format: str | Making | None, rate: int) -> Iterator[Any]:
        """Chunks at the wanted rate, or what an encoder makes of them."""
        try:
            chunks = self._shaped(rate)
            if callable(format):
                yield from format(chunks)
            else:
                yield from chunks if format is None else _encoded(chunks, format, rate)
        except (CancelledError, GeneratorExit):
            self.stats.finish = "aborted"
            raise
        except Exception as error:
            self.stats.finish = "error"
            self._service.registry.count("parlando_errors_total", model=self._host.name, kind=type(error).__name__)
            if isinstance(error, ParlandoError):
                raise
            log.exception("a stream of model '%s' failed", self._host.name)
            raise InternalError(INTERNAL) from error
        finally:
            if self._options.cancellation.cancelled:
                self.stats.finish = "aborted"

    def _spoken(self) -> Iterator[Chunk]:
        for index, utterance in enumerate(self._utterances):
            if isinstance(utterance.text, str):
                check_speakable(utterance.text)
            seed = derived_seed(self._options.seed, index, 1)
            options = replace(self._options, seed=seed, language=utterance.language)
            with self.preparing:
                voice = self._voice(utterance)
            request = self._host.synthesizer.spoken_by(voice, options)
            for chunk in self._made(utterance.text, request):
                self._count(chunk)
                yield chunk

    def _made(self, text: str | TextFeed | Recording, request: Request) -> Iterator[Chunk]:
        if not isinstance(text, Recording):
            return self._host.run(text, request)
        return self._converted(text, request)

    def _converted(self, recording: Recording, request: Request) -> Iterator[Chunk]:
        """What a recording says; all of it is encoded before the first sound."""
        with self.preparing:
            chunks = self._host.convert(read_audio(recording.audio, max_seconds=LONGEST_CONVERSION_SECONDS), request)
            first = tuple(islice(chunks, 1))
        yield from first
        yield from chunks

    def _shaped(self, rate: int) -> Iterator[Chunk]:
        resampler = StreamResampler(self._host.synthesizer.sample_rate, rate)
        late_seconds = begun_late_seconds = 0.0
        for chunk in self._spoken():
            samples = resampler.feed(chunk.samples)
            self.stats.sound(len(samples) / rate)
            late_seconds += chunk.duration_seconds - len(samples) / rate
            words = tuple(word.later(begun_late_seconds) for word in chunk.words)
            if chunk.report is not None or not chunk.text:  # the next sentence follows what is held back now
                begun_late_seconds = late_seconds
            yield chunk if samples is chunk.samples else replace(chunk, samples=samples, sample_rate=rate, words=words)
        samples = resampler.close()
        self.stats.sound(len(samples) / rate)
        if len(samples):
            yield Chunk(samples, rate)
        if not self.stats.audio_seconds:
            raise GenerationError("the model made no audio for this text; try another seed or a higher temperature")

    def _voice(self, utterance: Utterance) -> Voice:
        voice = self._service.voices.voice(self._host, utterance.voice)
        if voice.warning:
            self._warn(voice.warning)
        if not utterance.instructions:
            return voice
        if self._host.synthesizer.model.takes_instructions:
            return replace(voice, instruction=utterance.instructions)
        return replace(voice, scene=utterance.instructions) if self._service.config.instructions else voice

    def _count(self, chunk: Chunk) -> None:
        self.stats.output_tokens += len(chunk.frames)
        if chunk.report is not None:
            self.stats.prompt_tokens += chunk.report.prompt_tokens
        if self.stats.audio_seconds > self._service.config.limits.max_audio_seconds:
            raise TooLargeError(
                f"more than {self._service.config.limits.max_audio_seconds:g} s of audio; send the text in parts"
            )


def said_seconds(utterance: Utterance) -> float:
    """About how long it takes to say it."""
    if isinstance(utterance.text, str):
        return expected_seconds(utterance.text, utterance.speed)
    if isinstance(utterance.text, Recording):
        audio = utterance.text.audio
        seconds = len(audio) / (WHOLE_BYTES if audio.startswith(WHOLE_SIGNATURES) else COMPRESSED_BYTES)
        return min(seconds, LONGEST_CONVERSION_SECONDS) / utterance.speed
    return ARRIVING_SECONDS


def _encoded(chunks: Iterator[Chunk], format: str, rate: int) -> Iterator[bytes]:
    """The bytes of a file, as they become final."""
    encoder = open_encoder(format, rate)
    for chunk in chunks:
        if len(chunk.samples) and (data := encoder.feed(chunk.samples)):
            yield data
    if data := encoder.close():
        yield data


def check_characters(text: str) -> None:
    """Refuse text that UTF-8 has no bytes for.

    Raises:
        TextError: it has half of a surrogate pair.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        place = f"character {error.start} of the text"
        raise TextError(f"{place} is half of a surrogate pair; send whole characters") from error
