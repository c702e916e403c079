"""Recordings become a model of that voice, whichever family it begins with; what is done is not done again."""

import json
import re
import shlex
import shutil
import tomllib
from dataclasses import fields, replace

import numpy as np
import pytest
import soundfile
import typer
from tiny_corpus import SENTENCES

import parlando
from parlando.cli.app import build_app
from parlando.core.config import from_mapping
from parlando.core.errors import ConfigError, InputError
from parlando.data.recordings import RecordingCheck, find_recordings
from parlando.nn.lora import LoRAConfig, adapted_layers, chosen
from parlando.nn.peft import AdapterFolder
from parlando.train.finetune import FEWEST, FineTuneRequest, FineTuning
from parlando.train.higgs.chat import ChatRecipe
from parlando.train.higgs.lm_recipe import LMRecipe
from parlando.train.loop.recipe import read_recipe
from parlando.train.shared.tuning import Tuning

WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Ten sentences of a voice that goes up and down, and one that nobody says."""
    folder = tmp_path_factory.mktemp("recordings")
    time = np.arange(24_000 * 2) / 24_000
    for number, word in enumerate(WORDS):
        wave = 0.3 * np.sin(2 * np.pi * (120 + 9 * number) * time + 3 * np.sin(2 * np.pi * 2 * time))
        soundfile.write(folder / f"{word}.wav", wave, 24_000)
        (folder / f"{word}.txt").write_text(f"Number {word}, said my good friend.")
    soundfile.write(folder / "silent.wav", np.zeros(24_000), 24_000)
    (folder / "silent.txt").write_text(SENTENCES[0])
    return folder


@pytest.fixture(params=["tiny_folder", "tiny_cosyvoice_folder"])
def base(request):
    return request.getfixturevalue(request.param)


def request_of(recordings, base, out, **changes):
    made = FineTuneRequest(find_recordings(recordings), RecordingCheck(out.name), base, out, "my own voice", 0.0005)
    return replace(made, **changes)


@pytest.mark.slow
@pytest.mark.parametrize("rank", [None, 2])
def test_a_model_speaks_in_the_voice_of_recordings(recordings, base, tmp_path, in_this_process, rank):
    told = []
    tuning = FineTuning(request_of(recordings, base, tmp_path / "my-voice", rank=rank), told.append)
    assert str(tuning.prepare()).startswith("10 of 11 recordings, 0.3 minutes; skipped: 1 silent")
    assert "silent.wav: silent" in (tmp_path / "my-voice" / "training" / "skipped.txt").read_text()
    assert tuning.train()
    out = tuning.assemble()
    synthesizer = parlando.load(out)
    assert (list(synthesizer.voices), synthesizer.model.default_voice) == (["my-voice"], "my-voice")
    assert synthesizer.model.name == "my-voice"
    assert len(synthesizer.say("Number six.", seed=1, max_frames=20).samples) > 0
    steps = len(told)
    assert told[0] == f"step 1 of {steps}: encode the recordings"
    assert (out / "adapter").is_dir() == (rank is not None)
    if rank is not None:
        check_adapter(base, out)
    again = FineTuning(request_of(recordings, base, out, rank=rank), told.append)
    assert again.prepare() is None
    assert again.train()
    assert len(told) == steps


def check_adapter(base, out):
    """It is the difference between the language models of both folders, but for half precision."""
    merged, adapted = parlando.load(out).model.parts.lm, parlando.load(base, adapter=out / "adapter").model.parts.lm
    for name, tensor in adapted.state_dict().items():
        assert np.allclose(tensor.numpy(), merged.state_dict()[name].numpy(), atol=2e-3), name
    beside = parlando.load(base, adapter=AdapterFolder(out / "adapter", merged=False)).model.parts.lm
    assert adapted_layers(beside)


def test_held_out_sentences_are_never_learned(recordings, tiny_folder, tmp_path, in_this_process):
    tuning = FineTuning(request_of(recordings, tiny_folder, tmp_path / "out"), print)
    tuning.prepare()
    held_out = {each.text for each in tuning.held_out()}
    assert len(held_out) == 2
    index = (tuning.tuning.packed / "index.jsonl").read_text().splitlines()
    splits = {(entry["text"], entry["split"]) for entry in map(json.loads, index)}
    assert {text for text, split in splits if split == "validation"} >= held_out
    assert len(splits) == len(WORDS)


def test_another_request_does_not_go_on_there(recordings, tiny_folder, tmp_path):
    out = tmp_path / "out"
    FineTuning(request_of(recordings, tiny_folder, out), print)
    FineTuning(request_of(recordings, tiny_folder, out), print)
    with pytest.raises(ConfigError, match=r"has a fine-tuning with other minutes, rank; delete that folder"):
        FineTuning(request_of(recordings, tiny_folder, out, minutes=2.0, rank=4), print)


def test_too_few_recordings_are_told_with_what_is_wrong(recordings, tiny_folder, tmp_path):
    few = tmp_path / "few"
    few.mkdir()
    for name in ("one", "two", "silent"):
        for end in ("wav", "txt"):
            shutil.copy(recordings / f"{name}.{end}", few)
    with pytest.raises(InputError, match=rf"2 of 3 recordings.*1 silent; at least {FEWEST} usable ones are needed"):
        FineTuning(request_of(few, tiny_folder, tmp_path / "out"), print).prepare()


def test_wider_models_take_smaller_steps(tmp_path):
    rates = [Tuning(tmp_path, tmp_path, "me", "me", 1.0).rate(width) for width in (256, 1024)]
    assert rates[0] == 4 * rates[1]


def test_the_recipes_and_samples_of_the_page_are_valid(root, tmp_path):
    page = (root / "docs" / "finetune.md").read_text(encoding="utf-8")
    lm, chat = re.findall(r"^```toml\n(.*?)^```", page, re.M | re.S)
    described = tomllib.loads(lm)
    assert set(described) <= {each.name for each in fields(LMRecipe)}
    adapted = from_mapping(LoRAConfig, described["adapter"])
    assert set(chosen(["layers.0.audio_mlp.up_proj", "layers.0.mlp.up_proj"], adapted.targets[-1:], "")) == {
        "layers.0.audio_mlp.up_proj"
    }
    (tmp_path / "chat.toml").write_text(chat)
    assert read_recipe(ChatRecipe, tmp_path / "chat.toml").adapter.scale == 2.0
    (sample,) = re.findall(r"^```json\n(.*?)^```", page, re.M | re.S)
    assert [message["role"] for message in json.loads(sample)["messages"]] == ["system", "user", "assistant"]


def test_the_commands_of_the_page_are_there_with_their_options(root):
    page = (root / "docs" / "finetune.md").read_text(encoding="utf-8")
    lines = [line for block in re.findall(r"^```bash\n(.*?)^```", page, re.M | re.S) for line in block.splitlines()]
    assert len(lines) == 7
    for line in lines:
        program, *words = shlex.split(line)
        command = typer.main.get_command(build_app())
        while hasattr(command, "commands") and words[0] in command.commands:
            command = command.commands[words.pop(0)]
        known = {option for parameter in command.params for option in parameter.opts}
        assert program == "parlando"
        assert {word for word in words if word.startswith("-")} <= known, line
