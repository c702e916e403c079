"""Voice transfer: it learns codes from phones, knows nothing of whose phones they were, and adds to a corpus."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from stepping import hand_on, stepper
from tiny_corpus import no_processes

from parlando.core.errors import CheckpointError, ConfigError, FileMissingError
from parlando.data.pitch import measure_pitch
from parlando.data.shards import PHONES, UNKNOWN_PHONE
from parlando.data.tokens import EncodedUtterance, TokenCorpus
from parlando.train.higgs.voice_transfer import (
    TransferPlan,
    VoiceTransfer,
    load_voice_transfer,
    phone_lengths,
    transfer_corpus,
)
from parlando.train.higgs.voice_transfer_net import VoiceTransferConfig, VoiceTransferNet
from parlando.train.higgs.voice_transfer_task import (
    StretchSampler,
    VoiceTransferSizes,
    VoiceTransferTask,
    VoiceTransferTrainConfig,
)
from parlando.train.loop.optim import OptimConfig
from parlando.train.loop.step import Stepper
from parlando.train.loop.trainer import Budget, Trainer

CONFIG = VoiceTransferTrainConfig(
    VoiceTransferSizes(dim=16, hidden_dim=24, blocks=2, dropout=0.0), OptimConfig(rate=1e-2), batch=4, frames=6
)


@pytest.fixture(autouse=True)
def quick(in_this_process):
    torch.manual_seed(0)


@pytest.fixture(autouse=True, scope="module")
def pitch(packed):
    with pytest.MonkeyPatch.context() as patch:
        no_processes(patch)
        measure_pitch(packed)


@pytest.fixture
def unaligned(packed, monkeypatch):
    """Take a speaker's phone times away."""

    def take(speaker):
        known = packed.labels
        monkeypatch.setattr(
            packed, "labels", lambda e: np.full_like(known(e), UNKNOWN_PHONE) if e.speaker == speaker else known(e)
        )

    return take


@pytest.fixture
def tokens(packed, tmp_path):
    """Codes that follow from phone and speaker, which can be learned, and an utterance at another speed."""
    start, spoken, codes, labels = 0, [], [], []
    for entry in packed.entries:
        phones = packed.labels(entry).astype(int)
        own = 3 if entry.speaker == "rms" else 0
        codes.append(np.stack([phones[:, 0] % 5 + own, phones[:, 1] % 5 + own, np.full(len(phones), own)], axis=1))
        labels.append(phones[:, 0])
        split = "validation" if entry.text.startswith("Two") else "train"
        spoken.append(EncodedUtterance(entry.id, entry.speaker, 1.0, "en", entry.text, split, start, len(phones)))
        start += len(phones)
    spoken.append(replace(spoken[0], speed=0.9))
    folder = tmp_path / "codes"
    folder.mkdir()
    np.concatenate(codes).astype(np.int16).tofile(folder / "codes.i16")
    np.concatenate(labels).astype(np.uint8).tofile(folder / "labels.u8")
    (folder / "index.jsonl").write_text("".join(json.dumps(s.__dict__) + "\n" for s in spoken))
    (folder / "codes.json").write_text(json.dumps({"num_codebooks": 3, "codebook_size": 9}))
    return TokenCorpus(folder)


@pytest.fixture
def task(packed, tokens):
    return VoiceTransferTask(StretchSampler(packed, tokens, CONFIG), CONFIG)


def heard(batch):
    """What the network is told of a batch."""
    return batch.phones, batch.contours, batch.speakers


def train(task, steps):
    return [stepper(task).step(step, 0.1)["loss"] for step in range(steps)]


def test_it_learns_codes_from_phones(task):
    losses = train(task, 60)
    assert losses[-1] < 0.2 * losses[0]
    held_out = stepper(task).evaluate()
    assert held_out["first"] < 0.3
    assert set(held_out) == {"loss", "first", "last", "loss/slt", "loss/rms"}


def test_a_step_is_a_function_of_its_number(task):
    one, same, other = (task.sampler.batch(step) for step in (3, 3, 4))
    assert all(torch.equal(a, b) for a, b in zip(vars(one).values(), vars(same).values(), strict=True))
    assert not torch.equal(one.contours, other.contours)


def test_its_stretches_are_of_recordings_as_they_were(task, tokens):
    batch = task.sampler.batch(0)
    assert batch.phones.shape == (4, 6, 2)
    assert batch.contours.shape == (4, 6, 8)
    assert batch.codes.shape == (4, 3, 6)
    own = 3 * (batch.speakers == task.sampler.speakers.index("rms"))
    assert torch.equal(batch.codes[:, 0], batch.phones[..., 0] % 5 + own[:, None])
    assert all(spoken.speed == 1.0 for _, spoken in task.sampler.train)


def test_a_corpus_of_shorter_utterances_is_refused(packed, tokens):
    with pytest.raises(ConfigError, match="500 frames is encoded"):
        StretchSampler(packed, tokens, replace(CONFIG, frames=500))


def test_it_resumes_from_its_state(task, packed, tokens):
    train(task, 3)
    other = VoiceTransferTask(task.sampler, CONFIG)
    hand_on(task, other)
    assert train(other, 2) == train(task, 2)


def test_what_was_exported_under_the_former_name_is_read(task, tmp_path):
    task.export(tmp_path)
    for end in ("json", "safetensors"):
        (tmp_path / f"voice_transfer.{end}").rename(tmp_path / f"revoicer.{end}")
    loaded = load_voice_transfer(tmp_path).state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in task.network.state_dict().items())
    (tmp_path / "revoicer.safetensors").write_bytes(b"")
    task.export(tmp_path)
    assert load_voice_transfer(tmp_path).config == task.network.config, "what is new goes first"


def test_a_training_that_was_begun_under_the_former_name_goes_on(task, tmp_path):
    model = task.network.state_dict()
    optimizer = Stepper(task).optimizers["model"].state_dict()
    former = {"revoicer": {name: tensor + 1 for name, tensor in model.items()}, "optimizer": optimizer}
    expected = {name: tensor + 1 for name, tensor in model.items()}
    torch.save({"task": former, "step": 3, "seconds": 1.5}, tmp_path / "last.pt")
    trainer = Trainer(task, tmp_path, Budget(steps=4))
    assert trainer.step == 3
    assert all(torch.equal(tensor, expected[name]) for name, tensor in task.network.state_dict().items())


def test_what_was_exported_says_the_same(task, tmp_path):
    task.export(tmp_path)
    loaded, batch = load_voice_transfer(tmp_path), task.sampler.batch(0)
    task.network.eval()
    assert torch.equal(loaded.say(*heard(batch)), task.network.say(*heard(batch)))
    with pytest.raises(FileMissingError):
        load_voice_transfer(tmp_path / "nothing")
    (tmp_path / "voice_transfer.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError):
        load_voice_transfer(tmp_path)


def test_the_likeliest_codes_are_those_that_training_rates_highest(task):
    network, batch = task.network.eval(), task.sampler.batch(0)
    said = network.say(*heard(batch))
    logits = network(*heard(batch), said)
    assert torch.equal(logits.argmax(-1), said)


def test_the_sound_is_drawn_and_the_content_is_not(task):
    batch = task.sampler.batch(0)
    one, same, other = (
        task.network.say(*heard(batch), temperature=5.0, generator=torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one[:, 1:], other[:, 1:])
    assert torch.equal(one[:, 0], other[:, 0])
    assert int(other.max()) < 9


def test_an_unknown_phone_is_a_phone_of_its_own():
    network = VoiceTransferNet(VoiceTransferConfig(("ada",), 1, 4, 1, 1, dim=8, hidden_dim=8, blocks=1)).eval()
    contour, speaker = torch.zeros(1, 2, 2), torch.zeros(1, dtype=torch.long)
    codes = torch.zeros(1, 1, 2, dtype=torch.long)
    told = [network(torch.full((1, 2, 1), p), contour, speaker, codes) for p in (UNKNOWN_PHONE, len(PHONES), 0)]
    assert torch.equal(told[0], told[1])
    assert not torch.equal(told[0], told[2])


def test_sentences_are_said_in_the_wanted_voice_at_its_pace(task, packed, tokens, tmp_path):
    train(task, 60)
    transfer = VoiceTransfer(packed, task.network.eval(), "rms")
    assert transfer.pace["slt"] == pytest.approx(transfer.pace["rms"], rel=0.05)
    transfer.pace["slt"] = transfer.pace["rms"] / 2
    assert transfer_corpus(tokens, transfer, TransferPlan("rms", ("slt",)), tmp_path / "more") == 5
    more = TokenCorpus(tmp_path / "more")
    before, added = more.utterances[:-5], more.utterances[-5:]
    assert before == tokens.utterances
    assert all(np.array_equal(more.codes(s), tokens.codes(s)) for s in before)
    for said in added:
        source = next(s for s in before if said.id == f"{s.id}:rms")
        assert (said.speaker, said.split, said.text) == ("rms", "train", source.text)
        assert said.frames == 2 * source.frames
        assert np.isin(more.codes(said)[2], [3]).mean() > 0.9
        assert set(more.labels(said)) <= set(tokens.labels(source))
    assert more.frames == sum(s.frames for s in more.utterances) - before[-1].frames


def test_a_limit_draws_the_same_sentences_every_time(task, packed, tokens, tmp_path):
    transfer = VoiceTransfer(packed, task.network.eval(), "rms")
    ids = []
    for name in ("a", "b"):
        transfer_corpus(tokens, transfer, TransferPlan("rms", limit=2, temperature=1.0), tmp_path / name)
        ids.append((tmp_path / name / "index.jsonl").read_text())
    assert ids[0] == ids[1]
    assert (tmp_path / "a" / "codes.i16").read_bytes() == (tmp_path / "b" / "codes.i16").read_bytes()


@pytest.mark.parametrize(
    ("plan", "folder", "message"),
    [
        (
            TransferPlan("rms", ("slt", "slr")),
            "more",
            r"'slr' is not a valid source speaker; there are: slt\. Did you mean 'slt'\?",
        ),
        (TransferPlan("rms", ("rms",)), "more", "'rms' is not a valid source speaker"),
        (TransferPlan("rms"), "codes", "is the corpus to read; name another folder"),
        (TransferPlan("rms"), "packed", "holds a packed corpus; name another folder"),
    ],
)
def test_what_cannot_be_transferred_is_refused(task, packed, tokens, tmp_path, plan, folder, message):
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed" / "pack.json").touch()
    with pytest.raises(ConfigError, match=message):
        transfer_corpus(tokens, VoiceTransfer(packed, task.network, "rms"), plan, tmp_path / folder)


def test_who_has_no_phone_times_is_not_a_source(task, packed, tokens, tmp_path, unaligned):
    transfer = VoiceTransfer(packed, task.network, "rms")
    unaligned("slt")
    with pytest.raises(ConfigError, match="has no utterance with phone times by slt"):
        transfer_corpus(tokens, transfer, TransferPlan("rms"), tmp_path / "more")
    assert not (tmp_path / "more").exists()


def test_who_has_no_phone_times_cannot_be_given_more(task, packed, unaligned):
    unaligned("rms")
    with pytest.raises(ConfigError, match=r"has no phone times of 'rms'; see: parlando data align"):
        VoiceTransfer(packed, task.network, "rms")


def test_some_without_phone_times_are_left_out_and_counted(task, packed, tokens, tmp_path, monkeypatch, caplog):
    transfer, known, odd = VoiceTransfer(packed, task.network, "rms"), packed.labels, packed.entries[0].id
    monkeypatch.setattr(packed, "labels", lambda e: np.full_like(known(e), UNKNOWN_PHONE) if e.id == odd else known(e))
    assert transfer_corpus(tokens, transfer, TransferPlan("rms"), tmp_path / "more") == 4
    assert "left out 1 utterances without phone times" in caplog.text
    assert all(s.id != odd for _, s in StretchSampler(packed, tokens, CONFIG).train)


def test_a_speaker_who_is_only_kept_back_is_not_asked_for(packed, tokens):
    tokens.utterances = [replace(s, split="validation") if s.speaker == "rms" else s for s in tokens.utterances]
    task = VoiceTransferTask(StretchSampler(packed, tokens, CONFIG), CONFIG)
    assert task.sampler.speakers == ("slt",)
    assert "loss/rms" not in stepper(task).evaluate()


def test_a_voice_that_was_not_learned_is_refused(task, packed):
    with pytest.raises(ConfigError, match="has not learned 'ada'; it knows rms, slt"):
        VoiceTransfer(packed, task.network, "ada")


def test_pauses_and_unknown_phones_do_not_count_as_pace(packed):
    lengths = phone_lengths(packed, packed.entries)
    entry = packed.entries[0]
    labels = packed.labels(entry).reshape(-1)
    spoken = (labels != PHONES.index("pau")) & (labels != UNKNOWN_PHONE)
    assert phone_lengths(packed, [entry])["slt"] == spoken.sum() / 2
    assert lengths.keys() == {"slt", "rms"}
