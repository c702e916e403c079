"""Filters: thresholds on what was found out, as data; the first that a segment does not meet is its reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from parlando.annotate.rows import Row
from parlando.annotate.step import Rejected, Step
from parlando.annotate.workspace import Workspace
from parlando.core.config import NotNegative, Positive, Share


@dataclass(frozen=True)
class SoundFilters:
    """What a segment must sound like, before anybody writes down what is said; a measure nobody took is passed over.

    ``least_language`` is the least probability of the wanted languages together.
    """

    shortest_seconds: Positive = 1.0
    longest_seconds: Positive = 15.0
    most_music: Share = 0.3
    most_singing: Share = 0.3
    most_overlap: Share = 0.3
    least_language: Share = 0.4
    least_snr_decibels: NotNegative = 8.0
    least_bandwidth_hz: NotNegative = 2500.0
    most_clipped: Share = 0.01
    most_decay_seconds: Positive = 1.5
    least_mos: NotNegative = 1.8


@dataclass(frozen=True)
class TextFilters:
    """What must be said in a segment."""

    least_agreement: Share = 0.65
    fewest_words: Positive = 1.0
    fewest_letters_per_second: NotNegative = 3.0
    most_letters_per_second: Positive = 32.0


@dataclass(frozen=True)
class Filters:
    """The tables ``[filters.sound]`` and ``[filters.text]``."""

    sound: SoundFilters = field(default_factory=SoundFilters)
    text: TextFilters = field(default_factory=TextFilters)


Rule = tuple[str, str, str, float]
"""A fact, the reason it is rejected for, whether the bound is the ``least`` or the ``most``, and the bound."""


@dataclass(frozen=True)
class Screen(Step):
    """The filters on sound."""

    filters: SoundFilters
    languages: tuple[str, ...]

    name = "screen"

    @property
    def settings(self) -> Mapping[str, Any]:
        """The thresholds."""
        return {"languages": list(self.languages), **asdict(self.filters)}

    def run(self, row: Row, work: Workspace) -> Iterable[Row]:
        """The row as it was."""
        known, bounds = dict(row.facts), self.filters
        known["seconds"] = row.seconds
        if "probabilities" in known:
            known["wanted"] = round(sum(known["probabilities"].get(each, 0.0) for each in self.languages), 3)
        check(
            known,
            [
                ("seconds", "too short", "least", bounds.shortest_seconds),
                ("seconds", "too long", "most", bounds.longest_seconds),
                ("music_share", "music", "most", bounds.most_music),
                ("singing_share", "singing", "most", bounds.most_singing),
                ("wanted", "wrong language", "least", bounds.least_language),
                ("overlap_share", "overlapping speech", "most", bounds.most_overlap),
                ("clipped_share", "clipped", "most", bounds.most_clipped),
                ("bandwidth_hz", "narrow", "least", bounds.least_bandwidth_hz),
                ("snr_decibels", "noisy", "least", bounds.least_snr_decibels),
                ("decay_seconds", "reverberant", "most", bounds.most_decay_seconds),
                ("mos", "poor quality", "least", bounds.least_mos),
            ],
        )
        yield row


@dataclass(frozen=True)
class Select(Step):
    """The filters on what is said."""

    filters: TextFilters

    name = "select"

    @property
    def settings(self) -> Mapping[str, Any]:
        """The thresholds."""
        return asdict(self.filters)

    def run(self, row: Row, work: Workspace) -> Iterable[Row]:
        """The row as it was."""
        bounds = self.filters
        check(
            row.facts,
            [
                ("words_said", "too few words", "least", bounds.fewest_words),
                ("agreement", "recognisers disagree", "least", bounds.least_agreement),
                ("letters_per_second", "too little said", "least", bounds.fewest_letters_per_second),
                ("letters_per_second", "too much said", "most", bounds.most_letters_per_second),
            ],
        )
        yield row


def check(facts: Mapping[str, Any], rules: Iterable[Rule]) -> None:
    """Raises:
    Rejected: a fact is beyond its bound.
    """
    for name, reason, kind, bound in rules:
        value = facts.get(name)
        if value is not None and (value < bound if kind == "least" else value > bound):
            raise Rejected(reason, f"{name} {value:g}, the {kind} is {bound:g}")
