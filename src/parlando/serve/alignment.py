"""Which words of a text are heard when, and the times of its characters in ElevenLabs' words."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

from parlando.result import Chunk, SaidSentences
from parlando.serve.service import Service, Utterance
from parlando.text.alignment import Alignment, SaidSentence, Timed, spread
from parlando.text.reading import Reading


class Told:
    """What was told in the words of ElevenLabs' sockets: times count from the end of the sentence told before, as
    clients add, and what is white between two sentences lasts as long as the silence there."""

    def __init__(self) -> None:
        self._seconds, self._space = 0.0, ""

    def tell(self, timed: Timed, space: str) -> dict[str, Any] | None:
        """The next sentence; one without characters is not told. The white ``space`` behind goes with the one after."""
        characters = timed.characters.rstrip()
        if not characters:
            self._space += space
            return None
        silence = spread(self._space, self._seconds, timed.edges[0])
        edges = (*silence.edges[:-1], *timed.edges[: len(characters)], timed.edges[-1])
        places = [round((edge - self._seconds) * 1000) for edge in edges]
        told = {
            "chars": [*self._space, *characters],
            "charStartTimesMs": places[:-1],
            "charDurationsMs": [end - begin for begin, end in pairwise(places)],
        }
        self._seconds, self._space = timed.edges[-1], space
        return told


class LiveAlignment:
    """Follows a text that is still being written."""

    def __init__(self, reading: Reading) -> None:
        self._alignment, self._sentences, self._written = Alignment("", reading), SaidSentences(), [""]
        self._as_written, self._as_read = Told(), Told()

    def write(self, text: str) -> None:
        """Take note of text that will be said."""
        self._written.append(text)

    def hear(self, chunk: Chunk) -> Callable[[], dict[str, Any]] | None:
        """Take the next chunk; what finds out the times of its sentence, if it ends one, in a thread or here."""
        said = self._sentences.hear(chunk)
        if said is None:
            return None
        self._alignment.write("".join(self._written))
        self._written.clear()
        return lambda: self._times(said)

    def _times(self, said: SaidSentence) -> dict[str, Any]:
        written, read = self._alignment.sentence(said)
        space = written.characters[len(written.characters.rstrip()) :]
        return {
            "alignment": self._as_written.tell(written, space),
            "normalizedAlignment": self._as_read.tell(read, space),
        }


def as_json(parts: Iterable[Timed]) -> dict[str, Any]:
    """All of them in ElevenLabs' words."""
    parts = [*parts]
    return {
        "characters": [character for part in parts for character in part.characters],
        "character_start_times_seconds": [round(edge, 3) for part in parts for edge in part.edges[:-1]],
        "character_end_times_seconds": [round(edge, 3) for part in parts for edge in part.edges[1:]],
    }


def reading_of(service: Service, wanted: Utterance, caller: str) -> Reading:
    """How the voice of an utterance reads.

    Raises:
        VoiceNotFoundError: nobody has the voice's name.
        ConfigError: nothing is read out in the language.
    """
    host, name = service.host(wanted.model), wanted.voice
    if name is None:
        name = host.synthesizer.model.default_voice
    elif isinstance(name, str):
        name = service.voices.resolve(host, name, caller)
    languages = {each.name: each.language for each in service.voices.listed(host, caller)}
    language = wanted.language or (languages.get(name) if isinstance(name, str) else None)
    return Reading(language or "en", notation=host.synthesizer.model.notation)
