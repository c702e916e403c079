"""Who speaks in a story: rules on quotations, on who is said to say them, and on who takes turns; and who is who.

English rules; what they cannot tell is the narrator's.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from parlando.text.quotations import Span, quoted_spans

Gender = Literal["female", "male"]
_VERBS = (
    "said|says|say|asked|asks|replied|replies|answered|answers|cried|cries|whispered|whispers|shouted|shouts|exclaimed"
    "|called|added|adds|murmured|muttered|continued|began|went on|repeated|remarked|observed|returned|inquired|enquired"
    "|demanded|declared|insisted|suggested|screamed|yelled|sighed|laughed|sobbed|groaned|growled|snapped|gasped|thought"
    "|explained|agreed|begged|pleaded|announced|told|interrupted|protested|retorted|responded|warned|wondered|roared"
)
_TITLES = (
    "Mr|Mrs|Ms|Miss|Dr|Sir|Lady|Lord|Madame|Monsieur|Captain|Professor|Uncle|Aunt|King|Queen|Prince|Princess|Father"
    "|Mother"
)
_NAME = rf"(?:(?:{_TITLES})\.?\s+)?[A-Z][\w’'-]+(?:\s+[A-Z][\w’'-]+){{0,2}}"
# What may follow a role and is none of its words.
_NO_ROLE = r"(?!(?:and|who|as|with|in|into|to|from|of|on|when|that|at|but|then|while|again|\w+ly|\w{3,}ing)\b)"
_ROLE = rf"[Tt]he(?:\s+{_NO_ROLE}[A-Za-z-]+){{1,3}}"
_WHO = rf"(?P<who>{_NAME}|{_ROLE}|he|she|I|He|She)"
_AFTER = re.compile(rf"^\W*(?:(?:{_VERBS})\s+{_WHO}\b|{_WHO.replace('who', 'subject')}\s+(?:\w+ly\s+)?(?:{_VERBS})\b)")
_BEFORE = re.compile(
    rf"{_WHO}\s+(?:\w+ly\s+)?(?:{_VERBS})\b[^.!?]*[,:]\s*$|(?:{_VERBS})\s+{_WHO.replace('who', 'subject')}\s*[,:]\s*$"
)
_SUBJECT = re.compile(rf"^(?P<who>{_NAME}|{_ROLE})\s+[a-z]+")
_PRONOUNS = {"he": "male", "him": "male", "his": "male", "she": "female", "her": "female", "hers": "female"}
_PRONOUN = re.compile(rf"\b(?:{'|'.join(_PRONOUNS)})\b", re.I)
_MEN = "mr sir lord captain uncle king prince father monsieur man boy gentleman husband brother son grandfather wizard"
_WOMEN = "mrs ms miss lady aunt queen princess mother madame woman girl wife sister daughter grandmother witch maid"
_MALE, _FEMALE = frozenset(_MEN.split()), frozenset(_WOMEN.split())
_OTHER_WORDS = """
    the a an and but or so then when while after before if as at in on it its this that these those there here what why
    how who yes no oh ah well now not never nothing everything nobody everybody i you we they
"""
_NO_NAMES = frozenset(_OTHER_WORDS.split())
NEAR_CHARACTERS = 160


@dataclass(frozen=True)
class Line:
    """Words with who says them; ``speaker`` is nothing where the narrator does."""

    text: str
    speaker: str | None = None


@dataclass
class _Scene:
    """Who has spoken of late, and how each is called."""

    recent: list[str] = field(default_factory=list)
    genders: dict[str, Counter[str]] = field(default_factory=dict)
    open_speaker: str | None = None

    def spoke(self, name: str | None) -> None:
        if name is not None:
            self.recent = [each for each in self.recent if each != name] + [name]

    def last_of(self, gender: str) -> str | None:
        """Who spoke last of those that may be called so."""
        for name in reversed(self.recent):
            votes = self.genders.get(name, Counter()) + _by_title(name)
            if votes[gender] >= sum(votes.values()) - votes[gender]:
                return name
        return None


def lines_of(paragraphs: Iterable[str]) -> list[Line]:
    """A story as lines with their speakers."""
    told = [[*quoted_spans(paragraph)] for paragraph in paragraphs]
    scene = _Scene(genders=_votes(told))
    lines: list[Line] = []
    silent = 0  # paragraphs without speech
    for spans in told:
        speaking = [span for span in spans if span.is_speech]
        silent = 0 if speaking else silent + 1
        if silent > 1:
            scene.recent = scene.recent[-2:] if silent == 2 else []
        speaker = _speaker(spans, scene) if speaking else None
        lines += [Line(span.text, speaker if span.is_speech else None) for span in spans]
        scene.spoke(speaker)
        scene.open_speaker = speaker if speaking and speaking[-1].open else None
    return lines


def genders_of(paragraphs: Iterable[str], names: Iterable[str]) -> dict[str, Gender]:
    """Who is a woman and who is a man, as far as titles, roles and pronouns tell."""
    votes = _votes([[*quoted_spans(paragraph)] for paragraph in paragraphs])
    known: dict[str, Gender] = {}
    for name in names:
        seen = votes.get(name, Counter()) + _by_title(name)
        male, female = seen["male"], seen["female"]
        if male != female:
            known[name] = "male" if male > female else "female"
    return known


def _speaker(spans: Sequence[Span], scene: _Scene) -> str | None:
    """Who speaks in a paragraph: one person, by whom it is said to be, whose turn it is, or who goes on."""
    if scene.open_speaker is not None:
        return scene.open_speaker
    named, first = _attributed(spans), spans[0]
    if named is not None and named.lower() not in _PRONOUNS:
        return _called(named)
    subject = None if first.is_speech else _SUBJECT.match(first.text)
    if subject and _is_name(subject["who"]) and subject["who"].lower() not in _PRONOUNS:
        return _called(subject["who"])
    if named is not None:
        return scene.last_of(_PRONOUNS[named.lower()])
    others = [name for name in scene.recent[-2:] if name != scene.recent[-1]]
    return others[-1] if others else scene.recent[-1] if len(scene.recent) == 1 and not first.is_speech else None


def _attributed(spans: Sequence[Span]) -> str | None:
    """Who is said to say it, as it is written."""
    for place, span in enumerate(spans):
        if span.is_speech:
            after = spans[place + 1] if place + 1 < len(spans) else None
            before = spans[place - 1] if place else None
            for beside, pattern in ((after, _AFTER), (before, _BEFORE)):
                match = None if beside is None or beside.is_speech else pattern.search(beside.text)
                if match and _is_name(who := match["who"] or match["subject"]):
                    return who
    return None


def _is_name(who: str) -> bool:
    words = who.split()
    if who == "I" or who.lower() in _PRONOUNS:
        return True
    return len(words) > 1 if words[0].lower() == "the" else words[0].lower() not in _NO_NAMES


def _called(who: str) -> str:
    """A name for the cast: without an article, as one writes it."""
    words = who.split()
    words = words[1:] if words[0].lower() == "the" else words
    return " ".join(words).rstrip(".,'’")


def _votes(told: Sequence[Sequence[Span]]) -> dict[str, Counter[str]]:
    """For every name what speaks for a woman or a man: the first pronoun after it, wherever they are said to speak."""
    votes: dict[str, Counter[str]] = {}
    for spans in told:
        named = _attributed(spans)
        if named is None or named.lower() in _PRONOUNS or named == "I":
            continue
        name = _called(named)
        seen = votes.setdefault(name, Counter())
        for span in spans:
            if not span.is_speech and (at := span.text.find(named)) >= 0:
                near = _PRONOUN.search(span.text, at + len(named), at + len(named) + NEAR_CHARACTERS)
                if near:
                    seen[_PRONOUNS[near.group().lower()]] += 1
    return votes


def _by_title(name: str) -> Counter[str]:
    """What a name's own words say: a title or a role counts as three pronouns."""
    words = name.lower().replace(".", "").split()
    return Counter(male=3 * sum(word in _MALE for word in words), female=3 * sum(word in _FEMALE for word in words))
