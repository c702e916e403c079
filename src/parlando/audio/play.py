"""Playing audio through whichever command-line player the machine has."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from parlando.audio.containers import open_encoder
from parlando.audio.files import write_audio
from parlando.core.errors import AudioError, MissingDependencyError


@dataclass(frozen=True)
class Player:
    """A program and its arguments; one that ``streams`` reads WAV from standard input, the others take a file name."""

    program: str
    arguments: tuple[str, ...] = ()
    streams: bool = True


PLAYERS = (
    Player("ffplay", ("-nodisp", "-autoexit", "-loglevel", "error", "-i", "pipe:0")),
    Player("aplay", ("-q", "-t", "wav", "-")),
    Player("paplay", streams=False),
    Player("afplay", streams=False),
)


def find_player() -> Player:
    """The first known player on the search path.

    Raises:
        MissingDependencyError: there is none.
    """
    for player in PLAYERS:
        if shutil.which(player.program):
            return player
    names = ", ".join(player.program for player in PLAYERS)
    raise MissingDependencyError(f"a sound player (one of {names})", "apt install ffmpeg")


def play(audio: np.ndarray | Iterable[np.ndarray], sample_rate: int) -> None:
    """Play samples (float32 [n]), or pieces of them as they come, and wait until it is over.

    Raises:
        MissingDependencyError: no player is installed.
        AudioError: the player failed; the message holds what it said.
    """
    player = find_player()
    pieces = [audio] if isinstance(audio, np.ndarray) else audio
    (_play_stream if player.streams else _play_file)(player, pieces, sample_rate)


def _play_stream(player: Player, pieces: Iterable[np.ndarray], sample_rate: int) -> None:
    with tempfile.TemporaryFile() as complaint:
        process = subprocess.Popen(
            [player.program, *player.arguments], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=complaint
        )
        # A player that has gone breaks the pipe; its exit status says whether that was a failure.
        with suppress(BrokenPipeError), process:
            _send(process, pieces, sample_rate)
        complaint.seek(0)
        _check_status(player, process.returncode, complaint.read())


def _send(process: subprocess.Popen[bytes], pieces: Iterable[np.ndarray], sample_rate: int) -> None:
    assert process.stdin is not None
    encoder = open_encoder("wav", sample_rate)
    try:
        for piece in pieces:
            process.stdin.write(encoder.feed(piece))
            process.stdin.flush()
        process.stdin.write(encoder.close())
    except BrokenPipeError:
        raise
    except BaseException:
        process.kill()
        raise


def _play_file(player: Player, pieces: Iterable[np.ndarray], sample_rate: int) -> None:
    with tempfile.TemporaryDirectory(prefix="parlando-") as folder:
        path = Path(folder) / "speech.wav"
        write_audio(path, np.concatenate(list(pieces)), sample_rate)
        done = subprocess.run([player.program, *player.arguments, str(path)], capture_output=True, check=False)
    _check_status(player, done.returncode, done.stderr)


def _check_status(player: Player, status: int, complaint: bytes) -> None:
    if status:
        said = complaint.decode(errors="replace").strip() or f"exit status {status}"
        raise AudioError(f"{player.program} could not play this: {said}; save it to a file instead")
