"""Problems as the answers that a path's clients expect."""

from __future__ import annotations

import json

import pytest

from parlando.core.errors import BusyError, TextError
from parlando.serve.problems import answer, problem_of


def answered(error):
    """What CosyVoice's published client is answered: status, address and detail."""
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/inference_sft",
        "headers": [(b"user-agent", b"python-requests/2")],
    }
    response = answer(problem_of(error), scope)
    return response.status_code, response.headers["location"], json.loads(response.body)["detail"]


@pytest.mark.parametrize("sign", ["y", " ", "é", "\n", "y "])
def test_the_address_of_an_error_is_bounded_and_its_body_has_all_of_it(sign):
    message = "word" + sign * 100_000
    status, address, detail = answered(TextError(message))
    assert (status, detail) == (303, message)
    assert address.startswith("error:400_word")
    assert len(address) <= 500


def test_a_short_message_is_in_the_address_whole():
    assert answered(BusyError("busy; come again.", 3.2)) == (303, "error:503_busy;_come_again.", "busy; come again.")
