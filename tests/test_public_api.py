"""The public surface: few names, all documented, and all of them there."""

from __future__ import annotations

import inspect

import parlando
from parlando.core.install import version

MOST_NAMES = 10


def test_at_most_10_public_names():
    assert 0 < len(parlando.__all__) <= MOST_NAMES
    assert len(set(parlando.__all__)) == len(parlando.__all__)


def test_the_names_people_start_with_are_public():
    assert {"load", "Synthesizer", "Speech", "ParlandoError"} <= set(parlando.__all__)


def test_every_public_name_exists_and_says_what_it_is():
    for name in parlando.__all__:
        value = getattr(parlando, name)
        assert not callable(value) or inspect.getdoc(value), name


def test_an_unknown_name_is_an_attribute_error():
    assert not hasattr(parlando, "no_such_name")


def test_the_version_is_the_installed_one():
    assert version() == "0.1.0"
