"""Whether a word is used as a verb or as a noun, told from the words beside it: a few rules instead of a tagger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from parlando.text.rules import words

DETERMINERS = words(
    "a an the this that these those my your his her its our their no some any each every another either neither "
    "whose what such one two three four five six seven eight nine ten many several few both all most more much other "
    "last next first second new old own same good great little"
)
POSSESSIVES = words("my your his her its our their whose")
ARTICLES = words("a an the")
MODALS = words(
    "to will would can could shall should may might must do does did don't doesn't didn't won't wouldn't can't "
    "cannot couldn't shouldn't mustn't let's please i'll you'll we'll they'll he'll she'll it'll i'd you'd we'd "
    "they'd he'd she'd"
)
SUBJECTS = words("i you we they who")
SINGULAR_SUBJECTS = words("he she it that which who nobody everyone everybody somebody someone anybody anyone this")
OBJECTS = words(
    "it them him her me us you himself herself itself themselves myself yourself everything something anything nothing"
)
PREPOSITIONS = words(
    "of in on at for with by from into about under over between through during without within against like as than "
    "per via toward towards among behind beyond near across"
)
HAVE = words("have has had having i've you've we've they've he's she's it's haven't hasn't hadn't who've")
BE = words(
    "is are was were be been being am isn't aren't wasn't weren't i'm you're we're they're he's she's it's that's "
    "get got gets"
)
_ADVERBS = words(
    "not never always also often just still then now ever only even soon already rarely usually sometimes n't really "
    "please"
)
_FINITE = BE | words("has had have will would can could does did")
_PLURALS = words("people men women children police others")
_JOINTS = words("and or but then so")


@dataclass(frozen=True)
class Place:
    """Where a word stands: the words before it in its clause, nearest last, and those behind it, in lower case."""

    before: tuple[str, ...]
    after: tuple[str, ...]

    @classmethod
    def of(cls, units: Sequence[str], index: int) -> Place:
        """The place of a unit among words and marks."""
        start, end = index, index + 1
        while start > 0 and _is_word(units[start - 1]):
            start -= 1
        while end < len(units) and _is_word(units[end]):
            end += 1
        return cls(_lower(units[start:index]), _lower(units[index + 1 : end]))

    @property
    def previous(self) -> str:
        """The word before it, adverbs aside."""
        for word in reversed(self.before):
            if word not in _ADVERBS and not (word.endswith("ly") and len(word) > 4):
                return word
        return ""

    @property
    def next(self) -> str:
        """The word behind it."""
        return self.after[0] if self.after else ""

    @property
    def takes_object(self) -> bool:
        """Whether something follows that verbs are followed by."""
        return self.next in ARTICLES | POSSESSIVES | OBJECTS | words("this that these those all each every")

    def has(self, *sets: frozenset[str]) -> bool:
        """Whether any word of the clause is in a set."""
        around = {*self.before, *self.after}
        return any(not around.isdisjoint(each) for each in sets)

    def is_verb(self, in_s: bool = False) -> bool:
        """Whether a word that is noun and verb is a verb here; ``in_s`` if it has the ending of the third person."""
        previous = self.previous
        if previous in MODALS:
            return not in_s
        if previous in (SINGULAR_SUBJECTS if in_s else SUBJECTS):
            return not (in_s and previous == "this")
        if not previous or previous in _JOINTS:
            return self.takes_object and not in_s
        if previous in DETERMINERS or previous in PREPOSITIONS or previous.endswith(("'s", "s'")):
            return False
        # A subject that agrees with it, and something behind it that is no verb.
        plural = previous in _PLURALS or (previous.endswith("s") and not previous.endswith(("ss", "us")))
        agrees = plural != in_s and previous not in _FINITE
        if in_s:
            return agrees and self._has_subject() and (self.takes_object or self.next.endswith("ly"))
        return (
            agrees
            and self._has_subject()
            and bool(self.after)
            and self.next not in (_FINITE | MODALS | HAVE) - words("to")
        )

    def _has_subject(self) -> bool:
        """Whether nothing before it is the verb of the clause already."""
        return not any(word in _FINITE or word in MODALS for word in self.before)


def _is_word(unit: str) -> bool:
    return unit[:1].isalnum() or unit[:1] == "'"


def _lower(units: Sequence[str]) -> tuple[str, ...]:
    return tuple(unit.lower() for unit in units)
