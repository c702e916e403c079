"""`parlando chat`: talk with a text model, by microphone, by a recording or by typing; it answers aloud."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from parlando.cli.hearing import HEARING, QUICK, recogniser_of
from parlando.cli.options import SpeakOptions, command
from parlando.cli.output import check_target
from parlando.cli.sources import CloneOptions, choose_voice
from parlando.core.errors import AudioError, InputError

if TYPE_CHECKING:
    import numpy as np

    from parlando.converse.conversation import Conversation, Exchange, Sink
    from parlando.converse.partner import Partner
    from parlando.converse.stages import FeelingListener
    from parlando.speech import Synthesizer

LISTENING_RATE = 16_000
PIECE_SECONDS = 0.1
AROUSAL = "arousal"


@dataclass(frozen=True, kw_only=True)
class ThinkingOptions(SpeakOptions, CloneOptions):
    """Who hears and who thinks."""

    text_model: Annotated[
        str, typer.Option(help="Who answers: a URL with #model, a folder such as SmolLM2's, or echo.")
    ] = "echo"
    text_model_key: Annotated[
        str | None, typer.Option(envvar="PARLANDO_TEXT_MODEL_KEY", help="The key that its URL asks for.")
    ] = None
    asr: Annotated[str, typer.Option(help=HEARING)] = QUICK
    asr_language: Annotated[str, typer.Option(help="The language that is listened for.")] = "en"


@dataclass(frozen=True, kw_only=True)
class ChatOptions(ThinkingOptions):
    """Options of `parlando chat`."""

    recording: Annotated[
        Path | None, typer.Argument(help="What you say, as a file; without one, the microphone is used.")
    ] = None
    text: Annotated[bool, typer.Option("--text", help="Type what you say, a line a turn, on standard input.")] = False
    feelings: Annotated[
        str | None, typer.Option(help="Who hears how it is said: arousal, or a judge such as emotion2vec.")
    ] = None
    manners: Annotated[
        Path | None, typer.Option(help="TOML file: in which manner to answer which emotion; see docs/conversation.md")
    ] = None
    scenes: Annotated[
        bool, typer.Option("--scenes", help="Tell the manner as a scene, to models that were trained to follow one.")
    ] = False
    system: Annotated[str | None, typer.Option(help="What the text model is told at first.")] = None
    silence: Annotated[float, typer.Option(help="Seconds of silence that end your turn.", min=0.1, max=5.0)] = 0.6


@command(ChatOptions)
def run(options: ChatOptions) -> None:
    """Talk with a text model.

    Without a recording, the microphone is open, and talking over an answer silences it (wear headphones).

    Example: parlando chat question.wav --text-model http://127.0.0.1:8000#model -o answer.wav
    """
    if options.recording is not None and options.text:
        raise InputError("both a recording and --text were given; leave one of them out")
    live = options.recording is None and not options.text
    if not live or options.out is not None:
        check_target(options)
    partner = partner_of(options)
    troubles: list[str] = []
    synthesizer = options.load()
    (_live if live and options.out is None else _recorded)(options, partner, synthesizer, _teller(options, troubles))
    if troubles:
        raise typer.Exit(1)


def partner_of(options: ChatOptions) -> Partner:
    """Ears, mind and manners as the options say; ears only where there is something to hear."""
    from parlando.converse.manner import read_manners
    from parlando.converse.partner import SYSTEM, Partner
    from parlando.converse.text_models import text_model

    return Partner(
        text_model(options.text_model, options.text_model_key),
        None if options.text else recogniser_of(options.asr),
        _feelings(options.feelings),
        read_manners(options.manners),
        system=SYSTEM if options.system is None else options.system,
        language=options.asr_language,
    )


def _feelings(spec: str | None) -> FeelingListener | None:
    from parlando.converse.arousal import ArousalListener
    from parlando.evaluate.judges.registry import emotion_encoder

    if spec is None:
        return None
    return ArousalListener() if spec == AROUSAL else emotion_encoder(spec)


def _conversation(
    options: ChatOptions,
    partner: Partner,
    synthesizer: Synthesizer,
    sink: Sink,
    tell: Callable[[Exchange], None],
) -> Conversation:
    from parlando.converse.conversation import Conversation
    from parlando.converse.speaking import speaker
    from parlando.converse.turns import TurnOptions, TurnTaker

    voice = choose_voice(options, synthesizer, options.ref_text)
    manner = {**options.sampling(), **options.manner(), **options.reading()}
    speak = speaker(synthesizer, voice, manner, options.scenes)
    turns = TurnTaker(LISTENING_RATE, TurnOptions(silence_seconds=options.silence))
    return Conversation(partner, speak, sink, turns, tell)


def _recorded(
    options: ChatOptions, partner: Partner, synthesizer: Synthesizer, tell: Callable[[Exchange], None]
) -> None:
    """Answer a recording or typed lines, turn by turn, into one file or through the loudspeaker."""
    from parlando.audio.play import play
    from parlando.converse.devices import Recording

    sink = Recording(synthesizer.sample_rate)
    conversation = _conversation(options, partner, synthesizer, sink, tell)
    if options.recording is None:
        for line in filter(None, map(str.strip, sys.stdin)):
            conversation.answer(line)
            conversation.wait()
    else:
        for piece in pieces_of(options.recording):
            conversation.hear(piece)
            conversation.wait()
        conversation.finish()
    if not len(sink.samples):
        what = "nothing was typed" if options.text else f"nobody speaks in '{options.recording}'"
        raise AudioError(f"{what}, so there is nothing to answer")
    if options.out is not None:
        from parlando.audio.files import write_audio

        write_audio(options.out, sink.samples, sink.sample_rate, options.format)
    if options.play:
        play(sink.samples, sink.sample_rate)


def _live(options: ChatOptions, partner: Partner, synthesizer: Synthesizer, tell: Callable[[Exchange], None]) -> None:
    from parlando.converse.devices import Loudspeaker, Microphone

    with Loudspeaker(synthesizer.sample_rate) as loudspeaker, Microphone(LISTENING_RATE) as microphone:
        conversation = _conversation(options, partner, synthesizer, loudspeaker, tell)
        typer.echo("listening; Ctrl-C ends", err=True)
        try:
            for samples in microphone:
                conversation.hear(samples)
        except KeyboardInterrupt:
            conversation.interrupt()
            conversation.wait()


def pieces_of(path: Path) -> Iterable[np.ndarray]:
    """A recording as a microphone would hand it out."""
    from parlando.audio.files import read_audio
    from parlando.audio.resample import resample

    clip = read_audio(path)
    samples = resample(clip.samples, clip.sample_rate, LISTENING_RATE)
    size = round(PIECE_SECONDS * LISTENING_RATE)
    return (samples[at : at + size] for at in range(0, len(samples), size))


def _teller(options: ChatOptions, troubles: list[str]) -> Callable[[Exchange], None]:
    def tell(exchange: Exchange) -> None:
        if exchange.trouble:
            troubles.append(exchange.trouble)
            typer.echo(f"parlando: {exchange.trouble}", err=True)
        if not options.quiet:
            felt = f" ({exchange.feeling})" if exchange.feeling else ""
            typer.echo(f"you{felt}: {exchange.question}\nanswer: {exchange.answer}", err=True)

    return tell
