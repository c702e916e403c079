"""Speakers of a checkpoint: ours as JSON, published ones as tensors and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from parlando.core.errors import CheckpointError, InputError
from parlando.core.types import Reference, Voice
from parlando.core.voicefile import write_voices
from parlando.models.cosyvoice.voices import (
    MEL,
    SPEAKER,
    VoiceSizes,
    add_speaker,
    check_voices,
    load_voices,
    published_voices,
    read_speakers,
)

SIZES = VoiceSizes(codebook_size=81, mel_bins=80, speaker_dim=2)


def decoded(ids):
    return " ".join(map(str, ids))


def saved(tmp_path, entries):
    torch.save(entries, tmp_path / "spk2info.pt")
    return tmp_path / "spk2info.pt"


PROMPT = {
    "prompt_text": torch.tensor([[3, 4]]),
    "flow_prompt_speech_token": torch.tensor([[7, 8, 9]], dtype=torch.int32),
    "prompt_speech_feat": torch.arange(480.0).reshape(1, 6, 80),
    "flow_embedding": torch.tensor([[1.0, 2.0]], dtype=torch.float64),
}


def test_an_embedding_alone_is_a_voice_without_a_clip(tmp_path):
    (voice,) = read_speakers(saved(tmp_path, {"ann": {"embedding": torch.tensor([[1.0, 2.0]])}}), decoded).values()
    (clip,) = voice.references
    assert (voice.name, clip.text, clip.codes.shape) == ("ann", "", (1, 0))
    assert clip.features.keys() == {SPEAKER}
    assert clip.features[SPEAKER].tolist() == [1.0, 2.0]


def test_a_saved_prompt_is_a_clip_with_its_words(tmp_path):
    clip = read_speakers(saved(tmp_path, {"me": PROMPT}), decoded)["me"].references[0]
    assert (clip.text, clip.codes.tolist(), clip.codes.dtype) == ("3 4", [[7, 8, 9]], np.int64)
    assert np.array_equal(clip.features[MEL], np.arange(480.0).reshape(6, 80))
    assert {values.dtype for values in clip.features.values()} == {np.dtype(np.float32)}


def test_a_prompt_without_words_or_without_all_of_its_clip_is_a_voice_too(tmp_path):
    wordless = {key: value for key, value in PROMPT.items() if key != "prompt_text"}
    part = {key: value for key, value in PROMPT.items() if key != "prompt_speech_feat"}
    voices = read_speakers(saved(tmp_path, {"a": wordless, "b": part}), decoded)
    assert [voice.references[0].text for voice in voices.values()] == ["", ""]
    assert [voice.references[0].codes.shape[1] for voice in voices.values()] == [3, 0]


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([PROMPT], "expected speakers by name, found list"),
        ({"me": [1.0]}, "me: expected a speaker's tensors, found list"),
        ({"me": {"prompt_text": PROMPT["prompt_text"]}}, "me: no speaker embedding"),
        ({"me": {"embedding": [1.0]}}, "me: no speaker embedding"),
        ({"me": {"embedding": torch.tensor([float("nan")])}}, "me: a number is not finite"),
        ({"me": PROMPT | {"prompt_speech_feat": torch.full((1, 6, 80), float("inf"))}}, "me: a number is not finite"),
        ({"me": {"embedding": torch.tensor([1, 2])}}, "me: a number is not finite or not of floating point"),
        ({"me": PROMPT | {"flow_prompt_speech_token": torch.tensor([[1.5]])}}, "me: ids of the type torch.float32"),
        ({"me": PROMPT | {"prompt_text": torch.tensor([[-4]])}}, "me: the id -4 is below zero"),
        ({"me": PROMPT | {"prompt_speech_feat": torch.zeros(6, 80)}}, r"a mel of shape \[6, 80\]"),
    ],
)
def test_an_entry_that_is_no_speaker_is_named(tmp_path, entries, message):
    with pytest.raises(CheckpointError, match=message) as caught:
        read_speakers(saved(tmp_path, entries), decoded)
    assert "spk2info.pt" in str(caught.value)


class Runs:
    def __reduce__(self):
        return print, ("executed",)


def test_a_file_that_needs_more_than_tensors_is_refused_and_not_run(tmp_path, capsys):
    with pytest.raises(CheckpointError, match="not a plain table of tensors"):
        read_speakers(saved(tmp_path, {"me": Runs()}), decoded)
    (tmp_path / "spk2info.pt").write_bytes(b"<html>")
    with pytest.raises(CheckpointError, match="not a plain table of tensors"):
        read_speakers(tmp_path / "spk2info.pt", decoded)
    assert capsys.readouterr().out == ""


def test_speakers_saved_since_stand_beside_the_published_ones(tmp_path):
    assert published_voices(tmp_path, decoded) == {}
    saved(tmp_path, {"me": PROMPT})
    write_voices(tmp_path / "voices.json", {"eve": Voice("eve", "calm")})
    assert list(published_voices(tmp_path, decoded)) == ["me", "eve"]


def clip(codes):
    return Voice("ann", references=(Reference("", np.array(codes), {}),))


@pytest.mark.parametrize("codes", [[[0, 81]], [[-1]], [[1], [2]]])
def test_codes_of_another_model_are_refused(tmp_path, codes):
    with pytest.raises(CheckpointError, match="one row of 0 to 80"):
        check_voices({"ann": clip(codes)}, SIZES, "ann", "here")


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({SPEAKER: np.zeros(3)}, r"a speaker embedding of shape \[3\], not \[2\]"),
        ({MEL: np.zeros((4, 79))}, r"a mel of shape \[4, 79\], not \[frame, 80\]"),
        ({MEL: np.zeros(80)}, r"a mel of shape \[80\]"),
    ],
)
def test_features_of_another_model_are_refused(features, message):
    voice = Voice("ann", references=(Reference("", np.array([[1]]), features),))
    with pytest.raises(CheckpointError, match=f"here: a reference of 'ann' has {message}"):
        check_voices({"ann": voice}, SIZES, "ann", "here")


def test_a_published_speaker_of_another_size_is_refused_with_its_file(tmp_path):
    saved(tmp_path, {"me": PROMPT, "you": {"embedding": torch.zeros(1, 192)}})
    with pytest.raises(CheckpointError, match=r"spk2info\.pt: a reference of 'you' has a speaker embedding"):
        published_voices(tmp_path, decoded, SIZES)


def test_the_default_voice_must_be_there_unless_there_is_none(tmp_path):
    check_voices({}, SIZES, "", "here")
    write_voices(tmp_path / "voices.json", {"ann": clip([[0, 80]])})
    assert list(load_voices(tmp_path, SIZES, "ann")) == ["ann"]
    for voices, default in (({"ann": clip([[1]])}, "bob"), ({"ann": clip([[1]])}, ""), ({}, "bob")):
        with pytest.raises(CheckpointError, match=f"the default voice '{default}' is not there"):
            check_voices(voices, SIZES, default, "here")


def test_a_voice_joins_the_speakers_of_a_published_file_and_the_others_stay(tmp_path):
    path = saved(tmp_path, {"ann": {"embedding": torch.tensor([[1.0, 2.0]])}})
    mel, speaker = np.ones((4, 3), dtype=np.float32), np.arange(2, dtype=np.float32)
    me = Voice("me", references=(Reference("ab", np.array([[5, 6]]), {MEL: mel, SPEAKER: speaker}),))
    add_speaker(path, me, lambda text: [ord(letter) for letter in text])
    voices = read_speakers(path, lambda ids: "".join(map(chr, ids)))
    assert list(voices) == ["ann", "me"]
    (again,) = voices["me"].references
    assert (again.text, again.codes.tolist()) == ("ab", [[5, 6]])
    assert np.array_equal(again.features[MEL], mel)
    assert np.array_equal(again.features[SPEAKER], speaker)
    entry = torch.load(path, weights_only=True)["me"]
    assert {"prompt_text", "llm_prompt_speech_token", "llm_embedding", "embedding"} <= entry.keys()
    assert [entry[f"{name}_len"].tolist() for name in ("prompt_text", "prompt_speech_feat")] == [[2], [4]]
    with pytest.raises(InputError, match="'bob' follows no clip"):
        add_speaker(path, Voice("bob", "a man"), lambda text: [])
