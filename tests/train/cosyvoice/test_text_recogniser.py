"""A speech tokenizer that learns from texts: whole utterances, what is written of them, and what it starts from."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from stepping import hand_on, stepper
from tiny_corpus import SENTENCES

import onnx_writer
from cosyvoice_front import small_tokenizer
from parlando.core.errors import CheckpointError, ConfigError
from parlando.data.sampler import CropConfig
from parlando.data.shards import UNKNOWN_PHONE
from parlando.models.cosyvoice.build import load_published_speech_tokenizer
from parlando.models.cosyvoice.parts.speech_tokenizer import SpeechTokenizer, SpeechTokenizerConfig
from parlando.train.cosyvoice.recipes import SpeechTokenizerRecipe, make_speech_tokenizer_task
from parlando.train.cosyvoice.speech_tokenizer import (
    SpeechTokenizerTask,
    SpeechTokenizerTrainConfig,
    UtteranceTokenizerTask,
)
from parlando.train.cosyvoice.text_recogniser import MARK, NOTHING, TextConfig, TextDecoder, UtteranceSampler, text_loss
from parlando.train.loop.optim import OptimConfig
from parlando.train.loop.recipe import Sources
from parlando.train.loop.trainer import Budget
from parlando.train.shared.speaker_head import SpeakerHead

SMALL = SpeechTokenizerConfig(hidden_size=16, num_heads=2, num_layers=1, memory_kernel=5)
TEXT = TextConfig(num_layers=1, tokens_per_batch=40, candidates=4, smoothing=0.0)
CROPS = CropConfig(held_out_batch=2)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def text_task(packed, text=TEXT, **changes):
    config = SpeechTokenizerTrainConfig(tokenizer=SMALL, crops=CROPS, recogniser_layers=1, text=text)
    return UtteranceTokenizerTask(packed, replace(config, **changes), text)


def test_a_batch_is_whole_utterances_padded_and_their_texts(packed):
    sampler = UtteranceSampler(packed, CROPS, TEXT)
    batch = sampler.batch(3)
    clips, longest = len(batch.tokens), int(batch.tokens.max())
    assert batch.waves.shape == (clips, longest * 960)
    assert batch.labels.shape == (clips, longest, 2)
    assert batch.tokens.sum() >= 40
    for row, (count, written) in enumerate(zip(batch.tokens, batch.text, strict=True)):
        said = bytes(written[: list(written).index(MARK)].tolist()).decode()
        assert said in SENTENCES
        assert set(written[list(written).index(MARK) + 1 :]) <= {NOTHING}
        assert not batch.waves[row, count * 960 :].any()
        assert (batch.labels[row, count:] == UNKNOWN_PHONE).all()
        assert batch.waves[row, : count * 960].any()
    again = UtteranceSampler(packed, CROPS, TEXT).batch(3)
    assert (again.waves == batch.waves).all()


def test_an_utterance_without_words_is_left_out_and_none_at_all_an_error(packed, monkeypatch):
    entries = [replace(entry, text="" if number else "Ja, grüß Gott.") for number, entry in enumerate(packed.entries)]
    monkeypatch.setattr(packed, "entries", entries)
    batch = UtteranceSampler(packed, CROPS, TEXT).batch(0)
    assert {bytes(row[row < MARK][row[row < MARK] >= 0].tolist()).decode() for row in batch.text} == {"Ja, grüß Gott."}
    with pytest.raises(ConfigError, match=r"no utterance of '.*' has a text and at most 0\.1 seconds"):
        UtteranceSampler(packed, CROPS, replace(TEXT, longest_seconds=0.1))


@torch.no_grad()
def test_a_symbol_is_told_from_those_before_it_and_from_what_is_there():
    decoder = TextDecoder(16, 2, 2).eval()
    text = torch.tensor([[72, 105, MARK, NOTHING]])
    heard, present = torch.randn(1, 5, 16), torch.tensor([[True, True, True, False, False]])
    logits = decoder(text, heard, present)
    assert logits.shape == (1, 4, 257)
    other = decoder(torch.tensor([[72, 111, MARK, NOTHING]]), heard, present)
    assert torch.allclose(other[:, :2], logits[:, :2], atol=1e-6)
    assert not torch.allclose(other[:, 2], logits[:, 2], atol=1e-3)
    longer = heard.clone()
    longer[:, 3:] = 9.0
    assert torch.allclose(decoder(text, longer, present), logits, atol=1e-6)
    assert not torch.allclose(decoder(text, longer, torch.ones_like(present)), logits, atol=1e-3)
    cut = text_loss(logits[:, :3], text[:, :3], 0.0)
    assert float(text_loss(logits, text, 0.0)) == pytest.approx(float(cut), rel=1e-6)


def test_the_text_alone_teaches_everything_it_passes_through(packed):
    task = text_task(packed, phone_weight=0.0)
    next(task.objectives(task.batch(0), 0.0)).loss.backward()
    moved = {name for name, p in task.trained.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    expected = {name for name, _ in task.trained.named_parameters() if name.startswith(("0.", "3."))}
    assert expected <= moved
    assert not any(name.startswith(("1.heads", "2.")) for name in moved)


def test_one_batch_is_learnt_by_heart(packed):
    task = text_task(packed, optim=OptimConfig(rate=1e-2, warmup=0.0))
    batch = task.batch(0)
    task.batch = lambda number: batch
    steps = [stepper(task).step(number, number / 60) for number in range(60)]
    stepper(task).close()
    assert set(steps[0]) == {"loss", "phone", "speaker", "text", "codes_used", "norm", "audio_seconds", "tokens"}
    assert steps[0]["loss"] == pytest.approx(steps[0]["phone"] + steps[0]["text"], rel=1e-5)
    assert steps[0]["audio_seconds"] == pytest.approx(float(batch.tokens.sum()) / 25)
    assert steps[-1]["text"] < 0.5 * steps[0]["text"]


def test_a_restored_task_goes_on_as_if_nothing_had_happened(packed):
    first, second = text_task(packed), text_task(packed)
    stepper(first).step(0, 0.1)
    hand_on(first, second)
    assert stepper(first).step(1, 0.2) == stepper(second).step(1, 0.2)
    held_out = stepper(first).evaluate()
    assert held_out == stepper(second).evaluate()
    assert held_out["text"] > 0


def test_padding_tells_nobody_who_speaks():
    head, content = SpeakerHead(4, 3, reach=1), torch.randn(2, 6, 4)
    speakers, present = torch.tensor([0, 2]), torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
    changed = content.clone()
    changed[1, 4:] = 9.0
    assert torch.equal(head(content, speakers, present), head(changed, speakers, present))
    assert not torch.equal(head(content, speakers), head(changed, speakers))
    assert torch.equal(head(content, speakers, torch.ones_like(present)), head(content, speakers))


def test_the_recipe_says_whether_there_are_texts(packed):
    crops = SpeechTokenizerTrainConfig(tokenizer=SMALL, crops=replace(CROPS, frames=5, batch=2))
    sources = Sources(corpus=packed.folder)
    for train, kind in ((crops, SpeechTokenizerTask), (replace(crops, text=TEXT), UtteranceTokenizerTask)):
        assert type(make_speech_tokenizer_task(SpeechTokenizerRecipe(Budget(steps=1), train), sources)) is kind
    with pytest.raises(ConfigError, match="prosody is learned from crops"):
        text_task(packed, prosody_weight=1.0)


def test_a_published_graph_is_started_from_at_the_recipes_sizes(packed, tmp_path):
    small = small_tokenizer()
    onnx_writer.write_speech_tokenizer(small, tmp_path / "speech_tokenizer_v2.onnx")
    task = text_task(packed, tokenizer=small.config, start_from=str(tmp_path))
    found = task.tokenizer.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in small.state_dict().items())
    with pytest.raises(CheckpointError, match="not the graph of CosyVoice2's SpeechTokenizer"):
        text_task(packed, start_from=str(tmp_path))


def test_what_was_trained_stands_for_a_published_graph(packed, tmp_path):
    task = text_task(packed)
    task.export(tmp_path)
    loaded = load_published_speech_tokenizer(tmp_path)
    assert loaded.config == SMALL
    assert all(torch.equal(task.tokenizer.state_dict()[name], t) for name, t in loaded.state_dict().items())


def test_the_published_recipe_has_the_published_tensors(root):
    from parlando.train.loop.recipe import read_recipe

    recipe = read_recipe(SpeechTokenizerRecipe, root / "recipes" / "speech-tokenizer" / "published.toml")
    with torch.device("meta"):
        tensors = SpeechTokenizer(recipe.train.tokenizer).state_dict()
    assert len(tensors) == 102
    assert sum(tensor.numel() for tensor in tensors.values()) == 123_714_568
    small = {name.replace("blocks.1.", "blocks.5.") for name in small_tokenizer().state_dict()}
    assert small <= tensors.keys()
    assert list(tensors["encoder.conv1.weight"].shape) == [1280, 128, 3]
    assert list(tensors["quantizer.project_in.weight"].shape) == [8, 1280]
    assert recipe.train.text is not None
