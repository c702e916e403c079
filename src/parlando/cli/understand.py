"""`parlando understand`: what is heard in recordings: words, speakers, events, the place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from parlando.cli.options import command

if TYPE_CHECKING:
    from parlando.models.understanding.listener import Piece


@dataclass(frozen=True, kw_only=True)
class UnderstandOptions:
    """Options of `parlando understand`."""

    files: Annotated[list[Path], typer.Argument(help="Recordings, of any length; long ones are heard in pieces.")]
    model: Annotated[Path, typer.Option(help="Folder of an understanding model (parlando train understanding).")]
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 …; default: the best there is.")] = None
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, a line for each piece.")] = False


@command(UnderstandOptions)
def run(options: UnderstandOptions) -> None:
    """Say what is heard: words, speakers, events, the place.

    Example: parlando understand meeting.wav --model runs/understanding
    """
    from parlando.audio.files import read_audio
    from parlando.models.understanding.build import load_listener

    clips = [(path, read_audio(path)) for path in options.files]
    listener = load_listener(options.model, options.device)
    for path, clip in clips:
        for piece in listener.pieces(clip):
            if options.as_json:
                typer.echo(json.dumps({"file": str(path), **asdict(piece)}, ensure_ascii=False))
            else:
                typer.echo("\n".join(_told(path, piece)))


def _told(path: Path, piece: Piece) -> Iterator[str]:
    answer = piece.answer
    facts = [answer.place, *answer.events, *([answer.emotion] if answer.emotion else [])]
    yield f"{path} {piece.start_seconds:.1f}-{piece.end_seconds:.1f} s: {', '.join(facts)}"
    for number, speaker in enumerate(answer.speakers, 1):
        yield f"  speaker {number}: {speaker.gender}, {speaker.pitch} pitch"
    for turn in answer.turns:
        yield f"  {turn.speaker + 1}: {turn.text}"
