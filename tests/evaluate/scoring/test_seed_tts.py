"""The published scoring against values worked out by hand, and against a plain edit distance on 200 pairs."""

from __future__ import annotations

import random
import string

import pytest

from parlando.evaluate.scoring.seed_tts import normalise, score, utterance_rates

CHINESE_MARKS = "，。！？、；：“”‘’（）《》【】…—·"
TEXT = "the river don't rises Over old stone walls, and; nobody's boat-house stays dry. (ever) it's 42 o'clock!"
WORDS = TEXT.split(" ")
SIGNS = "今天天气很好我们去公园散步吧老师说明日考试二十"


@pytest.mark.parametrize(
    ("language", "text", "heard", "wer", "substitutions", "deletions", "insertions"),
    [
        ("en", "Hello, there.", "hello there", 0.0, 0.0, 0.0, 0.0),
        ("en", "one two three four", "one too three", 2 / 4, 1 / 4, 1 / 4, 0.0),
        ("en", "one two", "one two three four five", 3 / 2, 0.0, 0.0, 3 / 2),
        ("en", "Don't stop", "dont stop", 1 / 2, 1 / 2, 0.0, 0.0),
        ("en", "well-known fact", "well known fact", 2 / 2, 1 / 2, 0.0, 1 / 2),
        ("en", "twenty one", "21", 2 / 2, 1 / 2, 1 / 2, 0.0),
        ("en", "some words here", "", 1.0, 0.0, 1.0, 0.0),
        ("zh", "你好，世界。", "你好世界", 0.0, 0.0, 0.0, 0.0),
        ("zh", "你好世界", "你号世", 2 / 4, 1 / 4, 1 / 4, 0.0),
        ("zh", "天气好AI", "天气好A", 1 / 5, 0.0, 1 / 5, 0.0),
        ("zh", "我们走吧", "", 1.0, 0.0, 1.0, 0.0),
    ],
)
def test_by_hand(language, text, heard, wer, substitutions, deletions, insertions):
    rates = utterance_rates(text, heard, language)
    found = (rates.wer, rates.substitutions, rates.deletions, rates.insertions)
    assert found == pytest.approx((wer, substitutions, deletions, insertions), abs=1e-6)


def edits(wanted: list[str], heard: list[str]) -> int:
    """Levenshtein's distance, as a table."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(wanted, 1):
        last, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (word != other))
    return row[-1]


def plainly(text: str, language: str) -> list[str]:
    """The published normalisation, mark by mark."""
    for mark in string.punctuation + CHINESE_MARKS:
        text = text if mark == "'" else text.replace(mark, "")
    return [sign for sign in text if sign != " "] if language == "zh" else text.lower().split()


def damaged(chance: random.Random, units: list[str]) -> list[str]:
    kept = [unit for unit in units if chance.random() > 0.15]
    return [
        chance.choice(units) if chance.random() < 0.15 else unit
        for unit in kept
        for _ in range(1 + (chance.random() < 0.1))
    ]


def pairs() -> list[tuple[str, str, str]]:
    chance = random.Random(3)
    made = []
    for number in range(200):
        language = ("en", "zh")[number % 2]
        units = chance.choices(
            WORDS if language == "en" else [*SIGNS, *CHINESE_MARKS, "B", "7"], k=chance.randint(3, 20)
        )
        units.append("end" if language == "en" else "好")
        joint = " " if language == "en" else ""
        heard = [] if number % 25 == 7 else damaged(chance, units)
        made.append((joint.join(units), joint.join(heard), language))
    return made


def test_200_pairs_agree_with_a_plain_edit_distance():
    made = pairs()
    assert sum(heard == "" for _, heard, _ in made) >= 8
    rates, wanted = [], []
    for text, heard, language in made:
        truth = plainly(text, language)
        wanted.append(edits(truth, plainly(heard, language)) / len(truth))
        rates.append(utterance_rates(text, heard, language))
    assert [rate.wer for rate in rates] == pytest.approx(wanted, abs=1e-6)
    found = score(rates)
    assert found.wer == pytest.approx(sum(wanted) / 200, abs=1e-6)
    assert (found.utterances, found.mostly_wrong) == (200, sum(wer > 0.5 for wer in wanted))
    for rate in rates:
        assert rate.substitutions + rate.deletions + rate.insertions == pytest.approx(rate.wer, abs=1e-6)


def test_the_mean_is_of_utterances_and_not_of_words():
    long, short = utterance_rates("a b c d e f g h", "a b c d e f g h", "en"), utterance_rates("no", "yes", "en")
    assert score([long, short]).wer == 0.5
    assert score([]).wer == 0.0


def test_numbers_stay_as_they_are_and_apostrophes_too():
    assert normalise("It's $5, (really)!", "en") == "it's 5 really"
    assert normalise("「五」元", "zh") == "五 元"
