"""What a pitch says of a voice."""

import pytest

from parlando.audio.voicing import gender_of, pitch_of


@pytest.mark.parametrize(
    ("hertz", "gender", "pitch"),
    [(90, "masculine", "low"), (120, "masculine", "medium"), (150, "masculine", "high"), (250, "feminine", "high")],
)
def test_a_pitch_has_a_gender_and_a_place_in_it(hertz, gender, pitch):
    found, sure = gender_of(hertz)
    assert found == gender
    assert 0.5 <= sure <= 1
    assert pitch_of(gender, hertz) == pitch


def test_what_is_not_voiced_is_unknown():
    assert gender_of(0.0) == ("unknown", 0.0)
    assert pitch_of("unknown", 300.0) == "medium"
    assert pitch_of("feminine", 0.0) == "medium"
