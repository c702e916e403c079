"""`parlando train`: help, refusals, and the whole way from a corpus to a model folder in miniature."""

import json

import pytest
import torch
from safetensors.torch import load_file
from tiny_corpus import no_processes, write_corpus

from parlando.cli.app import main
from parlando.train.registry import TRAININGS

CODEC = """
[budget]
steps = 2
log_every_steps = 1
[train.crops]
batch = 2
frames = 5
held_out_batch = 2
[train.codec]
num_bands = 12
num_codebooks = 2
codebook_size = 8
latent_dim = 6
fine_dim = 8
coarse_dim = 8
hidden_dim = 12
decoder_fine_blocks = 3
"""
LM = """
[budget]
steps = 2
[sizes]
hidden_size = 8
num_layers = 1
num_heads = 2
intermediate_size = 16
context_length = 512
[mix]
candidates = 2
tokens_per_batch = 100
masculine = ["rms"]
[mix.descriptions]
slt = "a young American woman, bright and even"
rms = "an American man, steady and warm"
"""
TOKENIZER = """
[budget]
steps = 2
[train]
recogniser_layers = 1
prosody_weight = 1.0
[train.augment]
share = 0.5
[train.crops]
batch = 2
frames = 5
held_out_batch = 2
[train.tokenizer]
hidden_size = 16
num_heads = 2
num_layers = 1
memory_kernel = 5
"""
SPEAKER = """
[budget]
steps = 2
[train]
batch = 2
least_frames = 5
most_frames = 6
speeds = [1.0, 1.25]
unseen_speeds = [0.9]
[train.encoder]
embedding_size = 8
growth = 4
initial_channels = 8
head_channels = 4
layers = [1, 1, 1]
"""
TRANSFER = """
[budget]
steps = 2
[train]
batch = 2
frames = 5
held_out_batch = 2
[train.sizes]
dim = 8
hidden_dim = 12
blocks = 1
"""
MODEL = """
name = "tiny"
default_voice = "slt"
[voices]
slt = "a young American woman, bright and even"
rms = "an American man, steady and warm"
[display_names]
slt = "Stella"
"""


@pytest.fixture
def cli(capsys, monkeypatch, tmp_path):
    """Run `parlando` in an empty folder with the recipes of this file: its status and standard error."""
    recipes = {
        "codec": CODEC,
        "lm": LM,
        "transfer": TRANSFER,
        "model": MODEL,
        "tokenizer": TOKENIZER,
        "speaker": SPEAKER,
    }
    for name, text in recipes.items():
        (tmp_path / f"{name}.toml").write_text(text)
    (tmp_path / "decoder.toml").write_text(CODEC.replace("[train.crops]", "[train]\nadversarial = true\n[train.crops]"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("parlando.train.loop.trainer.draw_log", lambda path: None)
    no_processes(monkeypatch)
    threads = torch.get_num_threads()

    def run(*arguments):
        try:
            main([str(argument) for argument in arguments])
            status = 0
        except SystemExit as stop:
            status = stop.code or 0
        out, err = capsys.readouterr()
        return status, (out or err).strip()

    yield run
    torch.set_num_threads(threads)


@pytest.mark.parametrize("name", [*TRAININGS, "assemble", "plot"])
def test_every_training_shows_an_example(cli, name):
    status, text = cli("train", name, "--help")
    assert status == 0
    assert f"Example: parlando train {name} " in " ".join(text.split())


@pytest.mark.parametrize(
    ("group", "former", "now"),
    [
        ("train", "revoicer", "voice-transfer"),
        ("data", "revoice", "voice-transfer"),
        ("data", "retell", "resample-tokens"),
    ],
)
def test_former_names_work_and_are_not_listed(cli, group, former, now):
    status, text = cli(group, former, "--help")
    assert status == 0
    assert f"Example: parlando {group} {now} " in " ".join(text.split())
    listed = cli(group, "--help")[1].split()
    assert now in listed
    assert former not in listed


def test_a_former_option_means_the_same(cli, tmp_path):
    (tmp_path / "flow.toml").write_text("[budget]\nsteps = 1\n")
    for flag in ("--retold", "--resampled"):
        status, text = cli(
            "train", "flow", "flow.toml", "--corpus", "packed", "--codes", "c", flag, "none", "-o", "run"
        )
        assert (status, text.splitlines()[-1]) == (
            2,
            "parlando: no encoded corpus at 'none/index.jsonl'; check the path",
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["codec", "none.toml", "--corpus", "packed", "-o", "run"],
            "parlando: no recipe at 'none.toml'; check the path",
        ),
        (
            ["codec", "codec.toml", "--corpus", "packed", "-o", "run"],
            "parlando: no packed corpus at 'packed/index.jsonl'",
        ),
        (["codec", "lm.toml", "--corpus", "packed", "-o", "run"], "lm.toml: unknown key 'sizes'"),
        (["codec", "decoder.toml", "--corpus", "packed", "-o", "run"], "name its folder with --from"),
        (
            ["lm", "lm.toml", "--codes", "codes", "--codec", "run", "-o", "lm"],
            "parlando: no config at 'run/codec.json'",
        ),
        (["plot", "log.jsonl"], "parlando: no log at 'log.jsonl'; check the path"),
    ],
)
def test_what_can_be_mended_is_one_line_and_status_2(cli, arguments, message):
    status, text = cli("train", *arguments)
    assert status == 2
    assert message in text.splitlines()[-1]
    assert "Traceback" not in text


@pytest.mark.slow
def test_from_sines_to_a_model_folder(cli, tmp_path):
    """Pack, train a codec, tune its decoder, encode, transfer a voice, train a language model, assemble."""
    manifest = write_corpus(tmp_path / "source")
    steps = [
        ["data", "pack", manifest, "-o", "packed"],
        ["train", "codec", "codec.toml", "--corpus", "packed", "-o", "codec"],
        ["train", "codec", "decoder.toml", "--corpus", "packed", "--from", "codec", "-o", "decoder", "--steps", 1],
        ["data", "encode", "packed", "codec", "-o", "codes"],
        ["data", "pitch", "packed"],
        ["train", "voice-transfer", "transfer.toml", "--corpus", "packed", "--codes", "codes", "-o", "transfer"],
        ["data", "voice-transfer", "packed", "codes", "transfer", "--speaker", "rms", "--sources", "slt", "-o", "more"],
        ["train", "lm", "lm.toml", "--codes", "more", "--codec", "codec", "-o", "lm", "--threads", 1],
        ["train", "assemble", "model.toml", "--codec", "decoder", "--lm", "lm", "--codes", "codes", "-o", "model"],
    ]
    messages = []
    for step in steps:
        status, text = cli(*step)
        assert status == 0, text
        messages.append(text.splitlines()[-1])
    assert messages[1] == "finished at step 2 in codec"
    assert messages[2] == "finished at step 1 in decoder"
    assert messages[5] == "finished at step 2 in transfer"
    assert messages[6] == "6 sentences by rms added in more"
    assert messages[7] == "finished at step 2 in lm"
    for name in (
        "codec/codec.safetensors",
        "codec/codec.json",
        "codec/checkpoint-2/state.json",
        "codes/codes.i16",
        "lm/lm.safetensors",
    ):
        assert (tmp_path / name).stat().st_size > 0
    rows = [json.loads(line) for line in (tmp_path / "codec" / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 2]
    assert "held_out" in rows[2]
    assert json.loads((tmp_path / "model" / "config.json").read_text())["name"] == "tiny"
    voices = json.loads((tmp_path / "model" / "voices.json").read_text())
    assert {name: voice.get("display_name") for name, voice in voices.items()} == {"slt": "Stella", "rms": None}
    assert (tmp_path / "model" / "lm.safetensors").stat().st_size > 0


def test_a_corpus_is_encoded_by_a_trained_tokenizer_and_speaker_encoder(cli, tmp_path):
    """Pack, measure the pitch, train both, encode."""
    steps = [
        ["data", "pack", write_corpus(tmp_path / "source"), "-o", "packed"],
        ["data", "pitch", "packed"],
        ["train", "speech-tokenizer", "tokenizer.toml", "--corpus", "packed", "-o", "tokenizer"],
        ["train", "speaker", "speaker.toml", "--corpus", "packed", "-o", "speaker"],
        ["data", "encode", "packed", "tokenizer", "-o", "codes", "--speaker", "speaker"],
    ]
    for step in steps:
        status, text = cli(*step)
        assert status == 0, text
    described = json.loads((tmp_path / "codes" / "codes.json").read_text())
    assert described == {"num_codebooks": 1, "codebook_size": 6561, "speaker_dim": 8}
    lines = len((tmp_path / "codes" / "index.jsonl").read_text().splitlines())
    assert (tmp_path / "codes" / "speakers.f32").stat().st_size == lines * 8 * 4


def test_a_stopped_training_says_so_with_status_130(cli, tmp_path, monkeypatch):
    from parlando.train.loop.trainer import Trainer

    write_corpus(tmp_path / "source")
    cli("data", "pack", tmp_path / "source" / "manifest.jsonl", "-o", "packed")
    original = Trainer._one_step

    def interrupted(self, bar):
        original(self, bar)
        self.stopped = True

    monkeypatch.setattr(Trainer, "_one_step", interrupted)
    status, text = cli("train", "codec", "codec.toml", "--corpus", "packed", "-o", "run")
    assert (status, text.splitlines()[-1]) == (130, "stopped, saved at step 1 in run")
    monkeypatch.setattr(Trainer, "_one_step", original)
    status, text = cli("train", "codec", "codec.toml", "--corpus", "packed", "-o", "run")
    assert (status, text.splitlines()[-1]) == (0, "finished at step 2 in run")


def test_a_training_can_be_repeated(cli, tmp_path):
    write_corpus(tmp_path / "source")
    cli("data", "pack", tmp_path / "source" / "manifest.jsonl", "-o", "packed")
    for run in ("one", "other"):
        torch.rand(len(run))
        assert cli("train", "codec", "codec.toml", "--corpus", "packed", "--steps", 1, "-o", run)[0] == 0
    one, other = (load_file(tmp_path / run / "codec.safetensors") for run in ("one", "other"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_log_is_drawn(cli, tmp_path, monkeypatch):
    (tmp_path / "log.jsonl").write_text("{}\n")
    monkeypatch.setattr("parlando.train.loop.plots.draw_log", lambda path: path.with_suffix(".png"))
    assert cli("train", "plot", "log.jsonl") == (0, "curves in log.png")
    monkeypatch.setattr("parlando.train.loop.plots.draw_log", lambda path: None)
    status, text = cli("train", "plot", "log.jsonl")
    assert status == 2
    assert "'matplotlib' is needed for this and is not installed" in text
