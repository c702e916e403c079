"""A rewriting rule: a pattern and what it becomes; a language is an ordered list of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """Replace every match of ``pattern``; ``hint`` is a character set without which the pattern cannot match."""

    pattern: re.Pattern[str]
    replacement: str | Callable[[re.Match[str]], str]
    hint: frozenset[str] = frozenset()


def rule(
    pattern: str, replacement: str | Callable[[re.Match[str]], str], hint: str = "", ignore_case: bool = False
) -> Rule:
    """A compiled `Rule`."""
    return Rule(re.compile(pattern, re.IGNORECASE if ignore_case else 0), replacement, frozenset(hint))


def words(text: str) -> frozenset[str]:
    """A set of words that are written in a row."""
    return frozenset(text.split())


def apply(rules: Iterable[Rule], text: str) -> str:
    """Apply rules in order, skipping those whose hint is absent."""
    characters = set(text)
    for each in rules:
        if not each.hint or not each.hint.isdisjoint(characters):
            text = each.pattern.sub(each.replacement, text)
    return text
