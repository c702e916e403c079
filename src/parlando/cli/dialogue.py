"""`parlando dialogue`: a script with speakers, each in a voice of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from parlando.cli.options import SpeakOptions, command
from parlando.cli.output import check_subtitles, check_target, deliver, with_progress, write_subtitles
from parlando.cli.sources import named_voice, read_standard_input, read_text_file
from parlando.core.errors import InputError

if TYPE_CHECKING:
    from parlando.request import Request
    from parlando.result import Chunk
    from parlando.speech import Synthesizer


class Line(NamedTuple):
    """Who says what."""

    speaker: str
    text: str


@dataclass(frozen=True, kw_only=True)
class DialogueOptions(SpeakOptions):
    """Options of `parlando dialogue`."""

    script: Annotated[
        Path,
        typer.Argument(
            help="A text file with lines such as 'Anna: Hello.' or '[SPEAKER0] Hello.'; - reads standard input."
        ),
    ]
    cast: Annotated[
        str | None, typer.Option(help="Voices of speakers, by name or file: Anna=slt,Bob=me.json; see: parlando voices")
    ] = None
    pause: Annotated[float, typer.Option(help="Seconds of silence between two turns.", min=0.0, max=60.0)] = 0.3


@command(DialogueOptions)
def run(options: DialogueOptions) -> None:
    """Speak a script, each speaker in a voice of their own.

    Example: parlando dialogue script.txt -o out.wav --cast Anna=slt,Bob=rms
    """
    from parlando.result import join
    from parlando.text.tags import parse_script

    check_target(options)
    check_subtitles(options.subtitles)
    turns = [Line(turn.speaker or "", turn.text) for turn in parse_script(_read_script(options.script))]
    synthesizer = options.load()
    voices = assign(turns, parse_cast(options.cast), list(synthesizer.voices), synthesizer.model.default_voice)
    requests = make_requests(synthesizer, voices, options)
    seed = next(iter(requests.values())).seed
    text = "\n".join(turn.text for turn in turns)
    chunks = with_progress(spoken(synthesizer, turns, requests, options.pause), len(text), options.quiet)
    reading = next(iter(requests.values())).reading
    speech = join(chunks, text=text, voice=", ".join(dict.fromkeys(voices.values())), seed=seed, reading=reading)
    deliver(speech, options)
    if options.subtitles is not None:
        begins = accumulate((len(turn.text) + 1 for turn in turns), initial=0)
        speakers = [(begin, turn.speaker) for begin, turn in zip(begins, turns, strict=False)]
        write_subtitles(options.subtitles, speech, speakers)


def _read_script(path: Path) -> str:
    return read_standard_input() if str(path) == "-" else read_text_file(path)


def parse_cast(cast: str | None) -> dict[str, str]:
    """Speakers and voices from ``A=slt,B=rms``.

    Raises:
        InputError: an entry is not ``speaker=voice``.
    """
    entries = [entry.strip() for entry in (cast or "").split(",") if entry.strip()]
    pairs = [entry.partition("=") for entry in entries]
    for entry, (speaker, _, voice) in zip(entries, pairs, strict=True):
        if not speaker.strip() or not voice.strip():
            raise InputError(f"--cast: '{entry}' is not speaker=voice; write for example --cast Anna=slt,Bob=rms")
    return {speaker.strip(): voice.strip() for speaker, _, voice in pairs}


def assign(turns: Sequence[Line], cast: Mapping[str, str], voices: Sequence[str], default: str) -> dict[str, str]:
    """A voice for every speaker: the cast's, the one of the speaker's own name, else one that nobody has yet.

    Raises:
        InputError: the cast names a speaker that the script does not have.
    """
    speakers = list(dict.fromkeys(turn.speaker for turn in turns))
    unknown = [speaker for speaker in cast if speaker not in speakers]
    if unknown:
        raise InputError(f"--cast: the script has no speaker '{unknown[0]}'; it has: {', '.join(speakers)}")
    named = {speaker: cast.get(speaker, speaker) for speaker in speakers if speaker in cast or speaker in voices}
    ordered = [default, *(voice for voice in voices if voice != default)]
    free = [voice for voice in ordered if voice not in named.values()]
    chosen: dict[str, str] = {}
    for speaker in speakers:
        if speaker in named:
            chosen[speaker] = named[speaker]
        else:
            chosen[speaker] = free.pop(0) if free else ordered[len(chosen) % len(ordered)]
    return chosen


def make_requests(synthesizer: Synthesizer, voices: Mapping[str, str], options: DialogueOptions) -> dict[str, Request]:
    """A request for every speaker, all of one seed; voices and options are checked before anybody speaks."""
    from parlando.request import WHOLE_SENTENCES

    chosen = {**options.sampling(), **options.manner(), **options.reading()}
    requests: dict[str, Request] = {}
    for speaker, voice in voices.items():
        requests[speaker] = synthesizer.request(named_voice(voice), schedule=WHOLE_SENTENCES, **chosen)
        chosen["seed"] = requests[speaker].seed
    return requests


def spoken(
    synthesizer: Synthesizer, turns: Sequence[Line], requests: Mapping[str, Request], pause_seconds: float
) -> Iterator[Chunk]:
    """The turns one after the other, with a pause between two."""
    from parlando.request import derived_seed

    for index, turn in enumerate(turns):
        if index and pause_seconds > 0:
            yield synthesizer.pause(pause_seconds)
        request = requests[turn.speaker]
        yield from synthesizer.run(turn.text, replace(request, seed=derived_seed(request.seed, index, 1)))
