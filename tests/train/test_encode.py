import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_tasks import CODEC

from parlando.data.shards import PHONES, PackedCorpus
from parlando.data.tokens import TokenCorpus
from parlando.models.higgs.parts.spectral import SpectralCodec
from parlando.train.encode import SPEEDS, encode_corpus


@pytest.fixture
def codec():
    torch.manual_seed(0)
    made = SpectralCodec(CODEC).eval()
    for quantizer in made.quantizer.quantizers:
        quantizer.codebook.embed.normal_()
    return made


pytestmark = pytest.mark.usefixtures("in_this_process")


def encode(packed, codec, folder, **options):
    frames = encode_corpus(packed, codec, folder, **options)
    return TokenCorpus(folder), frames


def test_codes_are_what_the_codec_makes(packed, codec, tmp_path):
    corpus, frames = encode(packed, codec, tmp_path, warp_share=0.0)
    assert frames == sum(e.samples for e in packed.entries) // 960
    assert [s.id for s in corpus.utterances] == [e.id for e in packed.entries]
    for spoken, entry in zip(corpus.utterances, packed.entries, strict=True):
        expected = codec.encode(torch.from_numpy(packed.samples(entry))[None])[0]
        assert np.array_equal(corpus.codes(spoken), expected.numpy())
        assert np.array_equal(corpus.labels(spoken), packed.labels(entry)[:, 0])
        assert (spoken.speed, spoken.voice) == (1.0, f"{entry.speaker}@1")


def test_the_test_split_is_not_encoded(packed, codec, tmp_path, monkeypatch):
    folder = tmp_path / "packed"
    folder.mkdir()
    for name in ("samples.i16", "labels.u8", "pack.json"):
        (folder / name).write_bytes((packed.folder / name).read_bytes())
    entries = [replace(e, split="test" if i % 3 == 0 else "train") for i, e in enumerate(packed.entries)]
    (folder / "index.jsonl").write_text("".join(json.dumps(e.__dict__) + "\n" for e in entries))
    corpus, _ = encode(PackedCorpus(folder), codec, tmp_path / "codes", warp_share=0.0)
    assert [s.id for s in corpus.utterances] == [e.id for e in entries if e.split == "train"]


def test_other_speeds_are_other_voices_of_other_lengths(packed, codec, tmp_path):
    corpus, _ = encode(packed, codec, tmp_path, warp_share=1.0)
    plain, warped = corpus.utterances[0::2], corpus.utterances[1::2]
    assert len(plain) == len(warped) == len(packed.entries)
    assert {s.speed for s in warped} <= set(SPEEDS)
    for a, b in zip(plain, warped, strict=True):
        assert a.id == b.id
        assert b.voice == f"{b.speaker}@{b.speed:g}" != a.voice
        assert b.frames == int(a.frames / b.speed)
        middles = [np.flatnonzero(corpus.labels(s) == PHONES.index("iy")).mean() / s.frames for s in (a, b)]
        assert middles[0] == pytest.approx(middles[1], abs=0.1)


def test_encoding_twice_gives_the_same(packed, codec, tmp_path):
    for name in ("a", "b"):
        encode(packed, codec, tmp_path / name, warp_share=0.5)
    for file in ("codes.i16", "labels.u8", "index.jsonl", "codes.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
