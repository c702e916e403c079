"""Words in capitals that may be abbreviations: in a sentence of capitals, what is beside them says which they are."""

from __future__ import annotations

import pytest

from parlando.text.normalize import normalize


@pytest.mark.parametrize(
    "written",
    [
        "THE US WINS", "TO THE US NOW", "A US VISA FOR YOU", "IT IS OUR US OFFICE", "US WINS GOLD IN THIS RACE",
        "THE EU, US AND UK AGREE ON IT", "THEY MET US PRESIDENT FORD", "FOR US CITIZENS ONLY",
    ],
)  # fmt: skip
def test_the_country_is_spelled(written):
    assert " U S" in f" {normalize(written)}"


@pytest.mark.parametrize(
    "written",
    [
        "LET US GO",
        "TELL US MORE",
        "IT IS US",
        "ALL OF US ARE HERE",
        "US TWO WILL GO",
        "JOIN US, PLEASE",
        "THEY TOLD US TEAM",
    ],
)
def test_the_pronoun_is_not(written):
    assert normalize(written) == written


@pytest.mark.parametrize(
    "written", ["WE GO TO LA NOW", "FROM LA TO ME", "LA IS HOT", "THE LA TIMES SAID SO", "I LOVE LA."]
)
def test_the_city_is_spelled(written):
    assert "L A" in normalize(written)


@pytest.mark.parametrize("written", ["GO TO LA PAZ", "OOH LA LA", "THE MAN OF LA MANCHA", "VIVA LA VIDA", "DE LA CRUZ"])
def test_the_article_of_a_name_is_not(written):
    assert normalize(written) == written


def test_a_thing_is_spelled_where_it_is_named():
    assert normalize("MY ID IS AT HQ, NOT IN THE ER.") == "MY I D IS AT H Q, NOT IN THE E R."
    assert normalize("ER, ID LOVE TO GO.") == "ER, ID LOVE TO GO."
