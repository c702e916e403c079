"""What is understood of simulated scenes of speakers never heard: words, beside other recognisers, and descriptions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from parlando.audio.clip import Clip
from parlando.data.scenes.scene import Director, Plan
from parlando.evaluate.judges.base import Asr, Card
from parlando.evaluate.protocols.shared import Frame, strict_figure, transcripts
from parlando.evaluate.suite.figures import Figure, average
from parlando.evaluate.suite.items import Item, ItemList
from parlando.evaluate.suite.report import EvalReport, SystemReport
from parlando.evaluate.suite.run import Measure, Output, Run
from parlando.evaluate.suite.store import digest_of
from parlando.evaluate.suite.systems import Maker, Said
from parlando.text.answer import EVENTS, Answer, parse_answer, write_answer

USUAL = "always the usual answer"
NOTES = (
    "speakers, place, events, emotion: share of the scenes in which the whole field is right",
    "gender, pitch: share of the speakers, where their number is right",
    f"'{USUAL}': what one gets who listens to nothing, and says of each field what is most often true",
)


class Understander(Asr, Protocol):
    """A recogniser that describes what it hears as well."""

    def understand(self, clip: Clip) -> Answer:
        """Everything that is heard of a clip."""
        ...


@dataclass(frozen=True)
class Heard:
    """The truth of a scene and what was answered."""

    truth: Answer
    answer: Answer


class Scenes(Maker):
    """Sounds scenes out, as a system says texts."""

    name = "scenes"

    def __init__(self, director: Director, plans: Mapping[str, Plan]) -> None:
        self._director, self._plans = director, plans
        self.identity: Mapping[str, Any] = {"scenes": asdict(director.config), "rate": director.rate}

    def content(self, item: Item) -> str:
        """What the scene is made of."""
        return digest_of(asdict(self._plans[item.id]), write_answer(self._director.answer(self._plans[item.id])))

    def say(self, item: Item, seed: int) -> Said:
        """The scene."""
        del seed
        return Said(Clip(self._director.scene(self._plans[item.id]).samples, self._director.rate))


def scene_items(director: Director, plans: Sequence[Plan], name: str) -> tuple[ItemList, dict[str, Plan]]:
    """Scenes as items of a list, by the place that each is in, and their plans by the items' names."""
    named = {f"scene{number:04d}": plan for number, plan in enumerate(plans)}
    answers = {key: director.answer(plan) for key, plan in named.items()}
    items = tuple(Item(key, answers[key].text, _language(plan), group=plan.place) for key, plan in named.items())
    return ItemList(name, items, (), digest_of([write_answer(each) for each in answers.values()])), named


def _language(plan: Plan) -> str:
    return plan.entries[0].language if plan.entries else "en"


def run_understanding(
    run: Run, director: Director, plans: Sequence[Plan], listeners: Sequence[Asr | Understander], machine: str
) -> EvalReport:
    """Have all listeners hear the same scenes; those that only write down have figures of words alone."""
    items, named = scene_items(director, plans, f"scenes of {director.speech.corpus.folder.name}")
    outputs = run.speak(Scenes(director, named), items.items)
    truths = [director.answer(named[item.id]) for item in items.items]
    reports = []
    for listener in listeners:
        if hasattr(listener, "understand"):
            answers = _answers(run, listener, outputs)
            words = [None if answer is None else answer.text for answer in answers]
            figures = described(truths, answers, str(listener.card))
        else:
            words, figures = transcripts(run, listener, outputs), []
        reports.append(_report(listener, outputs, words, figures))
    usual = [_usual(truths)] * len(truths)
    reports.append(SystemReport(USUAL, len(items.items), len(items.items), tuple(described(truths, usual, ""))))
    cards = tuple(str(listener.card) for listener in listeners)
    return Frame("understanding", items, cards, machine, NOTES).report(run, reports)


def _answers(run: Run, listener: Any, outputs: Sequence[Output]) -> list[Answer | None]:
    measure = Measure("answer", listener.card, lambda out: write_answer(listener.understand(out.clip)))
    return [None if line is None else parse_answer(line) for line in run.measure(measure, outputs)]


def _report(
    listener: Asr, outputs: Sequence[Output], words: Sequence[str | None], figures: Sequence[Figure]
) -> SystemReport:
    """Words over all scenes in which somebody speaks, and by place; then what was described."""
    pairs = [(out, heard) for out, heard in zip(outputs, words, strict=True) if out.item.text]
    groups = {}
    for place in dict.fromkeys(out.item.group for out, _ in pairs):
        groups[place] = (_words([pair for pair in pairs if pair[0].item.group == place], listener.card),)
    said = sum(out.path is not None for out in outputs)
    return SystemReport(
        str(listener.card.name), len(outputs), said, (_words(pairs, listener.card), *figures), groups,
        {"card": str(listener.card)},
    )  # fmt: skip


def _words(pairs: Sequence[tuple[Output, str | None]], by: Card) -> Figure:
    return strict_figure([out for out, _ in pairs], [heard for _, heard in pairs], by, "WER")


def described(truths: Sequence[Answer], answers: Sequence[Answer | None], by: str) -> list[Figure]:
    """How often each field is right; a field that no scene has is left out."""
    pairs = [Heard(truth, answer) for truth, answer in zip(truths, answers, strict=True) if answer is not None]
    fields: dict[str, list[bool]] = {
        "speakers": [len(each.truth.speakers) == len(each.answer.speakers) for each in pairs],
        "gender": _of_speakers(pairs, lambda speaker: speaker.gender),
        "pitch": _of_speakers(pairs, lambda speaker: speaker.pitch),
        "place": [each.truth.place == each.answer.place for each in pairs],
        "events": [each.truth.events == each.answer.events for each in pairs],
        "emotion": [each.truth.emotion == each.answer.emotion for each in pairs if each.truth.emotion],
    }
    found = [average(name, [100.0 * right for right in rights], by, " %") for name, rights in fields.items() if rights]
    return [*found, _event_f1(pairs, by)]


def _of_speakers(pairs: Sequence[Heard], of: Callable[[Any], str]) -> list[bool]:
    counted = [each for each in pairs if len(each.truth.speakers) == len(each.answer.speakers)]
    return [
        of(truth) == of(answer)
        for each in counted
        for truth, answer in zip(each.truth.speakers, each.answer.speakers, strict=True)
    ]


def _event_f1(pairs: Sequence[Heard], by: str) -> Figure:
    """The harmonic mean of how many of the events were heard, and how many of those heard there were."""
    both = sum(len({*each.truth.events} & {*each.answer.events}) for each in pairs)
    every = sum(len(each.truth.events) + len(each.answer.events) for each in pairs)
    return Figure("event F1", 2 * both / every if every else None, count=len(pairs), by=by)


def _usual(truths: Sequence[Answer]) -> Answer:
    """What is most often true, field by field; of speakers, their number first."""
    speakers = [speaker for truth in truths for speaker in truth.speakers]
    count = _commonest([len(truth.speakers) for truth in truths])
    usual = (_commonest(speakers),) * count if speakers else ()
    events = _commonest([truth.events for truth in truths])
    assert set(events) <= set(EVENTS)
    emotion = _commonest([truth.emotion for truth in truths])
    return Answer(_commonest([truth.place for truth in truths]), events, emotion, usual)


def _commonest(values: Sequence[Hashable]) -> Any:
    return Counter(values).most_common(1)[0][0]
