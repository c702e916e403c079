"""A corpus as codes: what is read of a folder, and how a folder is begun and finished."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from parlando.core.errors import ConfigError, FileMissingError
from parlando.data.tokens import SPEAKERS, Codes, EncodedUtterance, TokenCorpus, begin_codes, write_described

FIRST = EncodedUtterance("a", "ada", 1.0, "en", "Hello.", "train", 0, 3)
SECOND = EncodedUtterance("b", "ada", 0.9, "en", "Good-bye.", "validation", 3, 2)


@pytest.fixture
def folder(tmp_path):
    """Two utterances of two codebooks, with embeddings."""
    begin_codes(tmp_path / "codes")
    made = tmp_path / "codes"
    np.arange(10, dtype=np.int16).tofile(made / "codes.i16")
    np.arange(5, dtype=np.uint8).tofile(made / "labels.u8")
    np.arange(6, dtype=np.float32).tofile(made / SPEAKERS)
    (made / "index.jsonl").write_text("".join(json.dumps(asdict(each)) + "\n" for each in (FIRST, SECOND)))
    write_described(made, Codes(2, 16, speaker_dim=3))
    return made


def test_an_utterance_has_its_own_stretch_of_codes_and_labels(folder):
    corpus = TokenCorpus(folder)
    assert corpus.utterances == [FIRST, SECOND]
    assert (corpus.num_codebooks, corpus.codebook_size, corpus.frames) == (2, 16, 5)
    assert corpus.codes(FIRST).tolist() == [[0, 2, 4], [1, 3, 5]]
    assert corpus.codes(SECOND).tolist() == [[6, 8], [7, 9]]
    assert corpus.labels(SECOND).tolist() == [3, 4]
    assert corpus.speakers.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert [each.voice for each in corpus.utterances] == ["ada@1", "ada@0.9"]


def test_what_was_begun_again_is_not_complete(folder):
    begin_codes(folder)
    with pytest.raises(FileMissingError, match=r"no encoded corpus at '.*codes\.json'"):
        TokenCorpus(folder)
    write_described(folder, Codes(2, 16))
    with pytest.raises(ConfigError, match="encode the corpus again with --speaker"):
        assert TokenCorpus(folder).speakers is None


def test_a_missing_corpus_is_named(tmp_path):
    with pytest.raises(FileMissingError, match=r"no encoded corpus at '.*index\.jsonl'"):
        TokenCorpus(tmp_path)


def test_a_packed_corpus_is_not_written_over(packed):
    with pytest.raises(ConfigError, match="holds a packed corpus; name another folder"):
        begin_codes(packed.folder)
