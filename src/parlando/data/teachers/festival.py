"""Festival as a teacher: one process speaks many sentences and writes their phone times.

Festival (Black, Taylor and Caley, 1997) and its voices come from the system's packages; nothing is bundled.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import soundfile

from parlando.core.errors import GenerationError, MissingDependencyError, VoiceNotFoundError
from parlando.data.sentences import plain_sentences
from parlando.data.teachers.protocol import Line, Source, Spoken, Unspoken, refuse_language, refuse_tempo

FESTIVAL_VOICES = {
    "kal_diphone": "festvox-kallpc16k",
    "ked_diphone": "festvox-kdlpc16k",
    "cmu_us_slt_arctic_hts": "festvox-us-slt-hts",
}
VOICE_IS_MISSING = 3

_PROGRAM = """
(if (not (member '{voice} (voice.list))) (exit {missing}))
(voice_{voice})
(define (parlando_speak text name)
  (let ((utterance (utt.synth (eval (list 'Utterance 'Text text)))))
    (utt.save.wave utterance (string-append name ".wav") 'riff)
    (utt.save.segs utterance (string-append name ".lab"))))
"""


def speak_all(texts: Sequence[str], voice: str) -> list[Spoken | Unspoken]:
    """Synthesise every text with one of `FESTIVAL_VOICES`, in order; about a hundred times faster than real time.

    Raises:
        VoiceNotFoundError: Festival has no such voice that Parlando knows.
        MissingDependencyError: Festival or the voice is not installed; the message names the package.
    """
    if voice not in FESTIVAL_VOICES:
        raise VoiceNotFoundError(voice, FESTIVAL_VOICES)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = _run(_script(texts, voice), voice, folder)
        return [_collect(folder / str(index), log) for index in range(len(texts))]


def speak(text: str, voice: str) -> Spoken:
    """Synthesise one text; `speak_all` saves the start of a process for each.

    Raises:
        GenerationError: Festival could not speak it.
    """
    (said,) = speak_all([text], voice)
    if isinstance(said, Unspoken):
        raise GenerationError(f"festival did not speak {text!r} ({said.reason}); leave this sentence out")
    return said


def _script(texts: Sequence[str], voice: str) -> str:
    calls = (f'(parlando_speak {_quoted(text)} "{index}")' for index, text in enumerate(texts))
    return _PROGRAM.format(voice=voice, missing=VOICE_IS_MISSING) + "\n".join(calls) + "\n"


def _quoted(text: str) -> str:
    """A Scheme string; what is not plain ASCII has no pronunciation here."""
    plain = text.encode("ascii", "ignore").decode()
    return json.dumps(" ".join(plain.split()))


def _run(script: str, voice: str, folder: Path) -> str:
    package = FESTIVAL_VOICES[voice]
    program = shutil.which("festival")
    if program is None:
        raise MissingDependencyError("festival", f"apt-get install festival {package}")
    (folder / "speak.scm").write_text(script, encoding="ascii")
    done = subprocess.run([program, "-b", "speak.scm"], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode == VOICE_IS_MISSING:
        raise MissingDependencyError(voice, f"apt-get install {package}")
    return done.stderr


def _collect(stem: Path, log: str) -> Spoken | Unspoken:
    wave, labels = stem.with_suffix(".wav"), stem.with_suffix(".lab")
    if not (wave.is_file() and labels.is_file()):
        return Unspoken((log.strip().splitlines() or ["no reason given"])[-1])
    samples, rate = soundfile.read(wave, dtype="int16")
    return Spoken(samples, rate, list(_phones(labels.read_text(encoding="ascii"))))


def _phones(labels: str) -> Iterator[tuple[str, float]]:
    """(phone, end in seconds) of an Xwaves label file: a header up to "#", then end, colour and name a line."""
    _, _, body = labels.partition("#\n")
    for line in body.splitlines():
        end, _, name = line.split()
        yield name, round(float(end), 3)


@dataclass(frozen=True)
class Festival:
    """See `parlando.data.teachers.protocol.Teacher`."""

    name: str = "festival"
    batch: int = 24
    voices: Collection[str] = tuple(FESTIVAL_VOICES)
    sources: Sequence[Source] = (
        Source(
            "Festival and its voices, University of Edinburgh and others", "free, without restriction", "apt: festival"
        ),
    )

    def shares(self, language: str) -> str:
        """See `Teacher`."""
        return "ked_diphone=1"

    def describe(self, voice: str) -> str:
        """See `Teacher`."""
        return "a voice of Festival"

    def check(self, voice: str, language: str) -> None:
        """See `Teacher`."""
        refuse_language(self.name, language)
        if voice not in FESTIVAL_VOICES:
            raise VoiceNotFoundError(voice, FESTIVAL_VOICES)

    def prepare(self) -> None:
        """See `Teacher`."""

    def sentences(self, lines: Iterable[str], language: str) -> Iterator[str]:
        """See `Teacher`."""
        return plain_sentences(lines)

    def speak(self, lines: Sequence[Line], voice: str) -> list[Spoken | Unspoken]:
        """See `Teacher`."""
        refuse_tempo(self.name, lines)
        return speak_all([line.text for line in lines], voice)
