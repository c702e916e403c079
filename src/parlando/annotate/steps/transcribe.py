"""What is said: several recognisers' transcripts, joined by ROVER, with the share of votes they agree by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from parlando.annotate.models import Recogniser, TimedRecogniser
from parlando.annotate.rover import Voter, VoteSettings, join, without_outliers
from parlando.annotate.rows import Row
from parlando.annotate.spoken import SPACELESS, confidences, spoken_words, written
from parlando.annotate.step import Lazy, Rejected, Step
from parlando.annotate.workspace import Workspace
from parlando.audio.clip import Clip

NO_WORDS = "no words"


@dataclass(frozen=True)
class Listener:
    """A recogniser, its name, how much its votes count, and the languages it hears (none given: all)."""

    name: str
    model: Lazy[Recogniser]
    weight: float = 1.0
    languages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Transcribe(Step):
    """The joined transcript of a segment in the spoken and the written form, beside all that were joined."""

    listeners: tuple[Listener, ...]
    default_language: str
    votes: VoteSettings = field(default_factory=VoteSettings)

    name = "transcribe"

    @property
    def settings(self) -> Mapping[str, Any]:
        """Who hears, with which weight, and how votes are counted."""
        return {
            "listeners": [[each.model.card, each.weight, list(each.languages)] for each in self.listeners],
            "default_language": self.default_language,
            "votes": asdict(self.votes),
        }

    def run(self, row: Row, work: Workspace) -> Iterable[Row]:
        """The row with its transcripts.

        Raises:
            Rejected: nobody hears a word.
        """
        language = row.facts.get("language", self.default_language)
        clip = work.read(row.facts["audio"], row.facts["start"], row.facts["end"])
        asked = [each for each in self.listeners if not each.languages or language in each.languages]
        heard = [_heard(each, clip, language) for each in asked]
        voters = [_voter(each, one, language) for each, one in zip(asked, heard, strict=True)]
        joined = join(without_outliers(voters), self.votes) if voters else None
        if joined is None or not joined.words:
            raise Rejected(NO_WORDS, f"none of {len(asked)} recognisers hears a word")
        between = "" if language in SPACELESS else " "
        text = written(joined.words, [one["text"] for one in heard], language)
        yield self.tell(
            row,
            {
                "language": language,
                "spoken": between.join(joined.words),
                "words": list(joined.words),
                "words_said": len(joined.words),
                "confidences": [round(share, 3) for share in joined.shares],
                "text": text,
                "hypotheses": heard,
                **({"agreement": round(joined.agreement, 4)} if len(asked) > 1 else {}),
            },
        )


def _heard(listener: Listener, clip: Clip, language: str) -> dict[str, Any]:
    """What a recogniser hears: its text, and the words with times and confidences where it tells them."""
    model = listener.model()
    if not isinstance(model, TimedRecogniser):
        return {"by": listener.name, "text": " ".join(model.hear(clip, language).split()), "words": []}
    words: list[list[Any]] = [
        [each.text.strip(), round(each.start_seconds, 3), round(each.end_seconds, 3), round(each.confidence, 3)]
        for each in model.hear_words(clip, language)
    ]
    return {"by": listener.name, "text": _text_of([each[0] for each in words], language), "words": words}


def _text_of(words: Sequence[str], language: str) -> str:
    return ("" if language in SPACELESS else " ").join(words)


def _voter(listener: Listener, heard: Mapping[str, Any], language: str) -> Voter:
    words = spoken_words(heard["text"], language)
    said = [(text, sure) for text, _, _, sure in heard["words"]]
    return Voter(words, confidences(said, words, language), listener.weight)
