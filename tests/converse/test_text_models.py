"""Text models by name, and one on this machine at a tiny size."""

from __future__ import annotations

import pytest

from parlando.converse.local_model import LocalModel, Writing
from parlando.converse.stages import Message
from parlando.converse.text_models import text_model
from parlando.core.errors import CheckpointError, ConfigError, FileMissingError

ASKED = [Message("user", "Say it again.")]
TEMPLATE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant:"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A Llama of random weights over bytes, with a chat template."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    path = tmp_path_factory.mktemp("llm")
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({sign: at for at, sign in enumerate([*alphabet, "<end>"])}, []))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>")
    fast.chat_template = TEMPLATE
    fast.save_pretrained(path)
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    LlamaForCausalLM(LlamaConfig(vocab_size=257, eos_token_id=256, **sizes)).save_pretrained(path)
    return path


def test_a_model_in_a_folder_writes_as_its_library_generates(folder):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    prompt = tokenizer("user: Say it again.\nassistant:", return_tensors="pt")
    with torch.inference_mode():
        expected = model.generate(**prompt, max_new_tokens=20, do_sample=False, pad_token_id=256)[0]
    said = "".join(LocalModel(folder, Writing(most_tokens=20)).reply(ASKED))
    written = tokenizer.decode(expected[prompt["input_ids"].shape[1] :], skip_special_tokens=True)
    assert said
    assert written.startswith(said)
    assert len(written) - len(said) <= 3, "only what may be half of a character waits"


def test_a_cancelled_reply_leaves_off(folder):
    reply = LocalModel(folder, Writing(most_tokens=10_000)).reply(ASKED)
    pieces = iter(reply)
    next(pieces)
    reply.cancel()
    assert list(pieces) == []


def test_names_lead_to_models(folder, tmp_path):
    assert list(text_model("echo").reply([Message("user", "Hello there.")])) == ["Hello ", "there. "]
    assert "".join(text_model(str(folder)).reply(ASKED))
    with pytest.raises(FileMissingError, match="no folder with a text model at 'nowhere'"):
        text_model("nowhere")
    with pytest.raises(ConfigError, match="a URL"):
        text_model(" ")
    with pytest.raises(CheckpointError, match="holds no text model"):
        list(LocalModel(tmp_path).reply(ASKED))
