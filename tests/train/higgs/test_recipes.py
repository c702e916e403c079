import json

import pytest
import torch
from stepping import stepper
from tiny_tasks import CODEC

from parlando.core.errors import CheckpointError, ConfigError, FileMissingError
from parlando.core.voicefile import read_voices
from parlando.models.higgs.parts.spectral import SpectralCodec
from parlando.models.higgs.parts.unified_codec import UnifiedCodec
from parlando.models.higgs.tokenizer import PhonemeTokenizer, default_phoneme_config
from parlando.models.locate import PACKAGED
from parlando.nn.checkpoint import save_tensors
from parlando.train.higgs.assemble import ModelRecipe
from parlando.train.higgs.encoders import load_trained_codec
from parlando.train.higgs.lm_recipe import LMRecipe, LMSizes, make_lm_task, small_lm_config
from parlando.train.higgs.recipes import (
    AudioTokenizerRecipe,
    CodecRecipe,
    ContentTeacherRecipe,
    VoiceTransferRecipe,
    make_codec_task,
)
from parlando.train.loop.recipe import Sources, read_recipe


@pytest.fixture
def recipes(root):
    return root / "recipes" / "higgs-mini"


def test_the_recipes_of_the_default_are_whole(recipes):
    codec, decoder = (read_recipe(CodecRecipe, recipes / f"{name}.toml") for name in ("codec", "decoder"))
    lm, model = read_recipe(LMRecipe, recipes / "lm.toml"), read_recipe(ModelRecipe, recipes / "model.toml")
    transfer = read_recipe(VoiceTransferRecipe, recipes / "voice_transfer.toml")
    assert not codec.train.adversarial
    assert decoder.train.adversarial
    assert 0 < lm.mix.clone_share + lm.mix.two_speaker_share < 1
    assert lm.mix.descriptions == model.voices
    assert set(lm.mix.masculine) < set(lm.mix.speaker_weights) == set(lm.mix.descriptions)
    assert model.default_voice in model.voices
    packaged = read_voices(PACKAGED / "higgs-mini" / "voices.json")
    assert {name: voice.display_name for name, voice in packaged.items()} == model.display_names
    assert all(recipe.budget.minutes for recipe in (codec, decoder, transfer, lm))
    assert set(transfer.train.speaker_weights) <= set(model.voices)


def test_the_published_audio_tokenizer_has_the_published_tensors(root):
    recipe = read_recipe(AudioTokenizerRecipe, root / "recipes" / "audio-tokenizer" / "published.toml")
    with torch.device("meta"):
        tensors = UnifiedCodec(recipe.train.codec).state_dict()
    published = root / "tests" / "golden" / "higgs" / "manifest_codec_transformers_layout.json"
    assert {name: list(tensor.shape) for name, tensor in tensors.items()} == json.loads(published.read_text())
    assert recipe.train.adversarial_after * recipe.budget.steps == 30_000
    assert sum(recipe.train.crops.kind_weights.values()) == pytest.approx(1)


def test_the_small_audio_tokenizer_belongs_to_the_small_teacher(root):
    recipes = root / "recipes" / "audio-tokenizer"
    small, teacher = (
        read_recipe(kind, recipes / f"{name}.toml").train
        for kind, name in ((AudioTokenizerRecipe, "small"), (ContentTeacherRecipe, "teacher"))
    )
    assert small.codec.teacher == teacher.hubert
    assert (small.codec.semantic_stride, small.codec.acoustic.samples_per_frame) == (2, 960)
    with torch.device("meta"):
        codec = UnifiedCodec(small.codec)
    assert sum(p.numel() for p in codec.semantic_model.parameters()) / 1e6 == pytest.approx(1.3, abs=0.05)
    assert read_recipe(AudioTokenizerRecipe, recipes / "tuned.toml").train.optim.rate < 1e-4


def test_the_default_can_say_each_description_in_one_token(recipes):
    lm = read_recipe(LMRecipe, recipes / "lm.toml")
    assert set(lm.mix.descriptions.values()) <= set(default_phoneme_config().descriptions)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[budget]\nminuets = 3", r"r\.toml\.budget: unknown key 'minuets'\. Did you mean 'minutes'\?"),
        ("[budget]\nsteps = 3\n[train.crops]\nbach = 2", r"unknown key 'bach'\. Did you mean 'batch'\?"),
        ("[budget]\nsteps = 'three'", r"r\.toml\.budget\.steps: expected int, got 'three'"),
        ("[train]\ndropout = 0.1", r"r\.toml: 'budget' is missing"),
        ("[budget]", "a training needs a budget"),
        ("budget = ", r"r\.toml: not TOML"),
    ],
)
def test_a_faulty_recipe_says_where(tmp_path, text, message):
    (tmp_path / "r.toml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_recipe(CodecRecipe, tmp_path / "r.toml")


def test_a_missing_recipe_is_named(tmp_path):
    with pytest.raises(FileMissingError, match=r"no recipe at '.*none\.toml'"):
        read_recipe(CodecRecipe, tmp_path / "none.toml")


@pytest.fixture
def exported(tmp_path):
    codec = SpectralCodec(CODEC)
    save_tensors(codec.state_dict(), tmp_path / "codec.safetensors")
    (tmp_path / "codec.json").write_text(json.dumps(CODEC.__dict__))
    return tmp_path


def test_a_trained_codec_comes_back(exported):
    codec = load_trained_codec(exported)
    assert (codec.config, codec.training) == (CODEC, False)


def test_a_codec_that_does_not_fit_is_named(exported):
    (exported / "codec.json").write_text(json.dumps({**CODEC.__dict__, "latent_dim": 7}))
    with pytest.raises(CheckpointError, match=r"codec\.safetensors: .*misshapen"):
        load_trained_codec(exported)
    (exported / "codec.safetensors").unlink()
    with pytest.raises(FileMissingError, match=r"codec\.safetensors"):
        load_trained_codec(exported)
    (exported / "codec.json").unlink()
    with pytest.raises(FileMissingError, match=r"codec\.json"):
        load_trained_codec(exported)


def test_an_adversarial_recipe_needs_a_codec_to_start_from(packed, tmp_path):
    (tmp_path / "r.toml").write_text("[budget]\nsteps = 1\n[train]\nadversarial = true")
    with pytest.raises(ConfigError, match="name its folder with --from"):
        make_codec_task(read_recipe(CodecRecipe, tmp_path / "r.toml"), Sources(corpus=packed.folder))


def test_a_language_model_takes_its_sizes_from_tokenizer_and_codec():
    tokenizer = PhonemeTokenizer(default_phoneme_config())
    config = small_lm_config(LMSizes(hidden_size=32, num_heads=4, context_length=99), tokenizer, 5, 64)
    assert config.vocab_size % 8 == 0
    assert 0 <= config.vocab_size - tokenizer.vocab_size < 8
    assert (config.head_dim, config.num_kv_heads, config.context_length) == (8, 4, 99)
    assert (config.num_codebooks, config.stream_eos) == (5, 65)
    assert (config.audio_out_bos_id, config.eot_id) == (tokenizer.audio_out_bos, tokenizer.eot)


def test_a_language_model_task_counts_seconds_by_its_codec(codes, tmp_path):
    sizes = {**CODEC.__dict__, "num_codebooks": 3, "codebook_size": 16, "stride": 8}
    (tmp_path / "codec.json").write_text(json.dumps(sizes))
    (tmp_path / "r.toml").write_text(
        "[budget]\nsteps = 1\n[sizes]\nhidden_size = 8\nnum_layers = 1\nnum_heads = 2\nintermediate_size = 8\n"
        '[mix]\ncandidates = 2\ntokens_per_batch = 80\nmasculine = ["rms"]\n[mix.descriptions]\nslt = "a"\nrms = "b"\n'
    )
    torch.manual_seed(0)
    task = make_lm_task(read_recipe(LMRecipe, tmp_path / "r.toml"), Sources(codes=codes, codec=tmp_path))
    assert task.config.frame_rate == 12.5
    assert stepper(task).step(0, 0.0)["loss"] > 0
