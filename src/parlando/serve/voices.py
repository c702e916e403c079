"""Whose voice a request asks for: the model's, an uploaded one, a preset, or a recording in the request itself."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from parlando.audio.check import check_reference
from parlando.audio.clip import Clip
from parlando.audio.files import read_audio
from parlando.core.errors import ConfigError, FileMissingError, InputError, TextError, VoiceNotFoundError
from parlando.core.types import Voice
from parlando.core.voicefile import read_voice
from parlando.serve.config import ServeConfig
from parlando.serve.hosts import Host
from parlando.serve.names import checked, fitting_voices
from parlando.serve.voicestore import VoiceCard, VoiceStore, check_name
from parlando.text.normalize import check_speakable
from parlando.text.reading import Reading

MOST_ENCODED = 256
UNSAFE = re.compile(r"[^A-Za-z0-9_-]")
RECORDING_SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".opus")
LONGEST_UPLOAD_SECONDS = 60.0


@dataclass(frozen=True)
class Recording:
    """A recording to follow, as bytes of any audio file, and the words that are said in it."""

    audio: bytes
    text: str | None = None

    @property
    def sha256(self) -> str:
        """Of the bytes."""
        return hashlib.sha256(self.audio).hexdigest()


@dataclass(frozen=True)
class Listed:
    """A voice as it is listed: where it is from, and its card if somebody uploaded it."""

    name: str
    origin: str
    language: str = "en"
    description: str | None = None
    card: VoiceCard | None = None
    stands_for: str | None = None


class VoiceShelf:
    """All voices of a server. `resolve` is quick; `voice` may encode, and belongs into a thread."""

    def __init__(self, config: ServeConfig) -> None:
        self._config = config
        self.store = VoiceStore(Path(config.voice_folder).expanduser(), config.limits.max_voices)
        self._presets = dict(_presets(config.preset_folder))
        self._encoded: OrderedDict[tuple[str, ...], Voice] = OrderedDict()
        self._lock = threading.Lock()
        self._fingerprints: dict[str, str] = {}
        self._own_by_model: dict[str, Mapping[str, Voice]] = {}
        self._aliases_by_model: dict[str, Mapping[str, str]] = {}

    def resolve(self, host: Host, name: str) -> str:
        """The voice that answers to a name; the model's own and uploaded ones answer to theirs.

        Raises:
            VoiceNotFoundError: there is none.
        """
        own = self._own(host)
        for candidate in (name, self._aliases(host).get(name, name)):
            if candidate in own or self.store.card(candidate) is not None:
                return candidate
        raise VoiceNotFoundError(name[:80], {**own, **self.store.cards})

    def check(self, host: Host, voice: str | Voice | Recording | None) -> None:
        """Whether there is such a voice; quick.

        Raises:
            VoiceNotFoundError: there is none of that name.
            InputError: none was named, and the model has none of its own.
        """
        if isinstance(voice, str):
            self.resolve(host, voice)
        elif voice is None and not host.synthesizer.model.default_voice:
            names = ", ".join({**self._own(host), **self.store.cards})
            named = f", or name one of these as voice: {names}" if names else ""
            raise InputError(
                f"model '{host.name}' has no voice of its own; send a recording of one as ref_audio, "
                f"with its words as ref_text{named}"
            )

    def check_config(self, hosts: Sequence[Host]) -> None:
        """Whether every configured name leads to a voice of the first model, and presets have names of their own.

        Raises:
            ConfigError: one does not.
        """
        for host in hosts:
            for name in sorted({*self._presets} & {*host.synthesizer.voices}):
                raise ConfigError(f"preset '{name}': '{host.name}' has a voice of that name; rename the preset")
        checked(self._config.voices, {**self._own(hosts[0]), **self.store.cards}, "voices")

    def listed(self, host: Host) -> list[Listed]:
        """All of them, the other names last."""
        model = host.synthesizer.voices
        found = [Listed(name, "model", voice.language, voice.description) for name, voice in model.items()]
        found += [Listed(name, "preset") for name in self._presets if name not in model]
        found += [
            Listed(name, "uploaded", card.language, card.description, card) for name, card in self.store.cards.items()
        ]
        taken = {each.name for each in found}
        names = self._aliases(host).items()
        return found + [Listed(name, "alias", stands_for=target) for name, target in names if name not in taken]

    def voice(self, host: Host, voice: str | Voice | Recording | None) -> Voice:
        """The voice itself, encoded for this model; blocks.

        Raises:
            VoiceNotFoundError: there is none of that name.
            AudioError: the recording cannot serve.
            TextError: the words of the recording are missing.
        """
        if isinstance(voice, Voice):
            return voice
        if isinstance(voice, Recording):
            return self._remembered(host, voice, ("recording", voice.sha256, voice.text or ""))
        synthesizer = host.synthesizer
        if voice is None:
            return synthesizer.voices[synthesizer.model.default_voice]
        name = self.resolve(host, voice)
        own, preset, card = self._own(host).get(name), self._presets.get(name), self.store.card(name)
        if isinstance(preset, Recording) and name not in synthesizer.voices:
            return replace(self._remembered(host, preset, ("preset", name)), name=name)
        if own is not None:
            return own
        if card is None:
            raise VoiceNotFoundError(name, self._own(host))
        return self._stored(host, card)

    def add(self, host: Host, recording: Recording, card: VoiceCard) -> VoiceCard:
        """Check, encode and keep an uploaded voice; blocks.

        Raises:
            InputError: the name cannot be used, or is the model's own.
            AudioError: the recording cannot serve.
            TextError: nobody is named who consented, or the words are missing.
            ConfigError: nothing is read out in the language.
        """
        if check_name(card.name) in self._own(host):
            raise InputError(f"'{card.name}' is a voice of the model's own; choose another name")
        if not card.consent.strip():
            raise TextError("consent: say who allowed this voice to be used, such as the speaker's name")
        check_speakable(card.text)
        Reading(card.language)
        given = _clip(recording.audio)
        clip = check_reference(given.samples, given.sample_rate).clip
        voice = replace(host.synthesizer.clone(clip, card.text, card.name), language=card.language)
        seconds = round(clip.duration_seconds, 3)
        kept = self.store.add(
            replace(card, sha256=recording.sha256, seconds=seconds, created_at=round(time.time(), 3)), clip
        )
        self.store.write_codes(kept, self._model_key(host), voice)
        return kept

    def _own(self, host: Host) -> Mapping[str, Voice]:
        """The voices that nobody uploaded: presets, and the model's, which keep their names."""
        if host.name not in self._own_by_model:
            presets = {name: each if isinstance(each, Voice) else Voice(name) for name, each in self._presets.items()}
            self._own_by_model[host.name] = {**presets, **host.synthesizer.voices}
        return self._own_by_model[host.name]

    def _aliases(self, host: Host) -> Mapping[str, str]:
        if host.name not in self._aliases_by_model:
            fitting = fitting_voices(host.synthesizer.voices or self._own(host))
            self._aliases_by_model[host.name] = {**fitting, **self._config.voices}
        return self._aliases_by_model[host.name]

    def _stored(self, host: Host, card: VoiceCard) -> Voice:
        key = ("stored", self._model_key(host), card.name, str(card.version), card.sha256)
        known = self._recall(key)
        if known is not None:
            return known
        voice = self.store.read_codes(card, self._model_key(host))
        if voice is None:
            clip = read_audio(self.store.recording(card))
            voice = replace(host.synthesizer.clone(clip, card.text, card.name), language=card.language)
            self.store.write_codes(card, self._model_key(host), voice)
        return self._remember(key, voice)

    def _remembered(self, host: Host, recording: Recording, key: tuple[str, ...]) -> Voice:
        full = (self._model_key(host), *key)
        known = self._recall(full)
        if known is None and host.synthesizer.model.needs_transcript and not (recording.text or "").strip():
            raise TextError("a recording needs the words that are said in it; send them with it, such as ref_text")
        return known or self._remember(full, host.synthesizer.clone(_clip(recording.audio), recording.text))

    def _recall(self, key: tuple[str, ...]) -> Voice | None:
        with self._lock:
            if key in self._encoded:
                self._encoded.move_to_end(key)
            return self._encoded.get(key)

    def _remember(self, key: tuple[str, ...], voice: Voice) -> Voice:
        with self._lock:
            self._encoded[key] = voice
            while len(self._encoded) > MOST_ENCODED:
                self._encoded.popitem(last=False)
        return voice

    def _model_key(self, host: Host) -> str:
        """Codes are only good for the tokenizer that made them: its name, and what it makes of a known sweep."""
        if host.name not in self._fingerprints:
            rate = host.synthesizer.sample_rate
            time_seconds = np.arange(rate) / rate
            sweep = (0.3 * np.sin(2 * np.pi * (200 + 900 * time_seconds) * time_seconds)).astype(np.float32)
            codes = np.ascontiguousarray(host.synthesizer.model.encode(sweep, rate))
            self._fingerprints[host.name] = hashlib.sha256(codes.tobytes()).hexdigest()[:12]
        return f"{UNSAFE.sub('-', host.name)}-{self._fingerprints[host.name]}"


def _clip(audio: bytes) -> Clip:
    return read_audio(audio, max_seconds=LONGEST_UPLOAD_SECONDS)


def _presets(folder: str | None) -> Iterator[tuple[str, Voice | Recording]]:
    """Voice files, and recordings that have a text of the same name beside them.

    Raises:
        FileMissingError: there is no such folder.
        ConfigError: a recording has no text, or cannot serve; or two files are one voice.
    """
    if folder is None:
        return
    home = Path(folder).expanduser()
    if not home.is_dir():
        raise FileMissingError(home, "folder of presets")
    files: dict[str, Path] = {}
    for path in sorted(home.iterdir()):
        if path.suffix not in (".json", *RECORDING_SUFFIXES):
            continue
        if path.stem in files:
            raise ConfigError(f"'{files[path.stem]}' and '{path.name}' are presets of one name; rename one of them")
        files[path.stem] = path
    for path in files.values():
        if path.suffix == ".json":
            yield path.stem, read_voice(path)
        else:
            words = path.with_suffix(".txt")
            if not words.is_file():
                raise ConfigError(f"'{path}' has no words; write what is said in it into '{words.name}' beside it")
            yield path.stem, _preset(path, words.read_text(encoding="utf-8").strip())


def _preset(path: Path, words: str) -> Recording:
    recording = Recording(path.read_bytes(), words)
    try:
        check_speakable(words)
        given = _clip(recording.audio)
        check_reference(given.samples, given.sample_rate)
    except InputError as error:
        raise ConfigError(f"preset '{path}': {error}") from error
    return recording
