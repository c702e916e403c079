"""A training from shards: the examples of each batch are of its shard, and repeat by its number alone."""

import pytest
from tiny_tasks import MIX, example_sampler

from parlando.data.streams import StreamedCorpus, write_shards
from parlando.data.tokens import TokenCorpus
from parlando.models.higgs.prompt import HiggsPromptBuilder, PromptConfig
from parlando.models.higgs.tokenizer import PhonemeTokenizer, default_phoneme_config
from parlando.train.higgs.lm_examples import ExampleSampler
from parlando.train.shared.streams import open_examples

BUILDER = HiggsPromptBuilder(PhonemeTokenizer(default_phoneme_config()), PromptConfig(3, 16, 512))


def make(corpus):
    return ExampleSampler(corpus, BUILDER, MIX)


@pytest.fixture
def shards(codes, tmp_path):
    write_shards(TokenCorpus(codes), tmp_path, 6)
    return tmp_path


def said(examples):
    return [(example.prompt.sentence, tuple(example.prompt.tokens)) for example, _ in examples]


def test_batches_are_of_their_shards_and_resume_anywhere(shards):
    examples, corpus = open_examples(shards, make), StreamedCorpus(shards)
    drawn = [said(examples.batch(number)) for number in range(12)]
    assert len(corpus.described.train) > 1
    again = open_examples(shards, make)
    assert [said(again.batch(number)) for number in (7, 11, 3)] == [drawn[number] for number in (7, 11, 3)]
    assert len({str(each) for each in drawn}) > 6


def test_all_else_is_as_of_a_whole_corpus(shards, codes):
    """Held-out sentences are those of the voices that the first shard has."""
    examples = open_examples(shards, make)
    held_out = said(examples.held_out())
    assert held_out
    assert set(held_out) <= set(said(example_sampler(codes).held_out()))
    assert (examples.mix, examples.builder) == (MIX, BUILDER)
    assert type(open_examples(codes, make)) is ExampleSampler
