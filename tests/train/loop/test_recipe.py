"""A recipe with a key that has another name now is told that name; any other unknown key is not."""

import pytest

from parlando.core.errors import ConfigError
from parlando.train.cosyvoice.recipes import FlowRecipe, SpeakerRecipe, SpeechTokenizerRecipe, VocoderRecipe
from parlando.train.higgs.recipes import CodecRecipe
from parlando.train.loop.recipe import read_recipe


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        (VocoderRecipe, "[train]\nmade_crops = 3", r"\.train: 'made_crops' is named 'predicted_crops' now; rename it"),
        (SpeechTokenizerRecipe, "[train]\nmelody_weight = 1.0", "'melody_weight' is named 'prosody_weight' now"),
        (SpeechTokenizerRecipe, "[train.rough]\nshare = 0.5", "'rough' is named 'augment' now"),
        (SpeakerRecipe, "[train.rough]\nshare = 0.5", "'rough' is named 'augment' now"),
        (FlowRecipe, "[train.mix]\nretold_share = 0.5", r"\.train\.mix: 'retold_share' is named 'resampled_share' now"),
        (CodecRecipe, "[train.rough]\nshare = 0.5", r"unknown key 'rough'\. There are: "),
        (VocoderRecipe, "[train]\nmade_crop = 3", "unknown key 'made_crop'"),
    ],
)
def test_a_former_key_is_told_its_name_of_today(tmp_path, kind, text, message):
    (tmp_path / "r.toml").write_text(f"[budget]\nsteps = 1\n{text}\n")
    with pytest.raises(ConfigError, match=message):
        read_recipe(kind, tmp_path / "r.toml")
