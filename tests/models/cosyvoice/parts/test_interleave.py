"""Text in pieces: the same tokens however it is cut, the order of text and speech, and sources that go wrong."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parlando.core.errors import PromptTooLongError, TextError
from parlando.models.cosyvoice.parts.interleave import ArrivingText, Due, Interleaver, TextLimits

TASK = -2
# Qwen2's rule for what byte-pair merges may span, without the property classes that `re` lacks.
WORDS = re.compile(
    r"\[breath\]|</?strong>"
    r"|'(?:s|t|re|ve|m|ll|d)|(?:[^\r\n\w]|_)?[^\W\d_]+|\d| ?(?:[^\s\w]|_)+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
MERGES = [
    "th",
    "he",
    "in",
    "er",
    "an",
    "the",
    "ing",
    " t",
    " the",
    "是的",
    "今天",
    "天气",
    "真不错",
    "ll",
    "lo",
    "hell",
]


def spell(word: str) -> list[str]:
    """The longest merges first, from the left: a stand-in for byte-pair merges."""
    if word in ("[breath]", "<strong>", "</strong>"):
        return [word]
    parts = []
    while word:
        part = max((merge for merge in MERGES if word.startswith(merge)), key=len, default=word[0])
        parts.append(part)
        word = word[len(part) :]
    return parts


NAMES: dict[str, int] = {}


def encode(text: str) -> list[int]:
    return [NAMES.setdefault(part, len(NAMES)) for word in WORDS.findall(text) for part in spell(word)]


def pull_all(text, most_pulls=1000) -> ArrivingText:
    for _ in range(most_pulls):
        if not text.ended:
            text.pull()
    return text


def arrive(pieces, limits=None) -> list[int]:
    return pull_all(ArrivingText(pieces, encode, limits)).tokens


def cuts(text: str, places) -> list[str]:
    ends = sorted({min(place, len(text)) for place in places} | {0, len(text)})
    return [text[a:b] for a, b in itertools.pairwise(ends)]


PHRASES = [
    *("the thing", " hello,", " it's", " 3.14", "[breath]", " <strong>in</strong>", "。今天天气", "，真不错！"),
    *("\n", "  ", "!!", "x[y", "é", " a < b"),
]


@given(
    text=st.lists(st.sampled_from(PHRASES), min_size=1, max_size=8).map("".join),
    places=st.lists(st.integers(0, 80), max_size=12),
)
@settings(max_examples=150, deadline=None)
def test_any_pieces_give_the_tokens_of_the_whole(text, places):
    text = text.strip()
    if not any(map(str.isalnum, text)):
        return
    assert arrive(cuts(text, places)) == encode(text)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_long_words_without_a_border_are_cut_between_tokens(size):
    text = "今天天气真不错是的" * 12
    assert arrive(cuts(text, range(0, len(text), size))) == encode(text)


@pytest.mark.parametrize(
    ("piece", "taken"),
    [
        ("hello the", "hello"),
        ("hello there,", "hello there"),
        ("hello there, and", "hello there"),
        ("it's 31", "it's"),
        ("[bre", ""),
        ("x [breath] y ", "x [breath] y"),
        ("今天天气", ""),
        ("今天天气，", "今天天气"),
        ("今天天气真不错是的今天天气", "今天天气真不错是的"),
    ],
)
def test_what_may_still_change_is_held_back(piece, taken):
    text = ArrivingText(iter([piece]), encode)
    text.pull()
    assert text.tokens == encode(taken)


def test_white_space_around_the_text_is_dropped_and_inside_it_kept():
    assert arrive(["  ", "\n hello", "  ", "  the ", " "]) == encode("hello    the")


def test_an_encoder_that_joins_words_sees_the_word_before():
    def phonemes(text):
        return [ord(letter) for letter in "|".join(text.split())]

    text = ArrivingText(iter(["one tw", "o three ", "four"]), phonemes)
    assert pull_all(text).tokens == phonemes("one two three four")


@pytest.mark.parametrize("pieces", [[], [""], [" ", "\n"], ["?!", "..."]])
def test_text_without_a_sound_is_an_error_at_its_end(pieces):
    with pytest.raises(TextError, match="nothing to pronounce"):
        arrive(pieces)


def test_a_source_that_fails_fails_as_itself():
    def broken():
        yield "hello there"
        raise OSError("the line went dead")

    with pytest.raises(OSError, match="the line went dead"):
        arrive(broken())


def test_a_piece_that_is_no_string_is_refused():
    with pytest.raises(TextError, match="a piece of text is int"):
        arrive(["a", 3])


@pytest.mark.parametrize("piece", ["and so on ", "的", "x", "[", "1"])
def test_a_text_that_never_ends_is_an_error_at_the_limit(piece):
    text = ArrivingText(itertools.repeat(piece), encode, TextLimits(most_tokens=50))
    with pytest.raises(PromptTooLongError, match="more than 50 tokens and has not ended"):
        pull_all(text)
    assert len(text.tokens) < 120


@pytest.mark.parametrize("piece", ["", " "])
def test_blank_pieces_without_end_are_an_error(piece):
    text = ArrivingText(itertools.chain(["hello"], itertools.repeat(piece)), encode, TextLimits(most_blank_pieces=20))
    with pytest.raises(PromptTooLongError, match="blank pieces"):
        pull_all(text)


def test_only_as_many_pieces_are_asked_for_as_are_needed():
    source = iter(["a b c d e f ", "g h i j k l ", "m"])
    turns = Interleaver(ArrivingText(source, encode), (), TASK, 5, 15)
    turns.opening(())
    assert next(source) == "g h i j k l "


def finished(tokens) -> ArrivingText:
    return pull_all(ArrivingText([" ".join(map(str, tokens))], lambda part: [int(word) for word in part.split()]))


def told(turns, stop_after=lambda index: False, speech_to_come=9):
    """What is fed, group speech as S and speech after the task mark as E."""
    order = []
    while order.count("E") < speech_to_come:
        due = turns.due()
        if due is Due.GROUP_SPEECH and stop_after(len(order)):
            turns.end_group()
            continue
        if isinstance(due, Due):
            turns.spoke()
        order.append({Due.GROUP_SPEECH: "S", Due.LAST_SPEECH: "E"}.get(due, due))
    return order


def test_groups_of_2_and_3_until_the_text_is_over():
    turns = Interleaver(finished([3, 4, 5]), (1, 2), TASK, 2, 3)
    expected = [1, 2, "S", "S", "S", 3, 4, "S", "S", "S", 5, TASK, "E"]
    assert told(turns, speech_to_come=1) == expected


def test_a_text_of_whole_groups_ends_with_the_task_mark_alone():
    assert told(Interleaver(finished([1, 2]), (), TASK, 2, 1), speech_to_come=1) == [1, 2, "S", TASK, "E"]


def test_a_group_that_the_model_ends_is_followed_by_text():
    turns = Interleaver(finished(range(1, 6)), (), TASK, 2, 3)
    ends = iter([False, True, False, False, False])
    assert told(turns, lambda _: next(ends), 1) == [1, 2, "S", 3, 4, "S", "S", "S", 5, TASK, "E"]


@pytest.mark.parametrize("lead", [0, 1, 5, 7])
@pytest.mark.parametrize("num_codes", [0, 1, 14, 15, 16, 30, 50, 200])
def test_the_opening_holds_all_codes_and_every_token_once(lead, num_codes):
    tokens = list(range(1, 18))
    text = finished(tokens[lead:])
    turns = Interleaver(text, tuple(tokens[:lead]), TASK, 5, 15)
    values, is_code = turns.opening([-5] * num_codes)
    assert sum(is_code) == num_codes
    rest = [value for value in told(turns) if isinstance(value, int)]
    written = [value for value, code in zip(values, is_code, strict=True) if not code]
    assert [*written, *rest] == [*tokens, TASK]
    runs = [(is_speech, len(list(run))) for is_speech, run in itertools.groupby(is_code)]
    if num_codes <= 45:
        assert [size for is_speech, size in runs if is_speech][:-1] == [15] * ((num_codes - 1) // 15)
    else:
        assert values[-1 - (num_codes - 45)] == TASK, "codes that are left follow the task mark"


def test_the_order_does_not_depend_on_when_text_comes():
    words = " ".join(str(number) for number in range(1, 24))

    def order(pieces):
        text = ArrivingText(iter(pieces), lambda part: [int(word) for word in part.split()])
        turns = Interleaver(text, (50, 51), TASK, 5, 15)
        values, is_code = turns.opening([-5] * 20)
        while True:
            due = turns.due()
            if due is Due.ARRIVAL:
                text.pull()
            elif due is Due.LAST_SPEECH:
                return values, is_code
            else:
                values.append("S" if due is Due.GROUP_SPEECH else due)
                if due is Due.GROUP_SPEECH:
                    turns.spoke()

    assert order([words]) == order(re.findall(r"\S+ ?", words)) == order([words[:20], words[20:]])


def test_a_fresh_one_goes_its_own_way_over_the_same_text():
    turns = Interleaver(finished(range(1, 8)), (), TASK, 5, 2)
    turns.due()
    one, other = turns.fresh(), turns.fresh()
    assert told(one) == told(other) == told(turns)


def test_the_module_needs_no_torch():
    source = Path(__file__).resolve().parents[4] / "src/parlando/models/cosyvoice/parts/interleave.py"
    program = (
        f"import runpy, sys; runpy.run_path({str(source)!r}, run_name='interleave'); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "False"
