"""The recipes of the CosyVoice family's ears: they are read strictly, and are of the size they say."""

import pytest

from parlando.models.cosyvoice.parts.campplus import CampPlus
from parlando.models.cosyvoice.parts.speech_tokenizer import SpeechTokenizer
from parlando.train.cosyvoice_recipes import SpeakerRecipe, SpeechTokenizerRecipe
from parlando.train.recipes import read_recipe


def millions(module):
    return sum(parameter.numel() for parameter in module.parameters()) / 1e6


def test_the_speech_tokenizer_is_small_and_has_all_codes(root):
    recipe = read_recipe(SpeechTokenizerRecipe, root / "recipes" / "cosyvoice-mini" / "speech_tokenizer.toml")
    tokenizer = SpeechTokenizer(recipe.train.tokenizer)
    assert tokenizer.quantizer.num_codes == 6561
    assert tokenizer.config.token_rate == 25
    assert millions(tokenizer) == pytest.approx(3.45, abs=0.05)


def test_the_speaker_encoder_is_small(root):
    recipe = read_recipe(SpeakerRecipe, root / "recipes" / "cosyvoice-mini" / "speaker.toml")
    assert millions(CampPlus(recipe.train.encoder)) == pytest.approx(1.25, abs=0.05)
    assert not set(recipe.train.speeds) & set(recipe.train.unseen_speeds)
