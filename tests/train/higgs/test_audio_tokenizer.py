"""Training of the unified audio tokenizer in miniature: what learns, what it starts from and what it ends as."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file
from stepping import hand_on, stepper

from higgs_published import CODEC
from hubert_published import TINY_HUBERT, write_hubert
from parlando.core.errors import ConfigError, FileMissingError
from parlando.data.sampler import CropConfig
from parlando.data.tokens import TokenCorpus
from parlando.models.higgs.build import load_codec_of
from parlando.models.higgs.parts.codec_weights import load_published_codec
from parlando.models.higgs.parts.dac import DacConfig
from parlando.models.higgs.parts.hubert import Hubert
from parlando.models.higgs.parts.unified_codec import TRAINING_PARTS, UnifiedCodecConfig
from parlando.nn.rvq import CodebookLearning
from parlando.train.encode import encode_corpus
from parlando.train.higgs.audio_tokenizer import AudioTokenizerTask, AudioTokenizerTrainConfig, WaveBatch
from parlando.train.higgs.encoders import codec_shape, find_encoder
from parlando.train.loop.optim import OptimConfig
from parlando.train.loop.recipe import Sources
from parlando.train.loop.sharding import ParallelConfig
from parlando.train.loop.step import Stepper
from parlando.train.loop.trainer import Trainer
from parlando.train.registry import make_task
from parlando.train.shared.discriminator import DiscriminatorConfig

SIZES = UnifiedCodecConfig(
    num_codebooks=3,
    codebook_size=16,
    codebook_dim=4,
    acoustic=DacConfig(encoder_channels=2, decoder_channels=64, latent_size=8),
    teacher=TINY_HUBERT,
)
CROPS = CropConfig(batch=2, frames=5, held_out_batch=2, warp_share=0.0)
FEW = DiscriminatorConfig(periods=(2, 3), period_widths=(4, 4), fft_samples=(256,), spectrum_width=4)
TEACHER = "semantic_model."


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    torch.manual_seed(1)
    return write_hubert(tmp_path_factory.mktemp("hubert"), Hubert(TINY_HUBERT).state_dict())


def small_task(packed, **changes):
    usual = AudioTokenizerTrainConfig(
        codec=SIZES, crops=CROPS, discriminators=FEW, mel_weight=1.0, semantic_weight=1.0, commit_weight=0.25
    )
    return AudioTokenizerTask(packed, replace(usual, **changes))


@pytest.fixture
def task(packed, teacher):
    """A task that rebuilds, without discriminators, all codebooks in use."""
    return small_task(packed, teacher=str(teacher), adversarial_after=1.0, dropout=0.0)


def copied(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def moved(before, module):
    return {name for name, tensor in module.state_dict().items() if not torch.equal(before[name], tensor)}


def test_a_step_reports_its_losses(task):
    metrics = stepper(task).step(0, 0.5)
    assert set(metrics) == {"loss", "mel", "semantic", "commit", "codes_used", "norm", "audio_seconds", "tokens"}
    assert metrics["audio_seconds"] == pytest.approx(2 * 5 * 0.04)
    assert metrics["tokens"] == 2 * 5
    assert metrics["loss"] == pytest.approx(metrics["mel"] + metrics["semantic"] + 0.25 * metrics["commit"], rel=1e-5)
    assert 1 <= metrics["codes_used"] <= 10


def test_gradients_reach_everything_but_the_teacher(task):
    task.codec.train()
    next(task.objectives(task.batch(0), 0.5)).loss.backward()
    gradients = {name: parameter.grad for name, parameter in task.codec.named_parameters()}
    assert {name for name, found in gradients.items() if found is None} == {
        name for name in gradients if name.startswith(TEACHER)
    }
    nothing = [name for name, found in gradients.items() if found is not None and not found.abs().sum() > 0]
    assert nothing == []


def test_a_step_moves_codebooks_too_and_never_the_teacher(task):
    stepper(task).step(0, 0.5)
    before = copied(task.codec)
    stepper(task).step(1, 0.5)
    still = before.keys() - moved(before, task.codec)
    assert {name for name in still if not name.endswith("inited")} == {n for n in before if n.startswith(TEACHER)}


def ten_sounds():
    """Two clips of five frames, each frame a sine of a pitch and loudness of its own."""
    hertz, loudness = 200 * 20 ** torch.rand(2, 2, 5, 1, generator=torch.Generator().manual_seed(0))
    turns = hertz * torch.arange(960) / 24_000
    return WaveBatch((loudness / 8_000 * torch.sin(2 * torch.pi * turns)).flatten(1))


@pytest.fixture(scope="module")
def by_heart(packed, teacher):
    """A task that learnt one batch in 40 steps, with dropout, its first and last metrics, and the batch."""
    torch.manual_seed(0)
    task = small_task(
        packed,
        teacher=str(teacher),
        codec=replace(SIZES, codebook_size=4),
        adversarial_after=1.0,
        unquantised=0.4,
        learning=CodebookLearning(decay=0.9),
        optim=OptimConfig(rate=5e-3, warmup=0.0),
    )
    batch = ten_sounds()
    task.batch = lambda number: batch
    steps = [stepper(task).step(number, number / 40) for number in range(40)]
    stepper(task).close()
    task.codec.eval()
    return task, steps[0], steps[-1], batch.wave


def test_one_batch_is_learnt_by_heart(by_heart):
    _, first, last, _ = by_heart
    assert last["mel"] < 0.4 * first["mel"]
    assert last["semantic"] < 0.2 * first["semantic"]
    assert last["codes_used"] > 2


def test_every_first_few_codebooks_decode_alone(by_heart):
    task, first, _, wave = by_heart
    codes = task.codec.encode(wave)
    costs = [float(task.spectral(task.codec.decode(codes[:, :count]), wave)) for count in (1, 2, 3)]
    assert max(costs) < 0.4 * first["mel"]
    assert max(costs) < 1.05 * min(costs)


@pytest.mark.parametrize(("dropout", "learns"), [(0.0, True), (1.0, False)])
def test_what_is_dropped_is_taught_nothing(packed, teacher, dropout, learns):
    """Of two codebooks, all that can be dropped is the second."""
    task = small_task(packed, teacher=str(teacher), codec=replace(SIZES, num_codebooks=2), dropout=dropout)
    task.codec.train()
    task.codec.quantizer(torch.randn(2, 5, 24), torch.tensor([2, 2]))
    next(task.objectives(task.batch(0), 0.02)).loss.backward()
    first, second = (float(stage.project_out.weight.grad.abs().sum()) for stage in task.codec.quantizer.stages)
    assert first > 0
    assert (second > 0) == learns


def test_codes_wait_until_the_encoder_has_begun(packed, teacher):
    task = small_task(packed, teacher=str(teacher), adversarial_after=1.0, unquantised=0.2)
    assert stepper(task).step(0, 0.1)["commit"] == 0
    assert not any(stage.codebook.inited.item() for stage in task.codec.quantizer.stages)
    assert stepper(task).step(1, 0.2)["commit"] > 0
    assert all(stage.codebook.inited.item() for stage in task.codec.quantizer.stages)
    assert small_task(packed, start_from=str(CODEC), unquantised=0.2).config.unquantised == 0


def test_dead_codewords_are_put_where_there_is_something(task):
    stepper(task).step(0, 0.5)
    for stage in task.codec.quantizer.stages:
        stage.codebook.embed[1:] = 1e3
        stage.codebook.embed_avg[1:] = 0.0
        stage.codebook.cluster_size[1:] = 0.0
    assert stepper(task).step(1, 0.5)["codes_used"] == 1
    assert stepper(task).step(2, 0.5)["codes_used"] > 4
    assert all(bool((stage.codebook.embed.abs() < 100).all()) for stage in task.codec.quantizer.stages)


def test_cosine_and_l2_are_other_distances(packed, teacher, task):
    wave = task.batch(0).wave
    features = task.codec.semantic_features(wave)
    cosine = small_task(packed, teacher=str(teacher), semantic_loss="cosine")
    assert float(task._semantic_loss(2 * features, features)) == pytest.approx(
        float(features.square().mean()), rel=1e-4
    )
    assert float(cosine._semantic_loss(2 * features, features)) == pytest.approx(0.0, abs=1e-5)
    assert float(cosine._semantic_loss(-features, features)) == pytest.approx(2.0, abs=1e-5)


def test_discriminators_join_in_at_their_time_and_learn(packed, teacher):
    task = small_task(packed, teacher=str(teacher), adversarial_after=0.3)
    before = copied(task.discriminators)
    assert "discriminator" not in stepper(task).step(0, 0.2)
    assert not moved(before, task.discriminators)
    metrics = stepper(task).step(1, 0.3)
    assert {"discriminator", "adversarial", "matching", "mel", "semantic"} <= set(metrics)
    rebuilt = metrics["mel"] + metrics["semantic"] + 0.25 * metrics["commit"]
    assert metrics["loss"] == pytest.approx(rebuilt + metrics["adversarial"] + 2 * metrics["matching"], rel=1e-4)
    assert moved(before, task.discriminators)


def test_a_restored_task_goes_on_as_if_nothing_had_happened(packed, teacher):
    first, second = (small_task(packed, teacher=str(teacher), adversarial_after=0.0) for _ in range(2))
    stepper(first).step(0, 0.1)
    hand_on(first, second)
    assert stepper(first).step(1, 0.2) == stepper(second).step(1, 0.2)
    for one, other in ((first.codec, second.codec), (first.discriminators, second.discriminators)):
        assert not moved(copied(one), other)
    assert stepper(first).evaluate() == stepper(second).evaluate()


def test_products_may_be_in_bfloat16(packed, teacher, monkeypatch):
    """On GPUs they are; where sound is made and codes are chosen they are not, so that losses are nearly the same."""
    monkeypatch.setattr(AudioTokenizerTask, "autocast_on", ("cpu",))
    losses = []
    for precision in ("float32", "bfloat16"):
        torch.manual_seed(0)
        task = small_task(packed, teacher=str(teacher), adversarial_after=0.0)
        losses.append(Stepper(task, config=ParallelConfig(precision=precision)).step(0, 0.5))
    exact, narrow = losses
    assert narrow != exact
    for name in ("mel", "semantic", "discriminator", "adversarial", "matching"):
        assert narrow[name] == pytest.approx(exact[name], rel=0.05)


def test_a_recipe_becomes_a_published_folder(packed, teacher, tmp_path):
    (tmp_path / "r.toml").write_text(
        "[budget]\nsteps = 2\n[train]\nadversarial_after = 0.5\n"
        "[train.crops]\nbatch = 2\nframes = 5\nheld_out_batch = 2\n[train.crops.kind_weights]\nspeech = 1\n"
        "[train.discriminators]\nperiods = [2]\nperiod_widths = [4]\nfft_samples = [256]\nspectrum_width = 4\n"
        "[train.codec]\nnum_codebooks = 2\ncodebook_size = 8\ncodebook_dim = 4\n"
        "[train.codec.acoustic]\nencoder_channels = 2\ndecoder_channels = 32\nlatent_size = 8\n"
        "[train.codec.teacher]\n"
        + "".join(
            f"{name} = {list(value) if isinstance(value, tuple) else value}\n"
            for name, value in vars(TINY_HUBERT).items()
            if isinstance(value, int | tuple) and not isinstance(value, bool)
        )
    )
    sources = Sources(corpus=packed.folder, teacher=teacher)
    task, budget, parallel = make_task("audio-tokenizer", tmp_path / "r.toml", sources)
    assert Trainer(task, tmp_path / "run", budget, config=parallel).run()
    assert load_published_codec(tmp_path / "run").num_codebooks == 2
    held_out = json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[-1])["held_out"]
    assert set(held_out) == {"mel", "mel_of_half", "semantic", "codes_used", "code_perplexity"}


def test_a_checkpoint_does_not_hold_the_teacher(task):
    kept = stepper(task).state()["modules"]["codec"]
    assert not any(name.startswith(TEACHER) for name in kept)
    assert any(name.startswith("quantizer.quantizers.0.codebook") for name in kept)


def test_held_out_metrics_have_their_ranges(task):
    stepper(task).step(0, 0.5)
    before = copied(task.codec)
    metrics = stepper(task).evaluate()
    assert set(metrics) == {"mel", "mel_of_half", "semantic", "codes_used", "code_perplexity"}
    assert 1 <= metrics["code_perplexity"] <= metrics["codes_used"] <= 10
    assert stepper(task).evaluate() == metrics
    assert not moved(before, task.codec)


def test_the_export_is_a_published_folder_that_everything_reads(packed, task, tmp_path):
    stepper(task).step(0, 0.5)
    task.export(tmp_path)
    expected = task.codec.eval().state_dict()
    for codec in (load_published_codec(tmp_path), load_codec_of(tmp_path), find_encoder(tmp_path, 0)):
        found = codec.state_dict()
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    assert codec.config == task.codec.config
    assert vars(codec_shape(tmp_path)) == {"num_codebooks": 3, "codebook_size": 16, "frame_rate": 25.0}
    wave = task.batch(1).wave
    assert torch.equal(codec.encode(wave), task.codec.encode(wave))
    again = small_task(packed, start_from=str(tmp_path))
    assert again.config.codec == SIZES
    assert not moved(copied(task.codec), again.codec)


def test_a_corpus_is_encoded_with_it(packed, task, tmp_path, in_this_process):
    (tmp_path / "run").mkdir()
    task.export(tmp_path / "run")
    frames = encode_corpus(packed, find_encoder(tmp_path / "run", 24_000), tmp_path / "codes", warp_share=0.0)
    codes = TokenCorpus(tmp_path / "codes")
    assert (codes.num_codebooks, codes.codebook_size) == (3, 16)
    assert frames == sum(entry.samples // 960 for entry in packed.entries if entry.split != "test")


def test_a_published_tokenizer_goes_on_with_its_own_sizes(packed):
    published = load_published_codec(CODEC)
    task = small_task(packed, start_from=str(CODEC), adversarial_after=1.0)
    assert task.config.codec == published.config != SIZES
    assert not moved(copied(published), task.codec)
    assert stepper(task).step(0, 0.0)["codes_used"] > 1
    assert not any(name.startswith(TEACHER) for name in moved(copied(published), task.codec))
    assert load_published_codec(CODEC).state_dict()["fc.bias"].equal(published.fc.bias)


def test_what_a_file_lacks_that_only_training_needs_is_new(packed, tmp_path):
    shutil.copy(CODEC / "config.json", tmp_path)
    tensors = load_file(CODEC / "model.safetensors")
    save_file({k: v for k, v in tensors.items() if not k.startswith(TRAINING_PARTS)}, tmp_path / "model.safetensors")
    task = small_task(packed, start_from=str(tmp_path), adversarial_after=1.0)
    assert stepper(task).step(0, 0.0)["semantic"] > 0
    task.export(tmp_path)
    assert load_file(tmp_path / "model.safetensors").keys() == tensors.keys() - {f"{TEACHER}masked_spec_embed"}


def test_without_a_teacher_it_says_where_one_comes_from(packed, teacher):
    with pytest.raises(
        ConfigError, match=r"needs a teacher: name the folder of a HuBERT with --teacher .*content-teacher"
    ):
        small_task(packed)
    with pytest.raises(ConfigError, match="has its teacher in it; leave out --teacher or --from"):
        small_task(packed, teacher=str(teacher), start_from=str(CODEC))


def test_a_teacher_of_another_size_is_named(packed, teacher):
    wider = replace(SIZES, teacher=replace(TINY_HUBERT, num_layers=2, intermediate_size=32))
    message = r"num_layers 3 instead of 2, intermediate_size 24 instead of 32; set them in \[train\.codec\.teacher\]"
    with pytest.raises(ConfigError, match=message):
        small_task(packed, teacher=str(teacher), codec=wider)


def test_folders_of_something_else_are_refused(packed, tmp_path, tiny_folder):
    with pytest.raises(FileMissingError, match=r"config\.json"):
        small_task(packed, teacher=str(tmp_path))
    with pytest.raises(ConfigError, match="model_type 'higgs_audio_v2_tokenizer' is not 'hubert'"):
        small_task(packed, teacher=str(CODEC))
    with pytest.raises(ConfigError, match="has a codec of the kind 'spectral'; name the folder of a unified audio"):
        small_task(packed, start_from=str(tiny_folder))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"crops": replace(CROPS, frames=40)}, "no utterance of '.*' is as long as a crop of 40 frames"),
        ({"codec": replace(SIZES, sample_rate=16_000)}, "the corpus has 24000 Hz and the audio tokenizer 16000"),
        (
            {"codec": replace(SIZES, acoustic=DacConfig(2, 64, 8, (8, 5, 4, 3, 4)))},
            "5 frames of 960 samples are not a whole number of the tokenizer's, of 1920",
        ),
        (
            {"codec": replace(SIZES, acoustic=DacConfig(2, 64, 8, (5, 4, 4, 2, 5)))},
            "the teacher has 10 features where the tokenizer has 6 frames; check train.codec.acoustic.ratios",
        ),
    ],
)
def test_a_corpus_that_does_not_fit_is_refused(packed, teacher, changes, message):
    with pytest.raises(ConfigError, match=message):
        small_task(packed, teacher=str(teacher), **changes)
