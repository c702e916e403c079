"""Where spoken audio goes: a file, the loudspeaker, standard output; and the few words said about it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from parlando.cli.options import OutputOptions
from parlando.core.descriptors import STDOUT, descriptor_of
from parlando.core.errors import ConfigError, FileMissingError, InputError

if TYPE_CHECKING:
    from parlando.result import Chunk, Speech

PROGRESS_AFTER_SECONDS = 2.0
SUBTITLES = (".srt", ".vtt")


def check_target(options: OutputOptions, streams: bool = False) -> None:
    """Refuse, before any work, a request whose result would have nowhere to go.

    Raises:
        InputError: no file, no player and no stream was asked for, the file is a folder, or audio would go to a
            terminal, or twice to standard output.
        FileMissingError: the file's folder is not there.
        ConfigError: the file's format is not known.
    """
    from parlando.audio.containers import STREAM_FORMATS
    from parlando.audio.formats import FILE_FORMATS, find_format, format_of

    if options.out is None and not options.play and not streams:
        raise InputError("nowhere to put the speech; give -o FILE, --play or --stream")
    if streams and to_standard_output(options.out):
        raise InputError(f"--stream and -o {options.out} both send audio to standard output; leave one of them out")
    if (streams or to_standard_output(options.out)) and sys.stdout.isatty():
        what = "--stream" if streams else f"-o {options.out}"
        raise InputError(f"{what} sends audio to standard output, and that is a terminal; pipe it or redirect it")
    if options.format is not None:
        find_format(options.format, STREAM_FORMATS if streams else FILE_FORMATS)
    if options.out is None or to_standard_output(options.out):
        return
    if options.out.is_dir():
        raise InputError(f"'{options.out}' is a folder; name a file in it, such as {options.out / 'speech.wav'}")
    if not options.out.parent.is_dir():
        raise FileMissingError(options.out.parent, "folder")
    if options.format is None or streams:
        format_of(options.out)


def to_standard_output(path: Path | None) -> bool:
    """Whether a path means standard output, which is written to as it is, whatever it leads to."""
    return path is not None and (str(path) == "-" or descriptor_of(path) == STDOUT)


def write_out(block: bytes) -> None:
    """Bytes to standard output, at once; a reader who leaves ends the work.

    Raises:
        typer.Exit: nobody listens any more.
    """
    import typer

    try:
        sys.stdout.buffer.write(block)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        close_stdout()
        raise typer.Exit from None


def close_stdout() -> None:
    """Nobody listens any more: what is left in the buffer must not fail again when the interpreter flushes it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def with_progress(chunks: Iterable[Chunk], characters: int, quiet: bool) -> Iterator[Chunk]:
    """Pass chunks through, with a bar of finished text on a terminal once it takes longer than two seconds."""
    return _counted(chunks, characters, "char", lambda chunk: len(chunk.text) if chunk.report is not None else 0, quiet)


def with_seconds(chunks: Iterable[Chunk], seconds: float, quiet: bool) -> Iterator[Chunk]:
    """The same, with a bar of finished audio, of which ``seconds`` are to come."""
    return _counted(chunks, seconds, "s", lambda chunk: chunk.duration_seconds, quiet)


def _counted(
    chunks: Iterable[Chunk], total: float, unit: str, measure: Callable[[Chunk], float], quiet: bool
) -> Iterator[Chunk]:
    from tqdm import tqdm

    hidden = quiet or not sys.stderr.isatty()
    with tqdm(
        total=total, unit=unit, delay=PROGRESS_AFTER_SECONDS, disable=hidden, leave=False, file=sys.stderr
    ) as bar:
        for chunk in chunks:
            bar.update(min(measure(chunk), total - bar.n))
            yield chunk


@contextmanager
def share_done() -> Iterator[Callable[[float], object]]:
    """A function to tell the share of a work that is done (0 to 1) to: a bar on a terminal, after two seconds."""
    from tqdm import tqdm

    with tqdm(
        total=1.0,
        bar_format="{percentage:3.0f}%|{bar}| {elapsed}<{remaining}",
        delay=PROGRESS_AFTER_SECONDS,
        miniters=0,
        disable=not sys.stderr.isatty(),
        leave=False,
        file=sys.stderr,
    ) as bar:
        yield lambda share: bar.update(share - bar.n)


def deliver(speech: Speech, options: OutputOptions, streams: bool = False, seeded: bool = True) -> None:
    """Save, play and sum up, as the options ask; a stream's format is not that of the file.

    ``seeded``: whether anything was drawn, so that the seed is worth telling.
    """
    path: Path | str | None = options.out
    if to_standard_output(options.out):
        from parlando.audio.files import encode_audio

        write_out(encode_audio(speech.samples, speech.sample_rate, options.format or "wav"))
        path = "standard output"
    elif path is not None:
        speech.save(path, None if streams else options.format)
    if not options.quiet:
        print(summary(speech, path, seeded), file=sys.stderr)
    if options.play:
        speech.play()


def check_subtitles(path: Path | None) -> None:
    """Refuse, before any work, a file for subtitles that cannot be written.

    Raises:
        ConfigError: its ending names no format of subtitles.
        InputError: it is a folder.
        FileMissingError: its folder is not there.
    """
    if path is None:
        return
    if path.suffix.lower() not in SUBTITLES:
        raise ConfigError(f"'{path}' is not a name for subtitles; end it in {' or '.join(SUBTITLES)}")
    if path.is_dir():
        raise InputError(f"'{path}' is a folder; name a file in it, such as {path / 'speech.srt'}")
    if not path.parent.is_dir():
        raise FileMissingError(path.parent, "folder")


def write_subtitles(path: Path, speech: Speech, speakers: Sequence[tuple[int, str]] = ()) -> None:
    """Write the words of a speech as subtitles, in the format of the file's ending; ``speakers`` as for `cues`."""
    from parlando.text.subtitles import cues, srt, vtt

    write = srt if path.suffix.lower() == ".srt" else vtt
    path.write_text(write(cues(speech.text, speech.words, speakers)), encoding="utf-8")


def summary(speech: Speech, path: Path | str | None, seeded: bool = True) -> str:
    """One line on what was made, and one for each sentence that did not end by itself."""
    facts = [f"{speech.duration_seconds:.1f} s of speech", f"voice {speech.voice}"]
    facts.append(f"in {speech.timings.total_seconds:.1f} s (RTF {speech.real_time_factor:.2f})")
    facts += [f"seed {speech.seed}"] if seeded else []
    lines = [", ".join(facts) + (f" → {path}" if path else "")]
    for report in speech.report.sentences:
        if report.finish == "skipped":
            lines.append(f"skipped, nothing in it that this voice can say: {report.text}")
        elif report.finish != "end":
            lines.append(f"cut ({report.finish}, {report.attempts} attempts): {report.text}")
    return "\n".join(lines)
