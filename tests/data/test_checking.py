import json
from functools import partial

import pytest
from tiny_corpus import SENTENCES, write_corpus

from parlando.core.errors import ConfigError
from parlando.data.checking import HEARD, check_corpus, corpus_yield, letter_errors, read_heard
from parlando.data.manifest import read_manifest
from parlando.data.synthesise import read_left_out

pytestmark = pytest.mark.usefixtures("in_this_process")


class Ear:
    """A judge who hears what it is told to hear, by the length of the clip."""

    card = "ear 1 (left)"

    def __init__(self, hears, count):
        self._hears, self._count = hears, count

    def hear(self, clip, language):
        self._count.append(language)
        return self._hears[round((clip.duration_seconds - 0.6) / 0.05)]


@pytest.fixture
def corpus(tmp_path):
    return write_corpus(tmp_path, ("slt",))


def test_what_is_misheard_moves_from_the_manifest_to_what_is_left_out(corpus):
    count, hears = [], [SENTENCES[0].upper(), "we saw a dead goat", *SENTENCES[2:5], ""]
    result = check_corpus(corpus, partial(Ear, hears, count))
    assert str(result) == "4 of 6 sentences kept (66.7%); 2 misheard"
    assert [u.text for u in read_manifest(corpus)] == [SENTENCES[0], *SENTENCES[2:5]]
    assert [(each.text, each.reason) for each in read_left_out(corpus.parent)] == [
        (SENTENCES[1], "misheard"),
        (SENTENCES[5], "misheard"),
    ]
    heard = read_heard(corpus.parent)
    assert (heard["slt_1"].judge, heard["slt_1"].text) == ("ear 1 (left)", "we saw a dead goat")
    assert heard["slt_1"].errors == pytest.approx(3 / 13, abs=1e-4)
    assert heard["slt_5"].errors == 1
    assert count == ["en"] * 6


def test_nothing_is_heard_twice(corpus):
    count = []
    check_corpus(corpus, partial(Ear, list(SENTENCES), count))
    lines = (corpus.parent / HEARD).read_text().splitlines(keepends=True)
    (corpus.parent / HEARD).write_text("".join(lines[:4]) + lines[4][:20])
    count.clear()
    assert str(check_corpus(corpus, partial(Ear, list(SENTENCES), count))) == "6 of 6 sentences kept (100.0%)"
    assert len(count) == 2
    assert len([json.loads(line) for line in (corpus.parent / HEARD).read_text().splitlines()]) == 6


def test_how_much_is_let_pass_can_be_chosen(corpus):
    hears = [SENTENCES[0], "we saw a dead goat", *SENTENCES[2:]]
    assert check_corpus(corpus, partial(Ear, hears, []), most_errors=0.25).kept == 6
    assert check_corpus(corpus, partial(Ear, hears, []), most_errors=0.2).kept == 5
    assert corpus_yield(corpus).reasons == {"misheard": 1}
    with pytest.raises(ConfigError, match="must be a share from 0 to 1, not 2"):
        check_corpus(corpus, partial(Ear, hears, []), most_errors=2)


@pytest.mark.parametrize(
    ("written", "heard", "language", "errors"),
    [
        ("It cost five dollars.", "it cost $5", "en", 0),
        ("Someone came.", "some one came", "en", 0),
        ("Say it.", "", "en", 1),
        ("Say it.", "Say it now.", "en", 3 / 5),
        ("十二个人。", "12个人", "zh", 0),
        ("今天很好。", "今天不好", "zh", 1 / 4),
        ("Él comió.", "el comió", "es", 1 / 7),
    ],
)
def test_errors_are_of_letters(written, heard, language, errors):
    assert letter_errors(written, heard, language) == pytest.approx(errors)


@pytest.mark.parametrize(
    ("written", "heard"),
    [
        ("One, seven, two, one.", "1721"),
        ("My number is five zero nine nine.", "My number is 5099."),
        ("Please dial five two five, nine seven seven, three three eight two.", "Please dial 525-9773-382."),
        ("One, three, five, seven, nine, eleven, thirteen, fifteen.", "1357 911 1315"),
        ("It happened in nineteen hundred years.", "It happened in 1900 years."),
        ("It costs five dollars in seventeen eighty.", "It costs $5 in 1780."),
        ("The twenty second of May, a hundred and five days.", "The 22nd of May, 105 days."),
    ],
)
def test_numbers_are_heard_however_they_are_written(written, heard):
    assert letter_errors(written, heard, "en") == 0


def test_a_digit_that_is_not_heard_counts():
    assert letter_errors("One, seven, two, one.", "171", "en") == pytest.approx(3 / 14)
    assert letter_errors("One, seven, two, one.", "1724", "en") == pytest.approx(3 / 14)
    assert letter_errors("I paid ninety pounds.", "I paid nine pounds.", "en") > 0.1
    assert letter_errors("I paid ninety pounds.", "I paid £9.", "en") > 0.1
