"""Whose voice a request asks for: the model's, an uploaded one, a preset, or a recording in the request itself."""

from __future__ import annotations

import hashlib
import re
import threading
import time
import unicodedata
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from parlando.serve.names import check_free, checked, fitting_voices, prompt_voices
from parlando.serve.recognise import open_recogniser
from parlando.serve.voicestore import VoiceCard, VoiceStore, check_name
from parlando.text.normalize import check_speakable
from parlando.text.reading import AUTOMATIC, Reading

MOST_ENCODED = 256
UNSAFE = re.compile(r"[^A-Za-z0-9_-]")
RECORDING_SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".opus")
LONGEST_UPLOAD_SECONDS = 60.0
ADMIN = "admin"
"""The key of whoever runs the server: what it makes is the server's, and all voices are its to use and delete."""


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
    display_name: str | None = None


WantedVoice = str | Voice | VoiceCard | Recording | None
"""A name, a voice itself, an uploaded one's card, a recording to follow, or the model's default."""


class VoiceRegistry:
    """All voices of a server. `resolve` is quick; `voice` may encode, and belongs into a thread.

    A ``caller`` is the name of an API key, or whatever on a server without keys, where all voices are everybody's.
    """

    def __init__(self, config: ServeConfig) -> None:
        self._config = config
        self.store = VoiceStore(Path(config.voice_folder).expanduser(), config.limits.max_voices)
        self._presets = dict(_presets(config.preset_folder))
        self._encoded: OrderedDict[tuple[str, ...], Voice] = OrderedDict()
        self._lock = threading.Lock()
        self._fingerprints: dict[str, str] = {}
        self._own_by_model: dict[str, Mapping[str, Voice]] = {}
        self._aliases_by_model: dict[str, Mapping[str, str]] = {}
        self._taken: frozenset[str] = frozenset()
        self.recogniser = None if config.recogniser is None else open_recogniser(config.recogniser)

    def resolve(self, host: Host, name: str, caller: str = "") -> str:
        """The name of the voice that answers to a name; errors as for `chosen`."""
        found = self.chosen(host, name, caller)
        return found if isinstance(found, str) else found.name

    def chosen(self, host: Host, name: str, caller: str = "") -> str | VoiceCard:
        """The voice that answers to a name: the model's own or a preset, who stands for it, or an uploaded one.

        Raises:
            VoiceNotFoundError: there is none that the caller may use.
        """
        name, own, owner = _composed(name), self._own(host), self._owner(caller)
        if name in own:
            return name
        # Who stands for a name is the same for everybody: nobody's key may put its own voice there.
        stands_for = self._aliases(host).get(name)
        if stands_for in own:
            return str(stands_for)
        card = self.store.card(name, owner) if stands_for is None else self.store.shared().get(stands_for)
        if card is not None:
            return card
        prompt_voice = self._prompt_voices(host).get(name.casefold())
        if prompt_voice in own:
            return str(prompt_voice)
        raise VoiceNotFoundError(name[:80], {**own, **self.store.cards(self._owner(caller))})

    def is_fixed(self, host: Host, name: str) -> bool:
        """Whether a name means somebody whom nobody uploaded: the model's own, a preset, or who stands for one."""
        return _composed(name) in {**self._own(host), **self._aliases(host)}

    def remove(self, host: Host, name: str, caller: str) -> VoiceCard:
        """Forget an uploaded voice of the caller's with all its versions and files; blocks.

        Raises:
            InputError: nobody uploaded it.
            VoiceNotFoundError: there is none that the caller may use.
            NotYoursError: it is the server's.
        """
        owner = self._owner(caller)
        if self.store.card(name, owner) is None and self.is_fixed(host, name):
            raise InputError(f"'{name}' was not uploaded, so it cannot be deleted here")
        return self.store.remove(name, owner)

    def is_prompt_voice(self, host: Host, name: str, caller: str) -> bool:
        """Whether a caller knows a name only as one of Higgs' own server, for which another voice stands."""
        known = self.is_fixed(host, name) or self.store.card(name, self._owner(caller)) is not None
        return not known and name.casefold() in self._prompt_voices(host)

    def checked(self, host: Host, voice: WantedVoice, caller: str) -> WantedVoice:
        """A voice as `voice` takes it, names looked up for a caller; quick.

        Raises:
            VoiceNotFoundError: there is none of that name that the caller may use.
            InputError: none was named, and the model has none of its own.
        """
        if isinstance(voice, str):
            return self.chosen(host, voice, caller)
        if voice is None and not host.synthesizer.model.default_voice:
            names = ", ".join({**self._own(host), **self.store.cards(self._owner(caller))})
            named = f", or name one of these as voice: {names}" if names else ""
            raise InputError(
                f"model '{host.name}' has no voice of its own; send a recording of one as ref_audio, "
                f"with its words as ref_text{named}"
            )
        return voice

    def check_config(self, hosts: Sequence[Host]) -> None:
        """Whether every configured name leads to a voice of the first model, and presets have names of their own.

        Names that mean somebody for one of the models are taken for all.

        Raises:
            ConfigError: one does not.
        """
        for host in hosts:
            for name in sorted({*self._presets} & {*host.synthesizer.voices}):
                raise ConfigError(f"preset '{name}': '{host.name}' has a voice of that name; rename the preset")
        checked(self._config.voices, {**self._own(hosts[0]), **self.store.shared()}, "voices")
        self._taken = frozenset(name for host in hosts for name in (*self._own(host), *self._aliases(host)))

    def listed(self, host: Host, caller: str = "") -> list[Listed]:
        """All of them that a caller may use, the other names last."""
        model = host.synthesizer.voices
        found = [
            Listed(name, "model", voice.language, voice.description, display_name=voice.display_name)
            for name, voice in model.items()
        ]
        found += [Listed(name, "preset") for name in self._presets if name not in model]
        cards = self.store.cards(self._owner(caller)).items()
        found += [
            Listed(name, "uploaded", card.language, card.description, card)
            for name, card in cards
            if not self.is_fixed(host, name)
        ]
        taken = {each.name for each in found}
        names = self._aliases(host).items()
        return found + [Listed(name, "alias", stands_for=target) for name, target in names if name not in taken]

    def find(self, host: Host, name: str, caller: str = "") -> Listed:
        """The one of them that has a name.

        Raises:
            VoiceNotFoundError: there is none that the caller may use.
        """
        found = {each.name: each for each in self.listed(host, caller)}
        if _composed(name) not in found:
            raise VoiceNotFoundError(name[:80], found)
        return found[_composed(name)]

    def voice(self, host: Host, voice: WantedVoice) -> Voice:
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
        if voice is None:
            return host.synthesizer.voices[host.synthesizer.model.default_voice]
        found = self.chosen(host, voice) if isinstance(voice, str) else voice
        return self._stored(host, found) if isinstance(found, VoiceCard) else self._fixed(host, found)

    def add(
        self,
        host: Host,
        recording: Recording,
        card: VoiceCard,
        caller: str = "",
        warn: Callable[[str], None] = lambda warning: None,
    ) -> VoiceCard:
        """Check, encode and keep an uploaded voice, which is the caller's; blocks. ``warn`` is told what may be wrong.

        Raises:
            InputError: the name cannot be used, or means somebody else.
            AudioError: the recording cannot serve.
            TextError: nobody is named who consented, or the words are missing.
            ConfigError: nothing is read out in the language.
        """
        card = replace(card, name=check_name(card.name), owner=self._owner(caller))
        check_free(card.name, self._taken)
        if not card.consent.strip():
            raise TextError("consent: say who allowed this voice to be used, such as the speaker's name")
        if card.text:
            check_speakable(card.text)
        Reading(card.language)
        given = _clip(recording.audio)
        clip = check_reference(given.samples, given.sample_rate).clip
        card = replace(card, text=self._words(host, clip, card.text, card.language))
        voice = replace(host.synthesizer.clone(clip, card.text, card.name), language=card.language)
        if voice.warning:
            warn(voice.warning)
        seconds = round(clip.duration_seconds, 3)
        kept = self.store.add(
            replace(card, sha256=recording.sha256, seconds=seconds, created_at=round(time.time(), 3)), clip
        )
        self.store.write_codes(kept, self._model_key(host), voice)
        return kept

    def _owner(self, caller: str) -> str | None:
        """Whose voices a caller makes, and with the server's may use; None where all are theirs."""
        return None if self._config.api_keys is None or caller == ADMIN else caller

    def _own(self, host: Host) -> Mapping[str, Voice]:
        """The voices that nobody uploaded: presets, and the model's, which keep their names."""
        if host.name not in self._own_by_model:
            presets = {name: each if isinstance(each, Voice) else Voice(name) for name, each in self._presets.items()}
            self._own_by_model[host.name] = {**presets, **host.synthesizer.voices}
        return self._own_by_model[host.name]

    def _aliases(self, host: Host) -> Mapping[str, str]:
        if host.name not in self._aliases_by_model:
            fitting = fitting_voices(host.synthesizer.voices or self._own(host))
            self._aliases_by_model[host.name] = {
                **fitting,
                **{_composed(name): target for name, target in self._config.voices.items()},
            }
        return self._aliases_by_model[host.name]

    def _prompt_voices(self, host: Host) -> Mapping[str, str]:
        return prompt_voices(host.synthesizer.voices or self._own(host))

    def _fixed(self, host: Host, name: str) -> Voice:
        preset = self._presets.get(name)
        if isinstance(preset, Recording) and name not in host.synthesizer.voices:
            return replace(self._remembered(host, preset, ("preset", name)), name=name)
        return self._own(host)[name]

    def _stored(self, host: Host, card: VoiceCard) -> Voice:
        key = ("stored", self._model_key(host), repr(card.owner), card.name, str(card.version), card.sha256)
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
        if known is not None:
            return known
        clip, words = _clip(recording.audio), recording.text
        if host.synthesizer.model.needs_transcript:
            words = self._words(host, clip, words or "", AUTOMATIC)
        return self._remember(full, host.synthesizer.clone(clip, words))

    def _words(self, host: Host, clip: Clip, given: str, language: str) -> str:
        """What is said in a recording: as it was told, else as it is recognised, else nothing if the model can do so.

        Raises:
            TextError: the model cannot.
        """
        heard = "" if given.strip() or self.recogniser is None else self.recogniser.hear(clip, language)
        if not (given.strip() or heard) and host.synthesizer.model.needs_transcript:
            missed = "none could be recognised" if self.recogniser else "no recogniser runs on this server"
            raise TextError(
                f"model '{host.name}' needs the words that are said in the recording, and {missed}; send them with it "
                "(as text, ref_text or prompt_text), or serve a model that clones without words, such as cosyvoice-mini"
            )
        return given.strip() or heard

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


def _composed(name: str) -> str:
    """A name with its letters in one piece each (NFC), as names are kept."""
    return unicodedata.normalize("NFC", name)


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
        name = _composed(path.stem)
        if name in files:
            raise ConfigError(f"'{files[name]}' and '{path.name}' are presets of one name; rename one of them")
        files[name] = path
    for name, path in files.items():
        if path.suffix == ".json":
            yield name, read_voice(path)
        else:
            words = path.with_suffix(".txt")
            if not words.is_file():
                raise ConfigError(f"'{path}' has no words; write what is said in it into '{words.name}' beside it")
            yield name, _preset(path, words.read_text(encoding="utf-8").strip())


def _preset(path: Path, words: str) -> Recording:
    recording = Recording(path.read_bytes(), words)
    try:
        check_speakable(words)
        given = _clip(recording.audio)
        check_reference(given.samples, given.sample_rate)
    except InputError as error:
        raise ConfigError(f"preset '{path}': {error}") from error
    return recording
