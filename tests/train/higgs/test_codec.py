import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from stepping import hand_on, stepper
from tiny_tasks import CODEC, CROPS, codec_task

from parlando.data.shards import UNKNOWN_PHONE
from parlando.models.higgs.parts.spectral import SpectralCodecConfig
from parlando.train.higgs.codec import CodecTrainConfig
from parlando.train.higgs.encoders import load_trained_codec
from parlando.train.higgs.recipes import CodecRecipe, make_codec_task
from parlando.train.loop.optim import OptimConfig
from parlando.train.loop.recipe import Sources
from parlando.train.loop.trainer import Budget


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def trained(packed, tmp_path_factory):
    """The folder of a codec of three steps."""
    torch.manual_seed(0)
    task = codec_task(packed)
    for step in range(3):
        stepper(task).step(step, 0.1 * step)
    folder = tmp_path_factory.mktemp("codec")
    task.export(folder)
    return folder


def snapshot(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def changed(before, module):
    return {name for name, tensor in module.state_dict().items() if not torch.equal(before[name], tensor)}


def test_a_step_reports_losses_and_moves_every_part(packed):
    task = codec_task(packed)
    stepper(task).step(0, 0.5)
    before = snapshot(task.codec)
    metrics = stepper(task).step(1, 0.5)
    names = {"loss", "spectral", "mel", "phone", "commit", "codes_used", "norm", "audio_seconds", "speaker", "tokens"}
    assert set(metrics) == names
    assert metrics["audio_seconds"] == pytest.approx(2 * 5 * 0.04)
    weights = {"spectral": 1.0, "mel": 0.5, "phone": 0.4, "commit": 0.25}
    assert metrics["loss"] == pytest.approx(sum(w * metrics[n] for n, w in weights.items()), rel=1e-4)
    assert 1 <= metrics["codes_used"] <= 8
    moved = {name.split(".")[0] for name in changed(before, task.codec)}
    assert moved == {"encoder", "quantizer", "decoder"}


def test_the_codebooks_wait_until_the_encoder_has_begun(packed):
    task = codec_task(packed, unquantised=0.2)
    assert stepper(task).step(0, 0.1)["commit"] == 0
    assert not any(q.codebook.inited.item() for q in task.codec.quantizer.quantizers)
    assert stepper(task).step(1, 0.2)["commit"] > 0
    assert all(q.codebook.inited.item() for q in task.codec.quantizer.quantizers)


def test_one_batch_is_learnt_by_heart(packed, monkeypatch):
    task = codec_task(packed, optim=OptimConfig(rate=5e-3, warmup=0.0), unquantised=0.0)
    crops = task.sampler.batch(0)
    monkeypatch.setattr(task.sampler, "batch", lambda *which: crops)
    losses = [stepper(task).step(step, step / 60) for step in range(60)]
    first, last = losses[1], losses[-1]
    assert last["loss"] < 0.6 * first["loss"]
    assert last["spectral"] < 0.6 * first["spectral"]
    assert last["mel"] < 0.85 * first["mel"]
    assert last["phone"] < 0.7 * first["phone"]


def test_without_the_wave_only_the_halfway_mel_is_learned(packed):
    task = codec_task(packed, spectral_weight=0.0)
    before = snapshot(task.codec)
    assert stepper(task).step(0, 0.5)["spectral"] == 0
    moved = changed(before, task.codec)
    assert not any(name.startswith(("decoder.late", "decoder.head", "decoder.norm")) for name in moved)
    assert any(name.startswith("decoder.mel") for name in moved)


def test_a_codec_of_one_codebook_can_drop_nothing(packed):
    one = SpectralCodecConfig(**{**CODEC.__dict__, "num_codebooks": 1})
    task = codec_task(packed, codec=one, dropout=1.0)
    assert stepper(task).step(0, 0.5)["loss"] > 0


def test_unknown_phones_cost_nothing(packed, monkeypatch):
    task = codec_task(packed, phone_weight=1.0)
    wave, phones, speakers = task.sampler.batch(0)
    phones = phones.copy()
    phones[:, 1:] = UNKNOWN_PHONE
    monkeypatch.setattr(task.sampler, "batch", lambda *which: (wave, phones, speakers))
    assert stepper(task).step(0, 0.5)["phone"] > 0
    monkeypatch.setattr(task.sampler, "held_out", lambda: (wave, phones * 0 + UNKNOWN_PHONE, speakers))
    assert stepper(task).evaluate()["phone_accuracy"] == 0.0


def content_task(packed, **changes):
    return codec_task(packed, codec=replace(CODEC, content_dim=4), unquantised=0.0, **changes)


def test_what_is_rebuilt_teaches_the_content_nothing(packed):
    task = content_task(packed, phone_weight=0.0, commit_weight=0.0)
    stepper(task).step(0, 0.5)
    first = task.codec.quantizer.quantizers[0]
    before = snapshot(first.project_in)
    stepper(task).optimizers["model"].param_groups[0]["weight_decay"] = 0.0
    stepper(task).step(1, 0.5)
    assert not changed(before, first.project_in)
    assert first.codebook.embed.shape == (CODEC.codebook_size, 4)


def test_the_content_learns_phones_and_unlearns_speakers(packed):
    def gradients(**weights):
        task = content_task(packed, commit_weight=0.0, **weights)
        seen = []
        task.codec.quantizer.quantizers[0].project_in.weight.register_hook(seen.append)
        stepper(task).step(0, 0.5)
        return task, seen[0]

    task, phones = gradients(phone_weight=1.0, speaker_weight=0.0)
    assert phones.abs().sum() > 0
    crops = task.batch(3)
    content = task.codec.quantizer.content(torch.randn(2, 5, CODEC.latent_dim)).detach().requires_grad_()
    task.speaker_head(content, crops.speakers).backward()
    climbed = content.detach() + 0.01 * -content.grad.sign()
    assert task.speaker_head(climbed, crops.speakers) > task.speaker_head(content, crops.speakers)


def test_a_decoder_has_the_sizes_of_the_codec_it_starts_from(packed, trained):
    recipe = CodecRecipe(Budget(steps=1), CodecTrainConfig(adversarial=True, start_from=str(trained), crops=CROPS))
    assert make_codec_task(recipe, Sources(corpus=packed.folder)).codec.config == CODEC


def test_evaluation_changes_nothing_and_repeats(packed):
    task = codec_task(packed)
    stepper(task).step(0, 0.5)
    before = snapshot(task.codec)
    metrics = stepper(task).evaluate()
    assert set(metrics) == {"spectral", "mel", "phone_accuracy", "speaker"}
    assert stepper(task).evaluate() == metrics
    assert changed(before, task.codec) == set()


def test_the_export_is_the_codec(packed, trained):
    codec = load_trained_codec(trained)
    assert codec.config == CODEC
    assert not codec.training
    stored = load_file(trained / "codec.safetensors")
    assert all(torch.equal(stored[name], tensor) for name, tensor in codec.state_dict().items())
    assert json.loads((trained / "codec.json").read_text())["kind"] == "spectral"


def test_the_adversarial_stage_changes_the_decoder_alone(packed, trained):
    task = codec_task(packed, adversarial=True, start_from=str(trained))
    before, discriminators, head = snapshot(task.codec), snapshot(task.discriminators), snapshot(task.phone_head)
    metrics = stepper(task).step(0, 0.5)
    assert {"loss", "spectral", "discriminator", "adversarial", "matching"} <= set(metrics)
    moved = changed(before, task.codec)
    assert moved
    assert all(name.startswith("decoder.") for name in moved)
    assert changed(discriminators, task.discriminators)
    assert not changed(head, task.phone_head)
    wave = torch.from_numpy(task.sampler.held_out()[0])
    assert torch.equal(task.codec.encode(wave), load_trained_codec(trained).encode(wave))


def test_discriminators_rest_until_their_time(packed, trained):
    task = codec_task(packed, adversarial=True, adversarial_after=0.3, start_from=str(trained))
    discriminators = snapshot(task.discriminators)
    assert "discriminator" not in stepper(task).step(0, 0.2)
    assert not changed(discriminators, task.discriminators)
    assert stepper(task).step(1, 0.3)["discriminator"] > 0


def test_the_adversarial_stage_resumes_with_its_discriminators(packed, trained):
    tasks = [codec_task(packed, adversarial=True, start_from=str(trained)) for _ in range(2)]
    stepper(tasks[0]).step(0, 0.1)
    assert changed(snapshot(tasks[0].discriminators), tasks[1].discriminators), "else nothing is resumed"
    hand_on(tasks[0], tasks[1])
    assert not changed(snapshot(tasks[0].discriminators), tasks[1].discriminators)
    metrics = []
    for task in tasks:
        torch.manual_seed(1)
        metrics.append(stepper(task).step(1, 0.2))
    assert metrics[0] == metrics[1]
    assert metrics[0]["discriminator"] > 0
    # The second step moved both alike, which it does only with the optimisers' own state.
    assert not changed(snapshot(tasks[0].codec), tasks[1].codec)
    assert not changed(snapshot(tasks[0].discriminators), tasks[1].discriminators)
