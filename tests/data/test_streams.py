"""Shards: what is in them is what was encoded, and which of them a batch is drawn from is known from its number."""

import tarfile

import numpy as np
import pytest

from parlando.core.errors import CheckpointError, ConfigError, FileMissingError
from parlando.data.streams import StreamedCorpus, is_streamed, read_codebook_size, write_shards
from parlando.data.tokens import Codes, EncodedUtterance, TokenCorpus, begin_codes, write_described


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Seven utterances of three frames of two codebooks, the last for validation."""
    import json
    from dataclasses import asdict

    folder = tmp_path_factory.mktemp("codes")
    begin_codes(folder)
    np.arange(42, dtype=np.int16).tofile(folder / "codes.i16")
    np.arange(21, dtype=np.uint8).tofile(folder / "labels.u8")
    spoken = [
        EncodedUtterance(f"u{i}", "ada", 1.0, "en", f"Größe {i}.", "validation" if i == 6 else "train", 3 * i, 3)
        for i in range(7)
    ]
    (folder / "index.jsonl").write_text("".join(json.dumps(asdict(each)) + "\n" for each in spoken))
    write_described(folder, Codes(2, 64))
    return TokenCorpus(folder)


@pytest.fixture
def streamed(corpus, tmp_path):
    write_shards(corpus, tmp_path, utterances_per_shard=2)
    return StreamedCorpus(tmp_path)


def test_every_utterance_is_in_one_shard_and_what_it_was(corpus, streamed):
    assert [(shard.utterances, shard.frames) for shard in streamed.described.train] == [(2, 6)] * 3
    seen = []
    for shard in range(3):
        window = streamed.window(shard)
        assert (window.num_codebooks, window.codebook_size, window.frames) == (2, 64, 9)
        for spoken in window.utterances:
            original = next(each for each in corpus.utterances if each.id == spoken.id)
            assert (spoken.text, spoken.split, spoken.voice) == (original.text, original.split, original.voice)
            assert np.array_equal(window.codes(spoken), corpus.codes(original))
            assert np.array_equal(window.labels(spoken), corpus.labels(original))
        seen += [spoken.id for spoken in window.utterances if spoken.split == "train"]
    assert sorted(seen) == [f"u{i}" for i in range(6)]
    assert [s.id for s in streamed.window(0).utterances if s.split == "validation"] == ["u6"]


def test_its_files_are_as_webdataset_lays_them_out(streamed):
    with tarfile.open(streamed.folder / "train-000000.tar") as tar:
        assert tar.getnames() == [f"00000{i}.{kind}" for i in (0, 1) for kind in ("json", "codes.npy", "labels.npy")]


def test_every_epoch_goes_through_all_shards_in_an_order_of_its_own(streamed):
    """Three lanes of four batches a shard: an epoch is twelve batches."""
    shards = [streamed.shard_of(number, 4) for number in range(60)]
    epochs = [shards[start : start + 12] for start in range(0, 60, 12)]
    assert all(sorted(epoch) == [0] * 4 + [1] * 4 + [2] * 4 for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1
    assert [StreamedCorpus(streamed.folder).shard_of(number, 4) for number in range(60)] == shards


def test_processes_that_take_turns_read_shards_of_their_own(streamed):
    """With three batches a step, one a process, each has a shard to itself until it is through with it."""
    for process in range(3):
        assert len({streamed.shard_of(3 * step + process, 4) for step in range(4)}) == 1
    assert len({streamed.shard_of(number, 4) for number in range(3)}) == 3


def test_few_windows_are_kept(corpus, tmp_path):
    write_shards(corpus, tmp_path, utterances_per_shard=1)
    streamed = StreamedCorpus(tmp_path)
    windows = [streamed.window(shard) for shard in range(6)]
    assert streamed.window(5) is windows[5]
    assert streamed.window(0) is not windows[0]


def test_both_kinds_say_the_size_of_their_codebooks(corpus, streamed):
    assert not is_streamed(corpus.folder)
    assert read_codebook_size(corpus.folder) == read_codebook_size(streamed.folder) == 64


def test_a_folder_that_was_not_written_whole_is_none(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr("parlando.data.streams.write_json", lambda *given: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_shards(corpus, tmp_path, 2)
    with pytest.raises(FileMissingError, match=r"streams\.json"):
        StreamedCorpus(tmp_path)


@pytest.mark.parametrize("damage", [lambda p: p.unlink(), lambda p: p.write_bytes(p.read_bytes()[:1500])])
def test_a_damaged_shard_is_named(streamed, damage):
    damage(streamed.folder / "train-000001.tar")
    with pytest.raises(CheckpointError, match=r"train-000001\.tar' is not a whole shard"):
        streamed.window(1)


def test_a_shard_holds_something(corpus, tmp_path):
    with pytest.raises(ConfigError, match="at least 1 utterance, got 0"):
        write_shards(corpus, tmp_path, 0)
