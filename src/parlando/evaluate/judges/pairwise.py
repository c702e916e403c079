"""Which of two utterances of one text is better: by an audio model behind any OpenAI-compatible service, or by figures.

The prompt is our own; both ask for reasons before marks, as EmergentTTS-Eval (2025) does.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from parlando.audio.clip import Clip
from parlando.audio.files import encode_audio
from parlando.evaluate.judges.base import JUDGE_RATE, Asr, Card, Mos, at_judge_rate
from parlando.evaluate.judges.http import Service, ServiceError
from parlando.evaluate.scoring import strict

CATEGORIES: Mapping[str, str] = {
    "emotions": "the feelings that the text tells of, and how they change from one part to the next",
    "paralinguistics": "laughs, sighs, hesitations, drawn-out and stressed words, as the text writes them",
    "syntax": "phrasing that makes a nested or inverted sentence clear: pauses, stress, and a voice that stays up",
    "foreign words": "words of other languages as their speakers say them, without a break in the sentence around",
    "questions": "the melody of questions and of the statements between them",
    "pronunciation": "numbers, abbreviations, addresses, formulas and tongue twisters, read rightly and fluently",
}
PROMPT = """You compare two recordings of the same text, spoken by two text-to-speech systems.

Text: {text}

What matters here: {dimension}.

Listen to both. Do not judge the sound quality, the loudness, the sex or the timbre of a voice. For each recording,
write down where, in seconds, it does well or badly in what matters here, and whether all words of the text are said.
Then list the differences, each as subtle or significant. Give each recording a mark: 0 unusable, 1 poor, 2 good, 3 as
a skilled reader would say it. Name the winner by the significant differences; if there are none, by the subtle ones;
if there is no difference that a listener would notice, it is a tie.

Answer with one JSON object and nothing else:
{{"first": "…", "second": "…", "differences": "…", "mark_first": 0, "mark_second": 0, "winner": 0}}
where winner is 1 for the first recording, 2 for the second and 0 for a tie."""
JSON_OBJECT = re.compile(r"\{.*\}", re.DOTALL)
MOS_DIFFERENCE = 0.15


@dataclass(frozen=True)
class Verdict:
    """``winner`` is 1 or 2, or 0 for a tie."""

    winner: int
    reasons: str = ""


class PairJudge(Protocol):
    """Compares two clips of one text."""

    @property
    def card(self) -> Card:
        """Name, version and settings."""
        ...

    def compare(self, text: str, category: str, first: Clip, second: Clip) -> Verdict:
        """Which one is better in what its category is about."""
        ...


class AudioModelJudge:
    """A `PairJudge` behind ``POST /v1/chat/completions`` that takes audio."""

    def __init__(self, service: Service, model: str) -> None:
        self._service, self._model = service, model
        self.card = Card(model, "by URL", {"url": service.url, "temperature": 0})

    def compare(self, text: str, category: str, first: Clip, second: Clip) -> Verdict:
        """As the model says.

        Raises:
            ServiceError: the service failed, or its answer is not a verdict.
        """
        dimension = CATEGORIES.get(category, "that the text is said as a skilled reader would say it")
        content = [
            {"type": "text", "text": PROMPT.format(text=text, dimension=dimension)},
            {"type": "text", "text": "The first recording:"},
            _audio(first),
            {"type": "text", "text": "The second recording:"},
            _audio(second),
        ]
        body = {"model": self._model, "temperature": 0, "messages": [{"role": "user", "content": content}]}
        answer = self._service.json("/v1/chat/completions", body)
        try:
            return parse_verdict(str(answer["choices"][0]["message"]["content"]))
        except (LookupError, TypeError) as error:
            raise ServiceError(f"{self._service.url} answered without a message") from error


def parse_verdict(answer: str) -> Verdict:
    """The verdict in an answer, which may have words around its JSON.

    Raises:
        ServiceError: there is none.
    """
    match = JSON_OBJECT.search(answer)
    try:
        fields: Any = json.loads(match.group() if match else "")
        winner = int(fields["winner"])
    except (ValueError, KeyError, TypeError) as error:
        raise ServiceError(f"the judge's answer is not a verdict: {answer[:80]!r}") from error
    if winner not in (0, 1, 2):
        raise ServiceError(f"the judge named {winner} as the winner; 0, 1 and 2 are known")
    return Verdict(winner, str(fields.get("differences", "")))


def _audio(clip: Clip) -> dict[str, Any]:
    data = base64.b64encode(encode_audio(at_judge_rate(clip), JUDGE_RATE, "wav")).decode()
    return {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}


class FigureJudge:
    """A `PairJudge` without an audio model: fewer word errors win, and among equals the clearly higher mark.

    It hears nothing of feeling or melody; it is for machines that have nothing better.
    """

    def __init__(self, asr: Asr, mos: Mos) -> None:
        self._asr, self._mos = asr, mos
        self.card = Card("errors, then marks", "1", {"asr": str(asr.card), "mos": str(mos.card), "tie": MOS_DIFFERENCE})

    def compare(self, text: str, category: str, first: Clip, second: Clip) -> Verdict:
        """By figures."""
        errors = [strict.rates([text], [self._asr.hear(clip, "en")], ["en"]).wer for clip in (first, second)]
        marks = [self._mos.rate(clip)["mos"] for clip in (first, second)]
        told = f"error rates {errors[0]:.2f} and {errors[1]:.2f}, marks {marks[0]:.2f} and {marks[1]:.2f}"
        if errors[0] != errors[1]:
            return Verdict(1 if errors[0] < errors[1] else 2, told)
        if abs(marks[0] - marks[1]) < MOS_DIFFERENCE:
            return Verdict(0, told)
        return Verdict(1 if marks[0] > marks[1] else 2, told)
