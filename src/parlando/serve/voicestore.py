"""Uploaded voices on disk: ``folder/[@owner/]name/version/`` holds a recording, its card, and codes by model."""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
import shutil
import threading
import time
import unicodedata
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from parlando.audio.clip import Clip
from parlando.audio.files import write_audio
from parlando.core.config import from_mapping, read_json
from parlando.core.errors import (
    ConfigError,
    InputError,
    NotYoursError,
    ParlandoError,
    TooLargeError,
    VoiceNotFoundError,
)
from parlando.core.types import Voice
from parlando.core.voicefile import read_voice, write_voice

log = logging.getLogger("parlando.serve")
# A folder's name has at most 255 bytes.
LONGEST_NAME, MOST_NAME_BYTES = 64, 255
VERSION = re.compile(r"[1-9][0-9]{0,5}")
PARTIAL, OWNED = ".partial", "@"


@dataclass(frozen=True)
class VoiceCard:
    """What is known of an uploaded voice. ``created_at`` is in seconds since 1970, ``sha256`` of the recording.

    ``owner`` is the name of the key that made it; without one it is the server's, and everybody's to use.
    """

    name: str
    version: int
    text: str
    consent: str
    sha256: str
    seconds: float
    created_at: float
    language: str = "en"
    description: str | None = None
    owner: str | None = None


class VoiceStore:
    """The folder of uploaded voices. Each upload under a name is a new version; the newest is used.

    Raises:
        ConfigError: it is a file, or one of its cards is wrong.
    """

    def __init__(self, folder: Path, most_voices: int) -> None:
        if folder.exists() and not folder.is_dir():
            raise ConfigError(f"serve.voice_folder: '{folder}' is not a folder; give one to keep voices in")
        self.folder, self._most_voices = folder, most_voices
        self._lock = threading.Lock()
        self._stamp, self._read = self._changed_at(), self._read_cards()

    @property
    def _cards(self) -> dict[tuple[str | None, str], VoiceCard]:
        """All voices; read again when another server with the same folder has changed it."""
        if self._changed_at() != self._stamp:
            self._read_again()
        return self._read

    def _changed_at(self) -> int:
        return self.folder.stat().st_mtime_ns if self.folder.is_dir() else 0

    def _read_again(self) -> None:
        self._stamp = self._changed_at()
        try:
            self._read = self._read_cards()
        except (OSError, ParlandoError) as error:
            log.warning("the voices in '%s' are not read again: %s", self.folder, error)

    def _note_change(self) -> None:
        """Tell servers with the same folder, which look at its time alone; one of them may have changed it, too."""
        now = time.time_ns()
        os.utime(self.folder, ns=(now, now))
        self._read_again()

    def cards(self, owner: str | None) -> dict[str, VoiceCard]:
        """The newest version of every voice that an owner may use, by name: their own, and the server's.

        Without an owner, whoever runs the server asks, and all are theirs.
        """
        known = self._cards
        order = sorted(known, key=lambda key: (key[0] == owner, key[0] is None, key))
        return {name: known[of, name] for of, name in order if owner is None or of in (owner, None)}

    def shared(self) -> dict[str, VoiceCard]:
        """The newest version of every voice that is the server's, by name."""
        return {name: card for (owner, name), card in self._cards.items() if owner is None}

    def card(self, name: str, owner: str | None) -> VoiceCard | None:
        """The newest version of a voice that an owner may use, if there is one."""
        return self.cards(owner).get(unicodedata.normalize("NFC", name))

    def add(self, card: VoiceCard, clip: Clip) -> VoiceCard:
        """Keep a voice; it is there whole or not at all. Returns its card with the version it got.

        Raises:
            InputError: the name has other characters than letters, digits, dash and underscore.
            TooLargeError: there are as many voices as allowed.
        """
        key = (card.owner, check_name(card.name))
        with self._lock:
            if key not in self._cards and len(self._cards) >= self._most_voices:
                raise TooLargeError(f"there are {self._most_voices} voices already; delete one first")
            newest = self._cards.get(key)
            kept = replace(card, name=key[1], version=1 if newest is None else newest.version + 1)
            home = self._home(kept)
            # Another server that shares the folder may keep the same voice just now.
            partial = home.parent / f"{PARTIAL}-{secrets.token_hex(4)}"
            try:
                partial.mkdir(parents=True)
                write_audio(partial / "recording.flac", clip.samples, clip.sample_rate)
                card_text = json.dumps(asdict(kept), ensure_ascii=False, indent=1)
                (partial / "voice.json").write_text(card_text + "\n", encoding="utf-8")
                partial.replace(home)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
            self._read[key] = kept
            self._note_change()
            return kept

    def remove(self, name: str, owner: str | None) -> VoiceCard:
        """Forget a voice with all its versions, files included.

        Raises:
            VoiceNotFoundError: the owner may use no such uploaded voice.
            NotYoursError: they may use it, and it is not theirs.
        """
        with self._lock:
            card = self.card(name, owner)
            if card is None:
                raise VoiceNotFoundError(name[:80], self.cards(owner))
            if owner is not None and card.owner != owner:
                raise NotYoursError(f"'{card.name}' is the server's voice; only whoever runs the server may delete it")
            del self._read[card.owner, card.name]
            shutil.rmtree(self._home(card).parent)
            self._note_change()
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
            if self._cards.get((card.owner, card.name)) == card:
                write_voice(self._home(card) / f"{model}.codes.json", voice)

    def _home(self, card: VoiceCard) -> Path:
        shelf = self.folder if card.owner is None else self.folder / f"{OWNED}{card.owner}"
        return shelf / card.name / str(card.version)

    def _read_cards(self) -> dict[tuple[str | None, str], VoiceCard]:
        shelves = [(None, self.folder), *((path.name[1:], path) for path in _folders(self.folder, OWNED))]
        cards = [_newest(home, owner) for owner, shelf in shelves for home in _folders(shelf)]
        return {(card.owner, card.name): card for card in cards if card is not None}


def _folders(folder: Path, start: str = "") -> Iterator[Path]:
    """The folders in one whose names begin so; without a beginning, those whose names a voice may have."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.is_dir() and (path.name.startswith(start) if start else is_name(path.name)):
            yield path


def _newest(home: Path, owner: str | None) -> VoiceCard | None:
    versions = [int(path.name) for path in home.iterdir() if VERSION.fullmatch(path.name)]
    if not versions:
        return None
    path = home / str(max(versions)) / "voice.json"
    card = from_mapping(VoiceCard, read_json(path), str(path))
    # Some file systems take letters apart.
    name = unicodedata.normalize("NFC", home.name)
    if (card.name, card.version, card.owner) != (name, max(versions), owner):
        raise ConfigError(f"{path}: it describes '{card.name}', version {card.version}; put it back where it belongs")
    return card


def is_name(name: str) -> bool:
    """Whether a voice may have the name: letters, marks on them and digits of any script, dashes and underscores."""
    composed = unicodedata.normalize("NFC", name)
    kinds = [unicodedata.category(each) for each in composed]
    return (
        0 < len(composed) <= LONGEST_NAME
        and len(composed.encode("utf-8", "replace")) <= MOST_NAME_BYTES
        and (kinds[0][0] == "L" or kinds[0] == "Nd")
        and all(kind[0] in "LM" or kind == "Nd" or each in "-_" for each, kind in zip(composed, kinds, strict=True))
    )


def check_name(name: str) -> str:
    """The name, its letters composed (NFC), if a voice and a folder may have it.

    Raises:
        InputError: they may not.
    """
    if not is_name(name):
        raise InputError(
            f"{name[:80]!r} cannot name a voice; use up to {LONGEST_NAME} letters, digits, dashes and underscores, "
            "the first a letter or a digit"
        )
    return unicodedata.normalize("NFC", name)
