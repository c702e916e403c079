"""THE pipeline: text → normalised sentences → prompts → frames → samples; and `load()`, where it begins."""

from __future__ import annotations

import logging
import math
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import fields, replace
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from parlando.audio.check import DEFAULT_LIMITS, check_reference
from parlando.audio.clip import Clip
from parlando.audio.files import Source, read_audio
from parlando.audio.silence import SilenceMeter, speech_spans
from parlando.core.config import from_mapping
from parlando.core.errors import ConfigError, InputError, TextError, VoiceNotFoundError
from parlando.core.kinds import check_type
from parlando.core.stages import Model, WaveDecoder, WaveStream
from parlando.core.types import Frame, Prompt, SamplingOptions, SentenceReport, Voice
from parlando.engine.chunking import HopSchedule, chunked
from parlando.engine.decode_gate import DecodeGate
from parlando.engine.engine import Engine
from parlando.engine.guard import RunawayGuard
from parlando.engine.scheduler import Policy
from parlando.engine.session import Session
from parlando.models.locate import locate
from parlando.models.options import LoadOptions, ModelOptions
from parlando.models.registry import load_model
from parlando.request import (
    GROWING,
    MAX_SEED,
    WHOLE_SENTENCES,
    Request,
    SpeechOptions,
    check_speed,
    derived_seed,
)
from parlando.result import Chunk, Speech, join, trimmed
from parlando.text.arriving import ArrivingSentences
from parlando.text.normalize import check_speakable
from parlando.text.reading import Reading
from parlando.text.sentences import check_text, spoken_sentences
from parlando.text.unread import nothing_read
from parlando.words import WordClock

logger = logging.getLogger(__name__)
# How many times longer or shorter than usual the words of a recording may take.
PLAUSIBLE_RATIO = 2.5
OWN_OPTIONS = frozenset(field.name for field in fields(SpeechOptions)) - {"sampling", "seed"}


def load(
    model: str | Path | None = None,
    device: str | None = None,
    dtype: str | None = None,
    rows: int = 8,
    context: int | None = None,
    **options: Unpack[LoadOptions],
) -> Synthesizer:
    """Load a model: the packaged default, another packaged name, a folder, or a hub id ``org/name``.

    ``device`` is cpu, cuda, cuda:1 …, by default the best there is; ``dtype`` is float32, bfloat16 or float16, or auto:
    bfloat16 for a large model on a processor that computes with it. Up to ``rows`` requests share a batch, each with
    ``context`` positions of cache (``None``: as many as the model knows, but at most 8,192, five minutes of sound),
    allocated at once: for the published 3B model 112 KiB a position in bfloat16, 1.75 GiB for 8 rows of 2,048. Voices
    that were read before may take as much again as one row.

    Options: ``adapter``, the folder of a LoRA adapter of the language model, in peft's layout; it is merged into the
    weights, unless it is an `AdapterFolder` that says otherwise. ``quantize``, int8, int4 or (on a GPU) fp8: weights
    are kept in so few bits. ``flow``, how the flow of a model that has one is followed, by the names of `FlowOptions`.
    ``cuda_graphs``: steps of the language model are recorded on a CUDA device, and replayed as one launch each.

    Raises:
        InputError: there is no such model.
        CheckpointError: its files do not fit its config, or it could not be fetched.
        ConfigError: its config has an unknown key, there is no such device or dtype, or no room for a prompt; or an
            argument is of a wrong type.
    """
    check_type("model", model, str | PathLike | None, "a name or a path")
    check_type("device", device, str | None)
    check_type("dtype", dtype, str | None)
    return Synthesizer(load_model(locate(model), device, dtype, ModelOptions.of(**options)), rows, context)


class Synthesizer:
    """Speaks with one loaded model. Many threads may use it at once; their requests share the engine's batch."""

    def __init__(self, model: Model, rows: int = 8, context: int | None = None) -> None:
        check_type("rows", rows, int)
        check_type("context", context, int | None)
        self.model = model
        self.rows = rows
        self.engine = Engine(model.lm, rows, context, Policy(frame_seconds=1 / model.frame_rate))
        self._decoding = DecodeGate(os.cpu_count() or 1)

    @property
    def voices(self) -> Mapping[str, Voice]:
        """The model's voices by name."""
        return self.model.voices

    @property
    def sample_rate(self) -> int:
        """Samples per second of everything this makes."""
        return self.model.sample_rate

    @property
    def sound_rate(self) -> float:
        """Seconds of sound that this makes in a second, all requests together; infinity before the first."""
        decoding_seconds = self._decoding.seconds_per_frame * self.model.frame_rate
        decoded = self._decoding.width / decoding_seconds if decoding_seconds else math.inf
        return min(self.engine.sound_rate, decoded)

    def say(self, text: str | Iterable[str], voice: str | Voice | None = None, **options: Any) -> Speech:
        """Speak a text to its end; options and errors as for `stream`.

        Raises:
            GenerationError: the model made no audio at all.
        """
        check_text(text)
        said: list[str] = []
        request = self.request(voice, **{"schedule": WHOLE_SENTENCES, **options})
        chunks = self.run(_overheard(text, said), request)
        speech = join(chunks, voice=request.voice.name, seed=request.seed, reading=request.reading)
        return replace(speech, text="".join(said))

    def say_many(
        self, texts: Sequence[str | Iterable[str]], voice: str | Voice | None = None, **options: Any
    ) -> list[Speech]:
        """Speak several texts in one batch; in float32 each sounds as it would alone. Options, errors: see `say`."""
        if isinstance(texts, str):
            raise TextError("texts is one str; give a list of texts, or use say()")
        check_type("texts", texts, Sequence, "a list of texts")
        if not texts:
            return []
        with ThreadPoolExecutor(min(len(texts), self.rows), "parlando-say") as pool:
            return list(pool.map(lambda text: self.say(text, voice, **options), texts))

    def stream(self, text: str | Iterable[str], voice: str | Voice | None = None, **options: Any) -> Iterator[Chunk]:
        """Speak a text, yielding audio as it becomes final; ``text`` may itself arrive in pieces.

        Options: ``seed``, ``temperature``, ``top_k``, ``top_p`` and the other `SamplingOptions`; ``speed`` (0.25 to 4,
        at the same pitch); ``instruction`` ("speak slowly"), to models that take one; ``schedule``, ``pauses`` and
        ``retries`` and ``cancellation``; ``lead_silence_seconds``, how much silence may come before the first word
        (``math.inf`` keeps all of it); ``language`` (``en``, ``zh``, ``ja``, ``ko``, or ``auto`` to tell it from the
        text) where it is not the voice's, and ``lexicon``, a `UserLexicon` of pronunciations; ``interleave`` False
        speaks a text that arrives by whole sentences, even if the model could begin before they end. Without a seed one
        is drawn; every `SentenceReport` names the one it used. Leaving the loop cancels. The first word that the model
        cannot say within a sentence is named in a warning.

        Raises:
            TextError: there is nothing to pronounce.
            VoiceNotFoundError: no voice of that name.
            ConfigError: an unknown option, or a value out of range.
            MissingDependencyError: the text's language needs a library that is not installed.
            PromptTooLongError: voice and sentence do not fit the model's context.
            GenerationError: the model failed.
        """
        check_text(text)
        if isinstance(text, str):
            check_speakable(text)
        return self.run(text, self.request(voice, **options))

    def request(self, voice: str | Voice | None = None, **options: Any) -> Request:
        """Check and complete the options of `stream`."""
        chosen = self._voice(voice)
        return self.spoken_by(chosen, self.options(**options))

    def options(self, **options: Any) -> SpeechOptions:
        """Check and complete the options of `stream`, whoever is to speak."""
        own = {name: options.pop(name) for name in OWN_OPTIONS if options.get(name) is not None}
        options = {name: value for name, value in options.items() if name not in OWN_OPTIONS}
        if options.get("seed", 0) is None:
            del options["seed"]
        checked = from_mapping(SamplingOptions, options, "options")
        sampling = replace(self.model.sampling, **{name: getattr(checked, name) for name in options})
        seed = secrets.randbelow(MAX_SEED) if sampling.seed is None else sampling.seed
        return SpeechOptions(sampling=sampling, seed=seed, **own)

    def spoken_by(self, voice: Voice, options: SpeechOptions) -> Request:
        """What is spoken so by this voice.

        Raises:
            ConfigError: an instruction, and the model takes none; or nothing is read out in the language.
        """
        if options.instruction:
            if not self.model.takes_instructions:
                raise ConfigError(f"model '{self.model.name}' takes no instructions; leave the instruction out")
            voice = replace(voice, instruction=options.instruction)
        reading = Reading(options.language or voice.language, options.lexicon, self.model.notation)
        return Request(**{**vars(options), "voice": voice, "reading": reading})

    def run(self, text: str | Iterable[str], request: Request) -> Iterator[Chunk]:
        """The whole way of a text: segment, normalise, prompt, generate, decode, and cut the silence before it."""
        for chunk in trimmed(self._spoken(text, request), self.sample_rate, request.lead_silence_seconds):
            if request.playback is not None:
                request.playback.hand_out(chunk.duration_seconds)
            yield chunk

    def _spoken(self, text: str | Iterable[str], request: Request) -> Iterator[Chunk]:
        started, pause_seconds, index, unread = time.perf_counter(), 0.0, 0, ""
        unspoken: list[str] = []
        for sentence, ends_paragraph in self._sentences(text, request):
            said: list[str] = []
            try:
                prompt = self._prompt(_overheard(sentence, said), request.voice)
            except TextError as reason:
                # One sentence in a script that the model cannot read must not cost the others.
                unspoken.append("".join(said))
                logger.warning("a sentence is left out: %s (%s)", nothing_read(unspoken[-1], self.model.name), reason)
                yield self._skipped(unspoken[-1], index)
                continue
            if prompt.unread and not unread:
                unread = prompt.unread
                logger.warning(
                    "model %s cannot say '%s' and leaves it out, in: %s", self.model.name, unread, prompt.sentence
                )
            if pause_seconds > 0:
                yield self.pause(pause_seconds / request.speed, index)
            for chunk in self._speak(prompt, index, request, started, said):
                yield _told(chunk, said)
            pause_seconds = request.pauses.after(ends_paragraph)
            index += 1
        if index == 0:
            raise nothing_read(text if isinstance(text, str) else " ".join(unspoken), self.model.name)

    def _sentences(self, text: str | Iterable[str], request: Request) -> Iterator[tuple[str | Iterator[str], bool]]:
        """Sentences, each whole or, where the model reads while it speaks, as it arrives."""
        if request.interleave and self.model.arriving is not None and not isinstance(text, str):
            return ((sentence, False) for sentence in ArrivingSentences(text, request.reading))
        return spoken_sentences(text, request.reading)

    def _prompt(self, sentence: str | Iterator[str], voice: Voice) -> Prompt:
        if isinstance(sentence, str) or self.model.arriving is None:
            return self.model.prompts.build("".join(sentence), voice)
        return self.model.arriving.build_arriving(sentence, voice)

    def _skipped(self, sentence: str, index: int) -> Chunk:
        return replace(self.pause(0.0, index), text=sentence, report=SentenceReport(sentence, 0, 0, "skipped", 0))

    def pause(self, seconds: float, sentence: int = 0) -> Chunk:
        """Silence, to put before a sentence."""
        return Chunk(np.zeros(round(seconds * self.sample_rate), dtype=np.float32), self.sample_rate, sentence)

    def clone(self, audio: Source | Clip, text: str | None = None, name: str = "clone") -> Voice:
        """A voice that follows a recording, best 5 to 15 s of one speaker; ``text`` is what is said in it.

        Raises:
            FileMissingError: there is no such file.
            AudioError: it is not audio, or too short, silent, clipped, far too long, or has no speech.
            TextError: the transcript is missing, has no letter and no digit, or the model cannot read it.
        """
        check_type("text", text, str | None, "the words that are said in the recording (str)")
        check_type("name", name, str)
        words = (text or "").strip()
        if self.model.needs_transcript and not words:
            raise TextError("cloning needs the words that are said in the recording; give them as text (--ref-text)")
        if words:
            check_speakable(words)
        where = f"'{audio}'" if isinstance(audio, str | PathLike) else "reference"
        clip = audio if isinstance(audio, Clip) else read_audio(audio, max_seconds=DEFAULT_LIMITS.max_seconds)
        checked = check_reference(clip.samples, clip.sample_rate, where)
        if checked.note:
            raise InputError(f"{checked.note}; cut the recording and its text down to that")
        warning = self._check_transcript(words, name, checked.speech_seconds) if words else ""
        reference = self.model.refer(words, checked.clip.samples, checked.clip.sample_rate)
        return Voice(name, references=(reference,), warning=warning)

    def _check_transcript(self, words: str, name: str, speech_seconds: float) -> str:
        """Refuse a transcript that the model cannot read; what to warn of if it is not what the recording says."""
        prompt = self.model.prompts.build(words, Voice(name))
        if prompt.unread:
            raise TextError(
                f"transcript: model '{self.model.name}' cannot read '{prompt.unread}'; give the words in letters that "
                "it knows, or take a model that speaks their language"
            )
        expected_seconds = prompt.expected_frames / self.model.frame_rate
        if not expected_seconds or 1 / PLAUSIBLE_RATIO < speech_seconds / expected_seconds < PLAUSIBLE_RATIO:
            return ""
        warning = (
            f"transcript: {len(words.split())} words take about {expected_seconds:.1f} s, and the recording has "
            f"{speech_seconds:.1f} s of speech; with other words than its own a clone speaks badly"
        )
        logger.warning(warning)
        return warning

    def convert(self, audio: Source | Clip, voice: str | Voice | None = None, speed: float = 1.0) -> Speech:
        """What a recording says, as it says it, in another voice; errors as for `stream_conversion`."""
        chosen = self._voice(voice)
        return join(self.stream_conversion(audio, chosen, speed, WHOLE_SENTENCES), voice=chosen.name)

    def stream_conversion(
        self,
        audio: Source | Clip,
        voice: str | Voice | None = None,
        speed: float = 1.0,
        schedule: HopSchedule = GROWING,
    ) -> Iterator[Chunk]:
        """`convert`, yielding audio as it becomes final.

        Raises:
            ConfigError: this model cannot convert voices, or the speed is out of range.
            FileMissingError: there is no such file.
            AudioError: it is not audio, too short, or not finite; or the voice has no sound for this model.
            VoiceNotFoundError: no voice of that name.
        """
        converter, chosen = self.model.converter, self._voice(voice)
        if converter is None:
            raise ConfigError(f"model '{self.model.name}' cannot convert voices; take one of the family that can")
        check_speed(speed)
        clip = audio if isinstance(audio, Clip) else read_audio(audio)
        started = time.perf_counter()
        frames, stream = converter.frames(clip.samples, clip.sample_rate), converter.open(chosen, speed)
        for piece, final in chunked(frames, schedule):
            with self._decoding.turn():
                samples = stream.push(piece, final)
            report = SentenceReport("", len(frames), 1, "end", 0) if final else None
            elapsed = time.perf_counter() - started
            yield Chunk(samples, self.sample_rate, report=report, elapsed_seconds=elapsed, frames=piece)

    def close(self) -> None:
        """Shut the engine down; requests that still run end with EngineClosedError."""
        self.engine.close()

    def __enter__(self) -> Synthesizer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _voice(self, voice: str | Voice | None) -> Voice:
        if isinstance(voice, Voice):
            return voice
        check_type("voice", voice, str | None, "a voice's name (str) or a Voice")
        name = self.model.default_voice if voice is None else voice
        if not name:
            raise InputError(f"model '{self.model.name}' has no voices of its own; clone one from a recording")
        if name not in self.voices:
            raise VoiceNotFoundError(name, self.voices)
        return self.voices[name]

    def _speak(
        self, prompt: Prompt, index: int, request: Request, started: float, said: Sequence[str]
    ) -> Iterator[Chunk]:
        """One sentence, tried again as long as nothing of it was heard; ``said`` has its text when it was read."""
        heard = False
        for number in range(1, request.retries.attempts + 1):
            options = replace(request.sampling, seed=derived_seed(request.seed, index, number))
            sampler = self.model.new_sampler(prompt, options)
            if request.playback is not None:
                request.playback.begin_sentence(self._decoding.seconds_per_frame, request.speed)
            attempt = Attempt(prompt, request, self.model.decoder, self._decoding)
            clock = WordClock(attempt.frame_seconds, self.sample_rate, self.model.prompts.spans)
            session = self.engine.submit(prompt, sampler, options.max_frames, request.playback)
            with session, request.cancellation.covering(session):
                for frames, samples in attempt.play(session, self.model.decoder.open(prompt, request.speed)):
                    if attempt.failed and not heard and number < request.retries.attempts:
                        break
                    heard = heard or len(samples) > 0
                    report = attempt.report(number, options.seed)
                    clock.hear(frames, samples)
                    sentence = prompt.sentence or ("".join(said).strip() if report else "")
                    words = clock.words(sentence, final=report is not None)
                    elapsed = time.perf_counter() - started
                    yield Chunk(samples, self.sample_rate, index, prompt.sentence, report, elapsed, frames, words)
                else:
                    return


class Attempt:
    """One attempt at a sentence: hands its samples through, watches them and the frames, and knows how it ended."""

    def __init__(self, prompt: Prompt, request: Request, decoder: WaveDecoder, gate: DecodeGate) -> None:
        self.finish: str | None = None
        self.num_frames = 0
        self._prompt, self._request, self._sample_rate = prompt, request, decoder.sample_rate
        self._samples_per_frame, self._made_samples = decoder.samples_per_frame, 0
        self.frame_seconds = decoder.samples_per_frame / decoder.sample_rate / request.speed
        self._gate = gate
        self._guard = RunawayGuard(prompt.expected_frames, request.retries.guard)
        self._verdict: str | None = None
        self._silence = SilenceMeter(request.retries.silence_seconds * decoder.sample_rate)

    @property
    def failed(self) -> bool:
        """Whether it ended badly and another seed may do better; a limit that was asked for is no failure."""
        asked = self._request.sampling.max_frames
        return self.finish not in (None, "end") and (asked is None or self.num_frames < asked)

    def play(self, session: Session, stream: WaveStream) -> Iterator[tuple[tuple[Frame, ...], np.ndarray]]:
        """Frames and samples (float32 [n], n may be 0) chunk by chunk; with the last ones ``finish`` is set."""
        playback = self._request.playback

        def expect(frames: int) -> None:
            session.wanted_frames = frames

        watched = self._watched(session)
        for frames, final in chunked(
            watched, self._request.schedule, playback, self.frame_seconds, expect, stream.frames_until
        ):
            with session.rest() if playback is not None and playback.hurries else nullcontext():
                frames, samples = self._decoded(stream, frames, final, lambda: islice(watched, session.held_frames))
                self.finish = self._judge(samples, session.finish if final else None)
                yield frames, samples if self.finish in (None, "end") else self._without_tail(samples)
            if self.finish is not None:
                return

    def report(self, attempt: int, seed: int | None) -> SentenceReport | None:
        """How it went, once it is over."""
        if self.finish is None:
            return None
        return SentenceReport(
            self._prompt.sentence, self.num_frames, attempt, self.finish, seed or 0, len(self._prompt)
        )

    def _decoded(
        self, stream: WaveStream, frames: tuple[Frame, ...], final: bool, arrived: Callable[[], Iterator[Frame]]
    ) -> tuple[tuple[Frame, ...], np.ndarray]:
        """A chunk and its samples; where somebody listens, with what came while it waited for its turn.

        So chunks grow with the wait, and cost less per frame the more there is to do.
        """
        playback = self._request.playback
        asked = time.perf_counter()
        with self._gate.turn(playback):
            started = time.perf_counter()
            if playback is not None and not final:
                frames += tuple(arrived())
            samples = stream.push(frames, final)
            seconds = time.perf_counter() - started
        self._gate.learn(len(frames), seconds)
        if playback is not None:
            playback.decoded(len(frames), seconds, started - asked)
        return frames, samples

    def _watched(self, session: Session) -> Iterator[Frame]:
        for frame in session:
            self.num_frames += 1
            self._verdict = self._guard.check(frame)
            yield frame
            if self._verdict is not None:
                return

    def _judge(self, samples: np.ndarray, finish: str | None) -> str | None:
        self._made_samples += len(samples)
        longest_seconds = self._silence.push(samples) / self._sample_rate
        if longest_seconds > self._request.retries.silence_seconds:
            return "silence"
        if self._verdict is not None and finish is not None:
            return self._verdict
        made_frames = self._made_samples * self._request.speed / self._samples_per_frame
        too_short = made_frames < self._prompt.expected_frames * self._request.retries.shortest_share
        return "short" if finish == "end" and too_short else finish

    def _without_tail(self, samples: np.ndarray) -> np.ndarray:
        spans = speech_spans(samples, self._sample_rate)
        kept_samples = round(self._request.retries.kept_tail_seconds * self._sample_rate)
        return samples[: spans[-1].end + kept_samples] if spans else samples[:kept_samples]


def _overheard(text: str | Iterable[str], said: list[str]) -> str | Iterator[str]:
    """The text, noted in ``said`` as far as it is read."""
    if isinstance(text, str):
        said.append(text)
        return text
    return _noted(text, said)


def _noted(pieces: Iterable[str], said: list[str]) -> Iterator[str]:
    for piece in pieces:
        said.append(piece)
        yield piece


def _told(chunk: Chunk, said: Sequence[str]) -> Chunk:
    """A chunk with the words of a sentence that were not known when its prompt was made."""
    if chunk.text:
        return chunk
    text = "".join(said).strip()
    return replace(chunk, text=text, report=chunk.report and replace(chunk.report, text=text))
