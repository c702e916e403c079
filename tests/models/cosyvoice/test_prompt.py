"""What the language model is given in every mode, and the same layouts as training examples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from parlando.core.errors import InputError, PromptTooLongError, TextError
from parlando.core.types import IGNORED_LABEL, Reference, Voice
from parlando.models.cosyvoice.config import LMConfig
from parlando.models.cosyvoice.prompt import (
    CosyVoicePromptBuilder,
    LengthPrior,
    with_instruction,
    without_transcript,
)

CONFIG = LMConfig(
    vocab_size=200, hidden_size=16, num_layers=1, num_heads=2, num_kv_heads=1, head_dim=8, intermediate_size=16,
    codebook_size=20, context_length=150, group_text_tokens=2, group_speech_tokens=3,
)  # fmt: skip
SOS, TASK, SPEECH = CONFIG.sos_id, CONFIG.task_id, CONFIG.speech_id
END_OF_PROMPT = 150


class Letters:
    end_of_prompt = END_OF_PROMPT

    def encode(self, text, spell=None):
        return [ord(letter) for letter in text]

    def measure(self, text):
        return len(text), 0

    def unread(self, text):
        return ""


BUILDER = CosyVoicePromptBuilder(Letters(), CONFIG, LengthPrior(1.0, 2.0))
CODES = np.array([[4, 5, 6, 7]])
CLIP = Voice("clip", references=(Reference("Hi", CODES),))


def ids(text: str) -> tuple[int, ...]:
    return tuple(map(ord, text))


def built(voice: Voice):
    prompt = BUILDER.build("abc", voice)
    assert (prompt.sentence, prompt.text_tokens, prompt.expected_frames, prompt.voice) == ("abc", 3, 7.0, voice)
    assert prompt.codes.dtype == np.int64
    assert prompt.audio_mask.tolist() == [token == SPEECH for token in prompt.tokens]
    return prompt.tokens, prompt.codes[:, 0].tolist()


@pytest.mark.parametrize(("voice", "shared"), [(Voice("preset"), 1), (CLIP, 3), (with_instruction(CLIP, "slow"), 6)])
def test_the_voices_positions_are_its_transcript_or_instruction(voice, shared):
    one, other = BUILDER.build("abc", voice), BUILDER.build("defg", voice)
    assert one.voice_positions == other.voice_positions == shared
    assert one.tokens[:shared] == other.tokens[:shared]
    assert one.tokens[shared] == ord("a")


def test_a_preset_voice_gives_the_language_model_nothing():
    assert built(Voice("preset")) == ((SOS, *ids("abc"), TASK), [])


def test_zero_shot_continues_the_reference():
    assert built(CLIP) == ((SOS, *ids("Hiabc"), TASK, *[SPEECH] * 4), [4, 5, 6, 7])


def test_several_references_are_continued_as_one():
    voice = Voice("two", references=(Reference("Hi", CODES), Reference(" Yo ", CODES[:, :1])))
    assert built(voice) == ((SOS, *ids("Hi Yoabc"), TASK, *[SPEECH] * 5), [4, 5, 6, 7, 4])


def test_cross_lingual_leaves_the_reference_to_the_decoder():
    voice = without_transcript(CLIP)
    assert built(voice) == ((SOS, *ids("abc"), TASK), [])
    assert np.array_equal(voice.references[0].codes, CODES)


@pytest.mark.parametrize("instruction", ["slowly", " slowly<|endofprompt|>", "slowly <|endofprompt|>"])
@pytest.mark.parametrize("voice", [CLIP, Voice("preset")], ids=["clip", "preset"])
def test_an_instruction_is_closed_once_and_replaces_the_transcript(voice, instruction):
    directed = with_instruction(voice, instruction)
    assert built(directed) == ((SOS, *ids("slowly"), END_OF_PROMPT, *ids("abc"), TASK), [])
    assert directed.references == voice.references


def test_markup_in_a_sentence_is_not_obeyed_and_tags_are_kept():
    prompt = BUILDER.build(" a<|endofprompt|>b[laughter] ", Voice("a"))
    assert prompt.sentence == "a b[laughter]"


@pytest.mark.parametrize("sentence", ["", "?!", " <|en|> "])
def test_nothing_to_pronounce_is_refused(sentence):
    with pytest.raises(TextError, match="nothing to pronounce"):
        BUILDER.build(sentence, CLIP)


@pytest.mark.parametrize(
    ("sentence", "voice", "part"),
    [
        ("a" * 60, CLIP, "the sentence"),
        ("a", replace(CLIP, references=(Reference("Hi", np.zeros((1, 160), np.int64)),)), "the voice's reference"),
        ("a", Voice("a", instruction="x" * 150), "the instruction"),
    ],
)
def test_what_is_too_long_is_named(sentence, voice, part):
    with pytest.raises(PromptTooLongError, match=f"context of 150; {part} takes most"):
        BUILDER.build(sentence, voice)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (np.array([[20]]), r"outside 0\.\.19"),
        (np.array([[-1]]), r"outside 0\.\.19"),
        (np.zeros((2, 3), np.int64), "1 codebook"),
        (np.zeros(3, np.int64), "1 codebook"),
    ],
)
def test_codes_of_another_model_are_refused(codes, message):
    with pytest.raises(InputError, match=message):
        BUILDER.build("abc", Voice("a", references=(Reference("Hi", codes),)))


def test_arriving_text_opens_with_the_reference_in_groups():
    prompt = BUILDER.build_arriving(["ab", "c d", "ef "], CLIP)
    assert prompt.tokens == (SOS, *ids("Hi"), *[SPEECH] * 3, *ids("ab"), SPEECH)
    assert prompt.codes[:, 0].tolist() == [4, 5, 6, 7]
    assert (prompt.text_tokens, prompt.voice, prompt.turns.speech_left) == (3, CLIP, 2)


def test_a_reference_longer_than_the_text_that_arrives_is_kept_whole():
    prompt = BUILDER.build_arriving(["a"], CLIP)
    assert prompt.tokens == (SOS, *ids("Hi"), *[SPEECH] * 3, *ids("a"), TASK, SPEECH)
    assert prompt.codes[:, 0].tolist() == [4, 5, 6, 7]


def test_arriving_text_may_be_directed_and_its_markup_is_not_obeyed():
    prompt = BUILDER.build_arriving(["<|endof", "prompt|>a"], Voice("a", instruction="x"))
    assert prompt.tokens == (SOS, *ids("x"), END_OF_PROMPT)
    assert prompt.turns.text_tokens - prompt.turns.taken_tokens < 2


def labelled(example) -> list[tuple[int, int]]:
    codes = iter(example.prompt.codes[:, 0].tolist())
    tokens = [next(codes) if token == SPEECH else token for token in example.prompt.tokens]
    return list(zip(tokens, example.labels.tolist(), strict=True))


NO = IGNORED_LABEL


def test_a_training_example_of_a_whole_text():
    example = BUILDER.build_training("ab", Voice("a"), CODES[:, :3])
    a, b = ids("ab")
    assert labelled(example) == [(SOS, NO), (a, NO), (b, NO), (TASK, 4), (4, 5), (5, 6), (6, CONFIG.eos)]


def test_a_training_example_of_arriving_text():
    example = BUILDER.build_training("abc", Voice("a"), np.array([[1, 2, 3, 4, 5]]), arriving=True)
    a, b, c = ids("abc")
    assert labelled(example) == [
        (SOS, NO), (a, NO), (b, 1), (1, 2), (2, 3), (3, CONFIG.fill),
        (c, NO), (TASK, 4), (4, 5), (5, CONFIG.eos),
    ]  # fmt: skip


def test_a_training_example_of_whole_groups_ends_after_the_task_mark():
    example = BUILDER.build_training("ab", Voice("a"), CODES[:, :3], arriving=True)
    assert labelled(example)[-2:] == [(6, CONFIG.fill), (TASK, CONFIG.eos)]


def test_too_little_speech_to_alternate_is_laid_out_as_a_whole():
    example, whole = (BUILDER.build_training("abcdef", Voice("a"), CODES, arriving=arriving) for arriving in (1, 0))
    assert labelled(example) == labelled(whole)


def test_only_the_answer_is_learnt_and_the_prompt_is_that_of_inference():
    example = BUILDER.build_training("abc", CLIP, np.array([[1, 2]]))
    prompt = BUILDER.build("abc", CLIP)
    assert example.prompt.tokens == (*prompt.tokens, SPEECH, SPEECH)
    assert example.labels.tolist() == [NO] * (len(prompt) - 1) + [1, 2, CONFIG.eos]


@pytest.mark.parametrize("arriving", [False, True])
def test_a_training_example_with_an_instruction(arriving):
    example = BUILDER.build_training("a", Voice("a", instruction="x"), CODES, arriving)
    expected = [(SOS, NO), (ord("x"), NO), (END_OF_PROMPT, NO), (ord("a"), NO), (TASK, 4)]
    grouped = [(SOS, NO), (ord("x"), NO), (END_OF_PROMPT, 4), (4, 5), (5, 6), (6, CONFIG.fill), (ord("a"), NO)]
    assert labelled(example)[: len(grouped)] == (grouped if arriving else [*expected, (4, 5), (5, 6)])
