"""A corpus through a speech tokenizer and a speaker encoder: codes, embeddings, and where a run of each is read."""

import numpy as np
import pytest
import torch

from parlando.audio.resample import sinc_resample
from parlando.core.errors import CheckpointError, ConfigError, FileMissingError
from parlando.data.tokens import TokenCorpus
from parlando.models.cosyvoice.parts.campplus import CampPlus, CampPlusConfig
from parlando.models.cosyvoice.parts.part_weights import (
    SPEAKER_FILE,
    SPEECH_TOKENIZER_FILE,
    load_speaker,
    load_speech_tokenizer,
    save_trained,
)
from parlando.models.cosyvoice.parts.speech_tokenizer import SpeechTokenizer, SpeechTokenizerConfig
from parlando.nn.checkpoint import read_tensors, save_tensors
from parlando.train.cosyvoice.encoders import find_embedder
from parlando.train.encode import embed_corpus, encode_corpus
from parlando.train.registry import load_embedder, load_encoder

RATE = 24_000
TOKENIZER = SpeechTokenizerConfig(
    hidden_size=16, num_heads=2, num_layers=1, memory_kernel=5, window_seconds=1.0, overlap_seconds=0.4
)
SPEAKER = CampPlusConfig(
    embedding_size=6, growth=2, bottleneck=2, initial_channels=4, head_channels=2, layers=(1, 1, 1)
)


@pytest.fixture
def run(tmp_path, in_this_process):
    """A folder with both networks, as a training would export them."""
    torch.manual_seed(0)
    save_trained(SpeechTokenizer(TOKENIZER), TOKENIZER, tmp_path / SPEECH_TOKENIZER_FILE)
    speaker = CampPlus(SPEAKER)
    for _ in range(30):
        speaker(torch.randn(4, 30, SPEAKER.fbank.num_bands))
    save_trained(speaker, speaker.config, tmp_path / SPEAKER_FILE)
    return tmp_path


def test_codes_of_a_corpus_are_those_of_the_tokenizer(run, packed):
    frames = encode_corpus(packed, load_encoder(run, RATE), run / "codes", warp_share=0.0)
    corpus, tokenizer = TokenCorpus(run / "codes"), load_speech_tokenizer(run)
    assert (corpus.num_codebooks, corpus.codebook_size, corpus.frames) == (1, 6561, frames)
    for spoken, entry in zip(corpus.utterances, packed.entries, strict=True):
        assert spoken.frames == entry.samples // packed.config.frame_samples
        heard = sinc_resample(torch.from_numpy(packed.samples(entry))[None], RATE, TOKENIZER.mel.sample_rate)
        assert np.array_equal(corpus.codes(spoken)[0], tokenizer.encode(list(heard))[0].numpy())


def test_every_utterance_gets_an_embedding_at_its_own_speed(run, packed):
    encode_corpus(packed, load_encoder(run, RATE), run / "codes", warp_share=1.0)
    embedder = load_embedder(run, RATE)
    assert embed_corpus(packed, embedder, run / "codes") == 2 * len(packed.entries)
    corpus = TokenCorpus(run / "codes")
    assert corpus.speakers.shape == (len(corpus.utterances), SPEAKER.embedding_size)
    first = embedder.embed(torch.from_numpy(packed.samples(packed.entries[0])))
    assert np.allclose(corpus.speakers[0], first, atol=1e-5)
    assert not np.allclose(corpus.speakers[0], corpus.speakers[1], atol=1e-5)


def test_a_long_clip_is_told_by_its_middle(run):
    wave = torch.randn(RATE)
    short, whole = find_embedder(run, RATE, longest_seconds=0.5), find_embedder(run, RATE)
    assert torch.equal(short.embed(wave), whole.embed(wave[RATE // 4 : 3 * RATE // 4]))


def test_without_embeddings_the_corpus_says_how_to_get_them(run, packed):
    encode_corpus(packed, load_encoder(run, RATE), run / "codes", warp_share=0.0)
    with pytest.raises(ConfigError, match="encode the corpus again with --speaker"):
        assert TokenCorpus(run / "codes").speakers is None


def test_what_is_saved_is_loaded_as_it_was(run):
    for load, file in ((load_speech_tokenizer, SPEECH_TOKENIZER_FILE), (load_speaker, SPEAKER_FILE)):
        tensors, state = read_tensors(run / file), load(run).state_dict()
        assert all(torch.equal(state[name], tensor) for name, tensor in tensors.items())
        assert {name for name, tensor in state.items() if tensor.is_floating_point()} == tensors.keys()
        assert not load(run).training


@pytest.mark.parametrize(
    ("load", "file"), [(load_speech_tokenizer, SPEECH_TOKENIZER_FILE), (load_speaker, SPEAKER_FILE)]
)
def test_loading_is_strict(run, load, file):
    tensors = read_tensors(run / file)
    name = next(iter(tensors))
    for wrong, told in (
        ({k: t for k, t in tensors.items() if k != name}, "missing"),
        (tensors | {"stray": torch.zeros(1)}, "unexpected: stray"),
        (tensors | {name: tensors[name] * torch.nan}, "not finite"),
    ):
        save_tensors(wrong, run / file)
        with pytest.raises(CheckpointError, match=told):
            load(run)
    (run / file).unlink()
    with pytest.raises(FileMissingError):
        load(run)


def test_a_folder_with_nothing_trained_is_named(tmp_path):
    with pytest.raises(ConfigError, match="holds no trained codec or speech tokenizer"):
        load_encoder(tmp_path, RATE)
    with pytest.raises(ConfigError, match="holds no trained speaker encoder"):
        load_embedder(tmp_path, RATE)
