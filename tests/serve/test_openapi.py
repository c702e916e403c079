"""The server against its own OpenAPI: what fits is answered, nothing is a 5xx, and every answer is documented."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import HealthCheck, Phase, given, settings

schemathesis = pytest.importorskip("schemathesis")
checks = pytest.importorskip("schemathesis.specs.openapi.checks")

UNHURRIED = settings(
    max_examples=10,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
# What no schema can say: that a text has a letter, that bytes are audio, that the last message is a user's.
MEANT = {"invalid_text", "invalid_audio", "invalid_input"}
MEANT_WORDS = (
    "nothing to pronounce",
    "text is empty",
    "it is empty",
    "read as audio",
    "base64",
    "no instructions",
    "needs the words",
)
STRICT = "there is no such field in this request"


@pytest.fixture(scope="module")
def described(serving):
    """A server, and what its OpenAPI says can be done."""
    with serving() as running:
        schema = schemathesis.openapi.from_url(f"{running.url}/openapi.json")
        yield running, [operation.ok() for operation in schema.get_all_operations()]


def is_meant(answer):
    """In OpenAI's shape, in ElevenLabs', or in CosyVoice's, which has no code; a body may want to be taken strictly."""
    if STRICT in str(answer):
        return True
    if isinstance(answer.get("error"), dict):
        return answer["error"]["code"] in MEANT
    detail = answer["detail"]
    return any(words in detail for words in MEANT_WORDS) if isinstance(detail, str) else detail["status"] in MEANT


def examine(operation, running, seen):
    """Ask for this operation again and again, with whatever its description allows."""

    @UNHURRIED
    @given(case=operation.as_strategy())
    def check(case):
        response = case.call(base_url=running.url)
        seen[operation.label, response.status_code] += 1
        case.validate_response(response, excluded_checks=[checks.positive_data_acceptance])
        if response.status_code == 400:
            assert is_meant(response.json()), f"a request that fits was refused: {response.text}"

    check()


def test_nothing_that_fits_the_description_is_a_5xx_or_undocumented(described):
    running, operations = described
    seen = Counter()
    for operation in operations:
        examine(operation, running, seen)
    assert {label for label, _ in seen} == {operation.label for operation in operations}
    assert not [key for key in seen if key[1] >= 500]
    running.wait_until(running.idle)
    assert running.say().status_code == 200
