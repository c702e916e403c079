"""Fine-tuning of published Higgs folders on conversations: by heart, in full and by an adapter; as the peer."""

import json
import shutil

import numpy as np
import pytest
import soundfile
import torch
from by_heart import HIGGS_ADAPTER, HIGGS_RECIPE, STEPS, higgs_says, higgs_task, write_conversations
from safetensors.torch import load_file

from higgs_published import CODEBOOKS, CODEC, write_published_lm
from parlando.core.errors import ConfigError, FileMissingError, InputError
from parlando.core.types import IGNORED_LABEL
from parlando.models.higgs.lm_weights import ADAPTER_NAMES, load_published_lm, to_own_layout, to_published_layout
from parlando.models.higgs.parts.chatml import AudioContent, Message
from parlando.models.higgs.prompt import ChatPrompt
from parlando.nn.lora import LoRAConfig, merged_state
from parlando.nn.peft import AdapterFolder
from parlando.train.higgs.chat import make_chat_task
from parlando.train.higgs.chat_samples import ChatCorpus, encode_samples
from parlando.train.higgs.encoders import find_encoder
from parlando.train.higgs.lm_recipe import prompt_config
from parlando.train.higgs.start import find_start
from parlando.train.loop.recipe import Sources
from parlando.train.loop.step import Stepper

LAYOUTS = ("original", "transformers")


@pytest.fixture(scope="module", params=LAYOUTS)
def published(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    shutil.copytree(CODEC, folder / "audio_tokenizer")
    return write_published_lm(folder, request.param)


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """Five conversations with random codes, as `encode_samples` writes them."""
    return write_conversations(tmp_path_factory.mktemp("samples"))


@pytest.mark.slow
def test_five_conversations_are_learned_by_heart(published, samples, tmp_path):
    """One layout in full, the other by an adapter: the tasks differ in nothing else."""
    adapter = HIGGS_ADAPTER if find_start(str(published)).sizes.delay_id is None else None
    task = higgs_task(published, samples, adapter=adapter)
    stepper, steps = Stepper(task), STEPS
    first = stepper.step(0, 0.0)["codes"]
    for step in range(1, steps):
        last = stepper.step(step, step / steps)["codes"]
    stepper.close()
    assert first > 4.0
    assert last < 0.02
    task.export(tmp_path)
    start, lm = find_start(str(published)), load_published_lm(published).float()
    if adapter is not None:
        lm = AdapterFolder(tmp_path / "adapter").given_to(lm, ADAPTER_NAMES)
        exported = load_file(tmp_path / "lm.safetensors")
        assert all(torch.allclose(exported[name], each, atol=1e-6) for name, each in lm.state_dict().items())
    else:
        lm.load_state_dict(load_file(tmp_path / "lm.safetensors"))
    for sample in ChatCorpus(samples).samples:
        assert np.array_equal(higgs_says(lm, start, sample), sample.clips[-1])


def test_what_is_learned_are_the_answers_from_the_first_turn_on_that_is_asked_for(published, samples):
    corpus, start = ChatCorpus(samples), find_start(str(published))
    prompts = ChatPrompt(start.tokenizer, prompt_config(start.sizes))
    sample = corpus.samples[0]
    both, last = (prompts.training(sample.messages, sample.clips, first) for first in (0, sample.start_index))
    delayed = [clip.shape[1] for clip in sample.clips]
    assert [(each.labels[:, 0] != IGNORED_LABEL).sum() for each in (both, last)] == [sum(delayed) + 2, delayed[1] + 1]
    tokens = np.array(last.prompt.tokens)
    written = np.flatnonzero(last.text_labels != IGNORED_LABEL)
    tokenizer = start.tokenizer
    assert list(last.text_labels[written]) == [tokenizer.audio_out_bos, tokenizer.audio_eos, tokenizer.eot]
    assert list(tokens[written + 1]) == list(last.text_labels[written])


def test_only_the_dual_ffn_learns_where_that_is_asked_for(published, samples):
    task = higgs_task(published, samples, trainable=("audio_mlp.*", "audio_*layernorm.*"))
    before = {name: tensor.clone() for name, tensor in task.lm.state_dict().items()}
    stepper = Stepper(task)
    stepper.step(0, 0.5)
    stepper.close()
    moved = {name for name, tensor in merged_state(task.lm).items() if not torch.equal(tensor, before[name])}
    assert moved == {name for name in before if ".audio_mlp." in name or (".audio_" in name and "norm" in name)}
    assert set(stepper.state()["modules"]["trained"]) == {f"0.{name}" for name in moved} | {"1.weight", "1.bias"}


def test_codebooks_count_as_the_recipe_says(published, samples):
    weights = (4.0, *(0.5,) * 7)
    tasks = [higgs_task(published, samples, codebook_weights=each) for each in ((), weights)]
    batch = tasks[0].batch(0)
    losses = [task.losses(batch) for task in tasks]
    assert torch.equal(losses[0]["first"], losses[1]["first"])
    rest = losses[0]["codes"] * 8 - losses[0]["first"]
    torch.testing.assert_close(losses[1]["codes"], (4 * losses[0]["first"] + 0.5 * rest) / 7.5)
    with pytest.raises(ConfigError, match="codebook_weights: 2 for 8 codebooks"):
        higgs_task(published, samples, codebook_weights=(1.0, 2.0))


@pytest.mark.slow
def test_loss_and_gradients_are_those_of_transformers(tmp_path, samples):
    transformers = pytest.importorskip("transformers")
    published = write_published_lm(tmp_path, "transformers")
    task = higgs_task(published, samples)
    batch = task.batch(0)
    losses = task.losses(batch)
    ours = losses["codes"] * CODEBOOKS + losses["text"]
    ours.backward()
    config = transformers.HiggsAudioV2Config.from_pretrained(published)
    peer = transformers.HiggsAudioV2ForConditionalGeneration(config, use_text_head=True)
    peer.load_state_dict(to_published_layout(task.lm.state_dict(), "transformers"))
    theirs = peer(**their_batch(batch)).loss
    theirs.backward()
    assert float(ours.detach()) == pytest.approx(float(theirs.detach()), rel=1e-4)
    gradients = to_own_layout({name: parameter.grad for name, parameter in peer.named_parameters()})
    for name, parameter in task.lm.named_parameters():
        torch.testing.assert_close(parameter.grad, gradients[name], rtol=1e-4, atol=1e-6, msg=name)


def their_batch(batch):
    """What the peer is given: the frames of every row in a grid of their own, labels at what is predicted."""
    counts = batch.audio_mask.sum(1)
    size = (len(counts), int(counts.max()), CODEBOOKS)
    frames, labels = torch.zeros(size, dtype=torch.int64), torch.full(size, IGNORED_LABEL)
    shifted = torch.roll(batch.targets, 1, dims=1)
    for row, count in enumerate(counts):
        frames[row, :count] = batch.codes[row][batch.audio_mask[row]]
        labels[row, :count] = shifted[row][batch.audio_mask[row]]
    return {
        "input_ids": batch.tokens,
        "audio_input_ids": frames,
        "audio_input_ids_mask": torch.arange(size[1])[None] < counts[:, None],
        "audio_labels": labels,
        "labels": torch.roll(batch.text_targets, 1, dims=1),
    }


@pytest.fixture
def written(published, tmp_path):
    """A file of samples with sounds, some of which cannot be used."""

    def clip(name, seconds):
        wave = 0.3 * np.random.default_rng(len(name)).standard_normal(round(24_000 * seconds))
        soundfile.write(tmp_path / name, wave, 24_000)

    clip("good.wav", 0.4)
    clip("short.wav", 0.001)
    for name in ("good.wav", "gone.wav", "short.wav"):
        answer = {"role": "assistant", "content": {"type": "audio", "audio_url": name}}
        line = {"messages": [{"role": "user", "content": "Yes."}, answer]}
        with (tmp_path / "samples.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
    return tmp_path / "samples.jsonl"


def test_clips_become_the_codes_of_the_folder_s_own_codec(published, written, tmp_path):
    codec = find_encoder(published, 0)
    count, faults = encode_samples(written, codec, tmp_path / "out")
    assert count == 1
    assert [fault.split(":")[1] for fault in faults] == ["2", "3"]
    (sample,) = ChatCorpus(tmp_path / "out").samples
    wave = torch.from_numpy(soundfile.read(tmp_path / "good.wav", dtype="float32")[0])
    assert np.array_equal(sample.clips[0], codec.encode(wave[None])[0].numpy())


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"samples\.jsonl:1: not a ChatML sample"),
        ('{"text": "Hi."}', "not a ChatML sample .'messages'."),
        (
            '{"messages": [{"role": "robot", "content": "Hi."}]}',
            "the role 'robot' is not one of system, scene, user, assistant",
        ),
        ('{"messages": [{"role": "user", "content": {"type": "video"}}]}', "a content of the type 'video'"),
        ('{"messages": [{"role": "user", "content": "Hi."}]}', "holds no sample with a clip to learn"),
    ],
)
def test_a_line_that_is_no_sample_is_named(published, tmp_path, line, message):
    (tmp_path / "samples.jsonl").write_text(line + "\n")
    with pytest.raises(ConfigError, match=message):
        encode_samples(tmp_path / "samples.jsonl", find_encoder(published, 0), tmp_path / "out")


def test_what_cannot_be_tuned_is_told(published, samples, tmp_path):
    with pytest.raises(ConfigError, match="name its folder or hub id with --from"):
        make_chat_task(HIGGS_RECIPE, Sources(codes=samples))
    with pytest.raises(FileMissingError, match="encode-chat"):
        make_chat_task(HIGGS_RECIPE, Sources(codes=tmp_path, start_from=published))
    with pytest.raises(ConfigError, match=r"'higgs-mini' speaks 5 codebooks of 512 codes, .* has 8 of 64"):
        make_chat_task(HIGGS_RECIPE, Sources(codes=samples, start_from="higgs-mini"))
    with pytest.raises(ConfigError, match=r"adapter\.targets: nothing is called 'qkv'"):
        higgs_task(published, samples, adapter=LoRAConfig(targets=("qkv",)))


def test_a_conversation_without_an_answer_has_nothing_to_learn(published):
    start = find_start(str(published))
    prompts = ChatPrompt(start.tokenizer, prompt_config(start.sizes))
    clip = np.zeros((CODEBOOKS, 3), dtype=np.int64)
    for messages in ([Message("user", AudioContent())], [Message("assistant", AudioContent())]):
        with pytest.raises(InputError, match="no turn of an assistant's to learn"):
            prompts.training(messages, [clip])
