"""Codes as a language model says them, and a flow that is shown them."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from test_flow import MIX, write_codes
from test_lm import CODES, CONFIG, TOKENIZER, one_book  # noqa: F401  a fixture

from parlando.core.errors import ConfigError
from parlando.core.types import SamplingOptions
from parlando.data.tokens import TokenCorpus
from parlando.models.cosyvoice.lm import CosyVoiceLM
from parlando.models.cosyvoice.lm_weights import save_lm
from parlando.train.cosyvoice.flow_examples import FlowSampler
from parlando.train.cosyvoice.resample_tokens import TokenResampler, load_token_resampler, resample_tokens

FREE = SamplingOptions(temperature=1.0, top_k=None, top_p=None)


@pytest.fixture
def corpus(one_book):  # noqa: F811
    return TokenCorpus(one_book)


def model(seed=0):
    torch.manual_seed(seed)
    lm = CosyVoiceLM(CONFIG)
    torch.nn.init.normal_(lm.speech_head.weight, std=2.0)
    return lm


def says_what_follows(lm):
    """Make a model say the code after the one it read."""
    with torch.no_grad():
        for layer in lm.layers:
            for block in (layer.self_attn.o_proj, layer.mlp.down_proj):
                block.weight.zero_()
        lm.embed_speech.weight.zero_()
        lm.embed_marks.weight.fill_(1.0)
        lm.embed_tokens.weight.fill_(1.0)
        lm.speech_head.bias.zero_()
        rows = torch.randn(CODES, CONFIG.hidden_size)
        lm.embed_speech.weight[:CODES] = rows
        lm.speech_head.weight.zero_()
        lm.speech_head.weight[1:CODES] = 50 * lm.norm(rows[:-1])
    return lm


def test_each_code_is_drawn_next_to_the_true_past(corpus, tmp_path):
    """A model that says the successor of what it reads says the successors of the true codes, not of its own."""
    done = resample_tokens(
        corpus, TokenResampler(says_what_follows(model()), replace(FREE, temperature=0.0), TOKENIZER), tmp_path / "out"
    )
    resampled = TokenCorpus(tmp_path / "out")
    assert done.frames == corpus.frames
    assert resampled.utterances == corpus.utterances
    right = total = 0
    for spoken in corpus.utterances:
        true, said = corpus.codes(spoken)[0], resampled.codes(spoken)[0]
        assert len(true) == len(said)
        follows = true[:-1] < CODES - 1
        right, total = right + int((said[1:] == true[:-1] + 1)[follows].sum()), total + int(follows.sum())
    assert right > 0.9 * total


def test_draws_vary_stay_codes_and_repeat(corpus, tmp_path):
    for name in ("one", "two"):
        done = resample_tokens(corpus, TokenResampler(model(), FREE, TOKENIZER), tmp_path / name)
    one, two = (np.fromfile(tmp_path / name / "codes.i16", np.int16) for name in ("one", "two"))
    assert (one == two).all()
    assert 0 <= one.min() <= one.max() < CODES
    assert len(np.unique(one)) > CODES // 2
    assert 0 < done.same < done.frames == len(one)


def test_batches_of_any_size_say_the_same_when_greedy(corpus, tmp_path):
    resampler = TokenResampler(model(), replace(FREE, temperature=0.0), TOKENIZER)
    for size in (1, 5):
        resample_tokens(corpus, resampler, tmp_path / str(size), batch=size)
    assert (tmp_path / "1" / "codes.i16").read_bytes() == (tmp_path / "5" / "codes.i16").read_bytes()


def test_what_is_too_long_is_left_and_told(corpus, tmp_path, caplog):
    short = CosyVoiceLM(replace(CONFIG, context_length=30))
    done = resample_tokens(corpus, TokenResampler(short, FREE, TOKENIZER), tmp_path / "out")
    assert done.frames < corpus.frames
    assert f"left {corpus.frames - done.frames} codes as they are" in caplog.text
    assert TokenCorpus(tmp_path / "out").frames == corpus.frames


def test_what_does_not_fit_is_refused(corpus, tmp_path):
    with pytest.raises(ConfigError, match="name another folder"):
        resample_tokens(corpus, TokenResampler(model(), FREE, TOKENIZER), corpus.folder)
    other = CosyVoiceLM(replace(CONFIG, codebook_size=81))
    with pytest.raises(ConfigError, match="the model one of 81; encode"):
        resample_tokens(corpus, TokenResampler(other, FREE, TOKENIZER), tmp_path / "out")
    with pytest.raises(ConfigError, match="temperature"):
        TokenResampler(model(), replace(FREE, temperature=-1.0), TOKENIZER)


def test_a_trained_model_is_loaded_by_its_folder(tmp_path):
    save_lm(model(), tmp_path)
    (tmp_path / "lm.json").write_text(json.dumps(asdict(CONFIG)))
    assert load_token_resampler(tmp_path, FREE).lm.config == CONFIG


def test_a_flow_is_shown_both(packed, tmp_path):
    tokens = write_codes(packed, tmp_path / "codes")
    write_codes(packed, tmp_path / "resampled")
    (tmp_path / "resampled" / "codes.i16").write_bytes(np.full(tokens.frames, 7, np.int16).tobytes())
    resampled = TokenCorpus(tmp_path / "resampled")
    sampler = FlowSampler(packed, tokens, replace(MIX, join_share=0.0, resampled_share=0.5), resampled)

    def all_said(examples):
        rows = zip(examples.tokens, examples.lengths, strict=True)
        return [bool((row[:length] == 7).all()) for row, length in rows]

    assert {said for step in range(8) for said in all_said(sampler.batch(step))} == {True, False}
    assert not any(all_said(sampler.held_out(2)))
    with pytest.raises(ConfigError, match="by --resampled"):
        FlowSampler(packed, tokens, replace(MIX, resampled_share=0.5))
    (tmp_path / "resampled" / "index.jsonl").write_text("")
    with pytest.raises(ConfigError, match="was not resampled from"):
        FlowSampler(packed, tokens, MIX, TokenCorpus(tmp_path / "resampled"))


def test_a_corpus_is_resampled_by_mbr(corpus):
    """Where draws scatter, the one in their middle is said: more often the same than a single one."""
    lm, said = model(), {}
    for draws in (1, 16):
        lm.config = replace(CONFIG, consensus_draws=draws)
        resampler = TokenResampler(lm, FREE, TOKENIZER)
        example = resampler.example("so it goes", corpus.codes(corpus.utterances[0]))
        said[draws] = np.stack([resampler.say([example])[0] for _ in range(20)])
    varied = {draws: np.mean([len(np.unique(column)) for column in rows.T]) for draws, rows in said.items()}
    assert varied[16] < varied[1]
