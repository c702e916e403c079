"""Published checkpoints from end to end: three folders, two layouts, and the published interface on top."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from higgs_published import CODEBOOKS, CODEC, CODES, write_published_lm
from parlando.core.errors import CheckpointError
from parlando.core.types import Voice
from parlando.higgs import ChatMLSample, HiggsAudioServeEngine, Message
from parlando.models.higgs.build import load_model, load_published, save_model
from parlando.speech import Synthesizer


@pytest.fixture(scope="module", params=["original", "transformers"])
def layout(request):
    return request.param


@pytest.fixture(scope="module")
def published(layout, tmp_path_factory):
    """A published language model's folder, its tokenizer beside it."""
    return write_published_lm(tmp_path_factory.mktemp(layout), layout)


def test_both_layouts_load_and_keep_their_prompts(published, layout):
    model = load_published(published, CODEC, published, "cpu")
    assert model.config.prompt_layout == layout
    assert (model.frame_rate, model.sample_rate) == (25.0, 24_000)
    assert not model.speaks_utterances
    assert model.config.lm.audio_eos_id == model.tokenizer.audio_eos
    prompt = model.prompts.build("Hello there.", model.voices[model.default_voice])
    assert model.tokenizer.decode(prompt.tokens).endswith("<|audio_out_bos|>")


def test_a_published_model_speaks_through_the_pipeline(published):
    with Synthesizer(load_published(published, CODEC, published, "cpu")) as synthesizer:
        speech = synthesizer.say("Hello there.", seed=1, max_frames=30)
        assert 0 < speech.duration_seconds <= 30 / 25
        assert synthesizer.stream("Hello there.", Voice("x", "british accent"), seed=1, max_frames=12)


def test_the_published_interface_answers_in_audio_and_counts(published):
    engine = HiggsAudioServeEngine(published, CODEC, published, device="cpu")
    sample = ChatMLSample([Message("system", "Generate audio following instruction."), Message("user", "Hello.")])
    response = engine.generate(sample, max_new_tokens=40, force_audio_gen=True, seed=2)
    assert response.audio.dtype == np.float32
    assert response.generated_audio_tokens.shape[0] == CODEBOOKS
    assert (response.generated_audio_tokens[:, 0] == CODES).all()
    assert CODEBOOKS < response.usage["completion_tokens"] <= 40
    assert response.usage["total_tokens"] == response.usage["prompt_tokens"] + response.usage["completion_tokens"]
    engine.close()


def test_saved_in_our_layout_it_is_one_folder_and_says_the_same(published, tmp_path):
    model = load_published(published, CODEC, published, "cpu")
    folder = save_model(model, tmp_path / "own")
    assert (folder / "tokenizer.json").is_file()
    again = load_model(folder, "cpu")
    said = [Synthesizer(each).say("Hello there.", seed=1, max_frames=30).samples for each in (model, again)]
    assert np.abs(said[0] - said[1]).max() < 1e-6


def test_a_codec_folder_inside_the_model_is_found(published, tmp_path):
    folder = shutil.copytree(published, tmp_path / "model")
    shutil.copytree(CODEC, folder / "audio_tokenizer")
    assert load_model(folder, "cpu").name == "model"


def test_a_tokenizer_of_another_model_is_refused(published, tmp_path, layout):
    folder = shutil.copytree(published, tmp_path / "model")
    path = folder / "config.json"
    key = "audio_out_token_idx" if layout == "original" else "audio_token_id"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: 5}))
    with pytest.raises(CheckpointError, match="'audio_out' is 5 for the language model"):
        load_published(folder, CODEC, folder, "cpu")
