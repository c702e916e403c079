import numpy as np
import pytest

from parlando.core.errors import VoiceNotFoundError
from parlando.data.teachers.kokoro.voices import MIXED, ROWS, WIDTH, Voices, is_british, recipe


@pytest.fixture
def voices(tmp_path):
    """Voices whose every value says who it is and how many tokens it is for."""
    for place, name in enumerate(MIXED):
        rows = np.arange(ROWS, dtype=np.float32)[:, None] + 1_000 * place
        np.repeat(rows, WIDTH, axis=1).tofile(tmp_path / f"{name}.bin")
    return Voices(tmp_path)


def test_a_mixture_is_three_voices_whose_weights_sum_to_one():
    made = [recipe(f"mix_{number:03d}") for number in range(200)]
    assert all(len({name for name, _ in each}) == 3 for each in made)
    assert all(sum(weight for _, weight in each) == pytest.approx(1) for each in made)
    assert min(weight for each in made for _, weight in each) > 0.06
    assert len(set(made)) == 200
    assert {name for each in made for name, _ in each} == set(MIXED)


def test_a_name_is_a_seed():
    assert [(name, round(weight, 4)) for name, weight in recipe("mix_017")] == [
        ("zf_xiaoxiao", 0.3352),
        ("zm_yunjian", 0.1071),
        ("jf_gongitsune", 0.5578),
    ]
    assert recipe("far_003") == (("am_santa", 1.35), ("bm_lewis", -0.35))


def test_a_step_away_weighs_the_voice_more_than_one():
    (voice, weight), (other, away) = recipe("far_010")
    assert (weight, away) == (1.35, -0.35)
    assert voice != other
    assert recipe("af_heart") == (("af_heart", 1.0),)


def test_a_style_is_the_weighted_sum_of_the_rows_for_so_many_tokens(voices):
    style = voices.style("mix_005", 40)
    expected = sum(weight * (39 + 1_000 * MIXED.index(name)) for name, weight in recipe("mix_005"))
    assert style.shape == (1, WIDTH)
    assert style.dtype == np.float32
    assert style[0] == pytest.approx(expected, rel=1e-5)
    assert voices.style("af_heart", 1)[0, 0] == 0
    assert voices.style("af_heart", 510)[0, 0] == 509


def test_accents_follow_the_greater_part():
    assert is_british("bf_emma")
    assert not is_british("jf_alpha")
    british = [name for name in (f"mix_{n:03d}" for n in range(200)) if is_british(name)]
    shares = [sum(weight for voice, weight in recipe(name) if voice[0] == "b") for name in british]
    assert min(shares) > 0.5
    assert 5 < len(british) < 60


def test_who_can_neither_be_found_nor_made_is_named(voices):
    voices.check("mix_999")
    voices.check("far_1234")
    for name in ("af_hart", "mix_1", "mix_"):
        with pytest.raises(VoiceNotFoundError, match=f"no voice named '{name}'"):
            voices.check(name)
    (voices.folder / "af_heart.bin").unlink()
    with pytest.raises(VoiceNotFoundError, match="no voice named 'af_heart'"):
        Voices(voices.folder).check("af_heart")
