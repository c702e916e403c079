"""The teacher around its model: a model of the same promises stands in, and the real one where it is installed."""

import json

import numpy as np
import pytest

from parlando.core.errors import ConfigError, MissingDependencyError
from parlando.data.teachers import kokoro as module
from parlando.data.teachers.kokoro import Engine, Kokoro
from parlando.data.teachers.kokoro.backends import Uttered, choose_backend
from parlando.data.teachers.kokoro.install import Files, installed
from parlando.data.teachers.kokoro.reading import UNREADABLE, Reading
from parlando.data.teachers.kokoro.voices import MIXED, ROWS, WIDTH
from parlando.data.teachers.protocol import Line, Spoken, Unspoken

VOCABULARY = {symbol: place for place, symbol in enumerate(" ,.abinotuˈ", 1)}


class Humming:
    """Four units for the end at the left, two for each token; 100 Hz rising, and 5 Hz where nothing is voiced."""

    def __init__(self):
        self.asked = []

    def utter(self, tokens, style, tempo):
        self.asked.append((tokens.tolist(), style.shape, tempo))
        units = np.full(tokens.shape[1], 2)
        units[0] = 12
        values = 2 * units.sum()
        hertz = np.where(np.arange(values) < 20, 5.0, 100.0 + np.arange(values))
        return Uttered(np.full(600 * units.sum(), 1.5, np.float32), units, hertz, np.ones(values))


@pytest.fixture
def engine(tmp_path, monkeypatch):
    (tmp_path / "voices").mkdir()
    for name in MIXED:
        np.zeros((ROWS, WIDTH), np.float32).tofile(tmp_path / "voices" / f"{name}.bin")
    (tmp_path / "vocabulary.json").write_text(json.dumps({"vocab": VOCABULARY}))
    readings = {
        "Bee, two.": Reading("bˈi, tu.", (("Bee", 0, 2), ("two", 5, 6))),
        "?": Reading("."),
        "strange": Reading(UNREADABLE),
        "long": Reading("a" * 501),
    }
    monkeypatch.setattr(module, "reader", lambda language, british: readings.__getitem__)
    return Engine(Files(tmp_path), Humming())


def test_a_line_becomes_samples_phones_words_and_tracks(engine):
    said = engine.say(Line("Bee, two.", 1.2), "af_heart")
    assert isinstance(said, Spoken)
    tokens = [0, *(VOCABULARY[symbol] for symbol in "bˈi, tu."), 0]
    assert engine._backend.asked == [([tokens], (1, WIDTH), 1.2)]
    assert (len(said.samples), said.samples.dtype, said.samples.max()) == (600 * 30, np.int16, 32767)
    assert said.phones == [
        ("pau", 0.25), ("b", 0.3), ("iy", 0.4), ("pau", 0.5), ("t", 0.55), ("uw", 0.6), ("pau", 0.75)
    ]  # fmt: skip
    assert said.details.words == (("Bee", 0.25, 0.4), ("two", 0.5, 0.6))
    assert "".join(symbol for symbol, _ in said.details.symbols) == "bˈi, tu."
    assert said.details.track_rate == 80
    assert said.details.hertz[:20].tolist() == [0] * 20
    assert said.details.hertz[20] == 120


@pytest.mark.parametrize(
    ("text", "reason"),
    [("?", "nothing to say"), ("strange", "a letter that has no symbol"), ("long", "more than 500 symbols")],
)
def test_what_cannot_be_said_has_a_reason(engine, text, reason):
    assert engine.say(Line(text), "af_heart") == Unspoken(reason)
    assert engine._backend.asked == []


def test_a_card_says_what_a_speaker_is_made_of():
    assert Kokoro().describe("af_heart") == "1.00 af_heart"
    assert Kokoro().describe("far_003") == "1.35 am_santa − 0.35 bm_lewis"
    assert Kokoro().describe("mix_017") == "0.34 zf_xiaoxiao + 0.11 zm_yunjian + 0.56 jf_gongitsune"


def test_an_absent_kokoro_is_named_with_the_command_that_brings_it(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(MissingDependencyError, match="'kokoro' is needed.*run: parlando data install-teacher kokoro"):
        Kokoro().check("af_heart", "en")
    with pytest.raises(ConfigError, match="kokoro does not speak 'de'; it speaks: en, zh"):
        Kokoro().check("af_heart", "de")


def test_backends_are_known_by_name():
    assert choose_backend("openvino") == "openvino"
    assert choose_backend("auto") in ("openvino", "onnxruntime")
    with pytest.raises(ConfigError, match=r"no backend named 'onnx'; there are: auto, openvino, onnxruntime"):
        choose_backend("onnx")


def test_english_has_its_own_voices_and_mixtures_other_languages_their_own(tmp_path, monkeypatch, engine):
    monkeypatch.setattr(module, "installed", lambda: Files(tmp_path))
    english = Kokoro().shares("en").split(",")
    assert english[-1] == "mix_000..mix_199=1"
    assert {name[0] for name in english[:-1]} == {"a", "b"}
    assert {name[0] for name in Kokoro().shares("zh").split(",")} == {"z"}


def has_kokoro():
    try:
        installed()
        import misaki.en  # noqa: F401
    except (MissingDependencyError, ImportError):
        return False
    return True


needs_kokoro = pytest.mark.skipif(not has_kokoro(), reason="kokoro is not installed")


@needs_kokoro
@pytest.mark.slow
def test_both_backends_say_the_same():
    line = Line("The water in the corner was cold, and twenty-one people waited.")
    voices = "af_heart", "bm_george"
    for voice in voices:
        said = [Kokoro(backend).speak([line], voice)[0] for backend in ("onnxruntime", "openvino")]
        first, second = (" ".join(name for name, _ in each.phones) for each in said)
        assert first == second
        lengths = [len(each.samples) / 24_000 for each in said]
        assert lengths[0] == pytest.approx(lengths[1], abs=0.1)
        assert [w for w, _, _ in said[0].details.words] == line.text.replace(",", "").rstrip(".").split()
        voiced = [np.log(each.details.hertz[each.details.hertz > 0]).mean() for each in said]
        assert voiced[0] == pytest.approx(voiced[1], abs=0.02)
