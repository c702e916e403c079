"""`parlando convert`: what a recording says, as it says it, in another voice."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from parlando.cli.options import StreamOptions, command
from parlando.cli.output import check_target, deliver, with_seconds
from parlando.cli.say import sent_out
from parlando.cli.sources import VoiceOptions, choose_voice


@dataclass(frozen=True, kw_only=True)
class ConvertOptions(StreamOptions, VoiceOptions):
    """Options of `parlando convert`."""

    source: Annotated[Path, typer.Argument(help="The recording to convert; any length.")]


@command(ConvertOptions)
def run(options: ConvertOptions) -> None:
    """Say in another voice what a recording says.

    It takes a model that can, one of the CosyVoice family.

    Example: parlando convert me.wav --model cosyvoice-mini --ref-audio you.wav -o out.wav
    """
    check_target(options, streams=options.stream)
    from parlando.audio.files import read_audio

    clip = read_audio(options.source)
    synthesizer = options.load()
    voice = choose_voice(options, synthesizer)
    from parlando.request import GROWING, WHOLE_SENTENCES
    from parlando.result import join

    schedule, speed = GROWING if options.stream else WHOLE_SENTENCES, options.speed or 1.0
    chunks = synthesizer.stream_conversion(clip, voice, speed, schedule)
    chunks = with_seconds(chunks, clip.duration_seconds / speed, options.quiet)
    if options.stream:
        chunks = sent_out(chunks, options.format or "wav")
    name = voice or synthesizer.model.default_voice
    deliver(join(chunks, voice=name if isinstance(name, str) else name.name), options, options.stream, seeded=False)
