"""Uploaded voices on disk: ``folder/name/version/`` holds a recording, its card, and codes by model."""

from __future__ import annotations

import json
import re
import shutil
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

from parlando.audio.clip import Clip
from parlando.audio.files import write_audio
from parlando.core.config import from_mapping, read_json
from parlando.core.errors import ConfigError, InputError, TooLargeError, VoiceNotFoundError
from parlando.core.types import Voice
from parlando.core.voicefile import read_voice, write_voice

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
VERSION = re.compile(r"[1-9][0-9]{0,5}")
PARTIAL = ".partial"


@dataclass(frozen=True)
class VoiceCard:
    """What is known of an uploaded voice. ``created_at`` is in seconds since 1970, ``sha256`` of the recording."""

    name: str
    version: int
    text: str
    consent: str
    sha256: str
    seconds: float
    created_at: float
    language: str = "en"
    description: str | None = None


class VoiceStore:
    """The folder of uploaded voices. Each upload under a name is a new version; the newest is used."""

    def __init__(self, folder: Path, most_voices: int) -> None:
        self.folder, self._most_voices = folder, most_voices
        self._lock = threading.Lock()
        self._cards = self._read_cards()

    @property
    def cards(self) -> dict[str, VoiceCard]:
        """The newest version of every voice, by name."""
        return dict(self._cards)

    def card(self, name: str) -> VoiceCard | None:
        """The newest version of a voice, if there is one."""
        return self._cards.get(name)

    def add(self, card: VoiceCard, clip: Clip) -> VoiceCard:
        """Keep a voice; it is there whole or not at all. Returns its card with the version it got.

        Raises:
            InputError: the name has other characters than letters, digits, dash and underscore.
            TooLargeError: there are as many voices as allowed.
        """
        check_name(card.name)
        with self._lock:
            if card.name not in self._cards and len(self._cards) >= self._most_voices:
                raise TooLargeError(f"there are {self._most_voices} voices already; delete one first")
            newest = self._cards.get(card.name)
            kept = VoiceCard(**{**asdict(card), "version": 1 if newest is None else newest.version + 1})
            home = self.folder / kept.name / str(kept.version)
            partial = self.folder / kept.name / PARTIAL
            shutil.rmtree(partial, ignore_errors=True)
            try:
                partial.mkdir(parents=True)
                write_audio(partial / "recording.flac", clip.samples, clip.sample_rate)
                card_text = json.dumps(asdict(kept), ensure_ascii=False, indent=1)
                (partial / "voice.json").write_text(card_text + "\n", encoding="utf-8")
                partial.replace(home)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
            self._cards[kept.name] = kept
            return kept

    def remove(self, name: str) -> VoiceCard:
        """Forget a voice with all its versions, files included.

        Raises:
            VoiceNotFoundError: there is no such uploaded voice.
        """
        with self._lock:
            if name not in self._cards:
                raise VoiceNotFoundError(name, self._cards)
            card = self._cards.pop(name)
            shutil.rmtree(self.folder / name)
            return card

    def recording(self, card: VoiceCard) -> Path:
        """The file of a voice's recording."""
        return self._home(card) / "recording.flac"

    def read_codes(self, card: VoiceCard, model: str) -> Voice | None:
        """The voice as a model encoded it before, if it did."""
        path = self._home(card) / f"{model}.codes.json"
        return read_voice(path) if path.is_file() else None

    def write_codes(self, card: VoiceCard, model: str, voice: Voice) -> None:
        """Keep what a model encoded, unless the voice has been deleted meanwhile."""
        with self._lock:
            if self._cards.get(card.name) == card:
                write_voice(self._home(card) / f"{model}.codes.json", voice)

    def _home(self, card: VoiceCard) -> Path:
        return self.folder / card.name / str(card.version)

    def _read_cards(self) -> dict[str, VoiceCard]:
        homes = sorted(self.folder.iterdir()) if self.folder.is_dir() else []
        cards = {home.name: _newest(home) for home in homes if home.is_dir() and NAME.fullmatch(home.name)}
        return {name: card for name, card in cards.items() if card is not None}


def _newest(home: Path) -> VoiceCard | None:
    versions = [int(path.name) for path in home.iterdir() if VERSION.fullmatch(path.name)]
    if not versions:
        return None
    path = home / str(max(versions)) / "voice.json"
    card = from_mapping(VoiceCard, read_json(path), str(path))
    if (card.name, card.version) != (home.name, max(versions)):
        raise ConfigError(f"{path}: it describes '{card.name}', version {card.version}; put it back where it belongs")
    return card


def check_name(name: str) -> str:
    """A name that can be a folder's.

    Raises:
        InputError: it cannot.
    """
    if not NAME.fullmatch(name):
        raise InputError(
            f"{name[:80]!r} cannot name a voice; use up to 64 letters, digits, dashes and underscores, "
            "the first a letter or a digit"
        )
    return name
