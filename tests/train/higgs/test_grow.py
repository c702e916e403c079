"""A speech model grown from a tiny text model: what that knew, it still knows."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from stepping import stepper
from tiny_tasks import CODEBOOKS, CODEC, CODES, MIX

from parlando.core.errors import ConfigError, FileMissingError
from parlando.models.higgs.lm import HiggsLM
from parlando.models.higgs.tokenizer import PROMPT_STRINGS
from parlando.train.higgs.grow import grow
from parlando.train.higgs.lm_recipe import LMRecipe, make_lm_task
from parlando.train.higgs.start import find_start
from parlando.train.loop.recipe import Sources
from parlando.train.loop.trainer import Budget

transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

VOCABULARY = {text: index for index, text in enumerate(["<unk>", "good", "morning", "<|eot_id|>"])}


@pytest.fixture(scope="module")
def text_model(tmp_path_factory):
    """A folder as transformers writes it, its head tied to its embedding."""
    folder = tmp_path_factory.mktemp("llama")
    torch.manual_seed(1)
    config = transformers.LlamaConfig(
        vocab_size=6,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=True,
    )
    transformers.LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel(VOCABULARY, unk_token="<unk>"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    words.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture(scope="module")
def codec(tmp_path_factory):
    folder = tmp_path_factory.mktemp("codec")
    sizes = {**CODEC.__dict__, "num_codebooks": CODEBOOKS, "codebook_size": CODES}
    (folder / "codec.json").write_text(json.dumps(sizes))
    return folder


@pytest.fixture(scope="module")
def grown(text_model, codec, tmp_path_factory):
    folder = tmp_path_factory.mktemp("grown")
    torch.manual_seed(0)
    grow(text_model, codec, folder)
    return folder


def test_text_is_continued_as_before(text_model, grown):
    start = find_start(str(grown))
    lm = HiggsLM(start.sizes)
    lm.load_state_dict(start.tensors)
    tokens = torch.tensor([[1, 2, 1, 1, 2]])
    hidden = lm.eval()(tokens, torch.zeros(1, 5, CODEBOOKS, dtype=torch.int64), torch.zeros(1, 5, dtype=torch.bool))
    model = transformers.LlamaForCausalLM.from_pretrained(text_model, dtype=torch.float32)
    torch.testing.assert_close(lm.text_logits(hidden)[..., :4], model(tokens).logits[..., :4], atol=1e-5, rtol=1e-4)


def test_audio_begins_as_a_copy_of_text_with_tables_of_its_own(grown):
    tensors = load_file(grown / "lm.safetensors")
    pairs = [(name, name.replace("audio_", "")) for name in tensors if ".audio_" in name]
    assert len(pairs) == 2 * 5
    assert all(torch.equal(tensors[audio], tensors[text]) for audio, text in pairs)
    assert tensors["embed_audio_tokens.weight"].shape == (CODEBOOKS * (CODES + 2), 32)
    frame = tensors["embed_audio_tokens.weight"].float().view(CODEBOOKS, -1, 32).sum(0)
    known = tensors["embed_tokens.weight"][:4].float()
    assert 0.6 < frame.std() / known.std() < 1.6
    assert {tensor.dtype for tensor in tensors.values()} == {torch.bfloat16}


def test_every_prompt_string_is_a_token_and_new_ones_are_near_the_mean(grown, text_model):
    start = find_start(str(grown))
    ids = [start.tokenizer.encode(text) for text in PROMPT_STRINGS]
    assert all(len(each) == 1 for each in ids)
    assert start.tokenizer.eot == VOCABULARY["<|eot_id|>"]
    assert start.sizes.vocab_size == start.tokenizer.vocab_size == len(VOCABULARY) + len(PROMPT_STRINGS) - 1
    table = start.tensors["embed_tokens.weight"]
    known = load_file(text_model / "model.safetensors")["model.embed_tokens.weight"].float()
    mean, spread = known.mean(0), known.std(0)
    assert ((table[start.tokenizer.audio_out] - mean).abs() / spread).mean() < 0.2
    assert torch.equal(table, start.tensors["text_lm_head.weight"]) is False


def test_it_learns_from_there(grown, codec, codes):
    recipe = LMRecipe(Budget(steps=1), MIX)
    task = make_lm_task(recipe, Sources(codes=codes, codec=codec, start_from=grown))
    first = stepper(task).step(0, 0.1)["codes"]
    for step in range(1, 12):
        last = stepper(task).step(step, 0.1)["codes"]
    assert last < first


def test_a_text_model_of_another_shape_is_refused(text_model, codec, tmp_path):
    config = json.loads((text_model / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"model_type": "gpt2"}))
    with pytest.raises(ConfigError, match="model_type = 'gpt2' is not supported; only 'llama' is"):
        grow(tmp_path, codec, tmp_path / "out")
    (tmp_path / "config.json").write_text(json.dumps(config | {"attention_bias": True}))
    with pytest.raises(ConfigError, match="attention_bias"):
        grow(tmp_path, codec, tmp_path / "out")


def test_what_is_missing_is_named(text_model, codec, tmp_path):
    (tmp_path / "config.json").write_text((text_model / "config.json").read_text())
    with pytest.raises(FileMissingError, match="weights"):
        grow(tmp_path, codec, tmp_path / "out")
    save_file({"model.norm.weight": torch.ones(32)}, tmp_path / "model.safetensors")
    with pytest.raises(FileMissingError, match=r"tokenizer\.json"):
        grow(tmp_path, codec, tmp_path / "out")
