"""Speech in one language, spoken in another: phrasebooks, text models that translate, and the speaker's own voice."""

from __future__ import annotations

import numpy as np
import pytest

from parlando.converse.interpreting import Interpreter
from parlando.converse.translators import ModelTranslator, Phrasebook, read_phrasebook
from parlando.core.errors import ConfigError, FileMissingError, TextModelError
from parlando.speech import Synthesizer
from scripted_model import Model
from talk_parts import Ears, Mind, question

RATE = 24_000


def test_a_phrasebook_knows_sentences_and_words_and_says_what_it_does_not(caplog):
    book = read_phrasebook("de", "en")
    assert "".join(book.translate("Guten Morgen! Wie geht es Ihnen?")).split()[:2] == ["Good", "morning."]
    assert "".join(book.translate("Ja, Zitrone.")).strip() == "Yes Zitrone."
    assert "Zitrone." in caplog.text


def test_phrasebooks_of_ones_own(tmp_path):
    path = tmp_path / "book.toml"
    path.write_text('[fr-en]\n"Bonjour !" = "Hello."\n')
    assert list(read_phrasebook("fr", "en", path).translate("bonjour")) == ["Hello. "]
    with pytest.raises(ConfigError, match=r"no table \[en-fr\], only: fr-en"):
        read_phrasebook("en", "fr", path)
    path.write_text("[")
    with pytest.raises(ConfigError, match="not TOML"):
        read_phrasebook("fr", "en", path)
    with pytest.raises(FileMissingError, match="no phrasebook at"):
        read_phrasebook("fr", "en", tmp_path / "none.toml")


def test_a_text_model_is_told_both_languages():
    mind = Mind("Good ", "day.")
    assert list(ModelTranslator(mind, "de", "en").translate("Guten Tag.")) == ["Good ", "day."]
    assert [m.content for m in mind.asked[0]] == [
        "Translate what the user says from German into English. Answer with the translation and nothing else.",
        "Guten Tag.",
    ]
    with pytest.raises(TextModelError, match="no translation"):
        list(ModelTranslator(Mind(" "), "de", "en").translate("Guten Tag."))


@pytest.fixture
def synthesizer():
    with Synthesizer(Model()) as made:
        yield made


def interpreted(synthesizer, sound, **how):
    ears = Ears("Guten Morgen.", "Danke.", "")
    interpreter = Interpreter(synthesizer, ears, read_phrasebook("de", "en"), ("de", "en"), **how)
    pieces = (sound[at : at + 2400] for at in range(0, len(sound), 2400))
    return [
        (turn.heard, turn.voice, sum(len(c.samples) for c in turn.chunks), "".join(turn.translated).strip())
        for turn in interpreter.turns(pieces, RATE)
    ]


def test_every_turn_is_spoken_in_the_speakers_own_voice(synthesizer):
    sound = np.concatenate([question(2.5), question(1.0), question(1.0)])
    first, second = interpreted(synthesizer, sound)
    assert first == ("Guten Morgen.", "speaker", 2 * 1000, "Good morning.")
    assert second == ("Danke.", "speaker", 2 * 1000, "Thank you.")


def test_a_voice_that_was_given_is_kept_and_one_too_short_to_follow_is_not_followed(synthesizer, caplog):
    assert interpreted(synthesizer, question(1.0), voice="bob")[0][1] == "bob"
    synthesizer.model.needs_transcript = False
    short = np.concatenate([question(0.25)])
    assert [voice for _, voice, _, _ in interpreted(synthesizer, short)] in (["ada"], ["speaker"])


def test_a_dictionary_is_a_table():
    assert list(Phrasebook({"ja": "yes"}).translate("Ja!")) == ["yes "]
