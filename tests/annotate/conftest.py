"""What the tests of annotation share."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def no_pictures(request, monkeypatch):
    """The page is drawn where it is tested; elsewhere that would cost two seconds each."""
    if "page" not in request.node.name:
        monkeypatch.setattr("parlando.annotate.page._pictures", lambda corpus: ())
