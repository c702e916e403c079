"""The recipes of the CosyVoice family's ears: they are read strictly, and are of the size they say."""

import pytest

from parlando.models.cosyvoice.parts.campplus import CampPlus
from parlando.models.cosyvoice.parts.speech_tokenizer import SpeechTokenizer
from parlando.train.cosyvoice.recipes import FlowRecipe, SpeakerRecipe, SpeechTokenizerRecipe, VocoderRecipe
from parlando.train.loop.recipe import read_recipe


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


def test_the_vocoder_is_tuned_as_it_was_trained_but_on_the_flows_mels_too(root):
    recipes = root / "recipes" / "cosyvoice-mini"
    first, tuned = (read_recipe(VocoderRecipe, recipes / f"{name}.toml").train for name in ("vocoder", "vocoder_tuned"))
    assert tuned.hift == first.hift
    assert (first.predicted_crops, tuned.predicted_crops) == (0, 3)
    assert tuned.adversarial_after < first.adversarial_after


def test_the_flow_begins_at_the_frames_of_an_encoder_that_knows_the_speaker(root):
    train = read_recipe(FlowRecipe, root / "recipes" / "cosyvoice-mini" / "flow.toml").train
    assert (train.flow.prior, train.flow.speaker_in_encoder) == ("mean", True)
    assert 0 < train.velocity_after < 1
    assert 0 < train.mix.resampled_share < 1
