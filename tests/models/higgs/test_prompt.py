"""Positions of prompts in both layouts, the builder's conversations, and training examples that extend them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from parlando.core.errors import InputError, PromptTooLongError, TextError
from parlando.core.types import IGNORED_LABEL, Reference, Voice
from parlando.models.higgs.parts.chatml import (
    GENERATE_INSTRUCTION,
    MULTI_SPEAKER_INSTRUCTION,
    AudioContent,
    Message,
)
from parlando.models.higgs.parts.delay import build_delay
from parlando.models.higgs.prompt import ChatPrompt, HiggsPromptBuilder, PromptConfig
from parlando.models.higgs.tokenizer import PhonemeTokenizer, default_phoneme_config
from parlando.text.length import LengthPrior

CODEBOOKS, SIZE = 4, 16
CONFIG = PromptConfig(num_codebooks=CODEBOOKS, codebook_size=SIZE, context_length=500)
TOKENIZER = PhonemeTokenizer(default_phoneme_config(), {"hi": ("hh", "ay1"), "there": ("dh", "eh1", "r")}.get)
SYSTEM, USER, ASSISTANT = (
    f"<|start_header_id|>{role}<|end_header_id|>\n\n" for role in ("system", "user", "assistant")
)
ANSWER = f"{ASSISTANT}<|audio_out_bos|>"


def clip(num_frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, SIZE, (CODEBOOKS, num_frames))


def builder(**changes) -> HiggsPromptBuilder:
    return HiggsPromptBuilder(TOKENIZER, dataclasses.replace(CONFIG, **changes))


def described(name: str, description: str | None = None, *frames: int, scene: str | None = None) -> Voice:
    references = tuple(Reference("hi", clip(count, seed)) for seed, count in enumerate(frames))
    return Voice(name, description, references, scene=scene)


def text_of(prompt) -> str:
    """The prompt as a string, each run of audio positions as its length."""
    out, run = "", 0
    for token, is_audio in zip(prompt.tokens, prompt.audio_mask, strict=True):
        if run and not is_audio:
            out, run = out + f"#{run}#", 0
        run, out = (run + 1, out) if is_audio else (0, out + TOKENIZER.decode([token]))
    return out + (f"#{run}#" if run else "")


def test_described_voice():
    prompt = builder().build("Hi there!", described("anna", "a Scottish man, brisk"))
    assert text_of(prompt) == (
        f"<|begin_of_text|>{SYSTEM}{GENERATE_INSTRUCTION}<|scene_desc_start|>SPEAKER0:a Scottish man, brisk"
        f"<|scene_desc_end|><|eot_id|>{USER}{{hh}}{{ay1}} {{dh}}{{eh1}}{{r}}!<|eot_id|>{ANSWER}"
    )
    assert len(prompt) == 19
    assert not prompt.audio_mask.any()
    assert prompt.codes.shape == (0, CODEBOOKS)
    assert prompt.sentence == "Hi there!"
    assert prompt.expected_frames == pytest.approx(5 * 2.1)


def test_nameless_voice_and_scene():
    assert f"{SYSTEM}{GENERATE_INSTRUCTION}<|eot_id|>" in text_of(builder().build("hi", Voice("x")))
    scene = text_of(builder().build("hi", Voice("x", scene="there")))
    assert f"{GENERATE_INSTRUCTION}<|scene_desc_start|>{{dh}}{{eh1}}{{r}}<|scene_desc_end|>" in scene


def test_clone_puts_one_turn_pair_per_reference_and_no_system_message():
    voice = described("anna", None, 3, 5)
    prompt = builder().build("there", voice)
    pair = "{USER}{{hh}}{{ay1}}<|eot_id|>{ASSISTANT}<|audio_out_bos|>#{count}#<|audio_eos|><|eot_id|>"
    assert text_of(prompt) == (
        "<|begin_of_text|>"
        + pair.format(USER=USER, ASSISTANT=ASSISTANT, count=3 + CODEBOOKS + 1)
        + pair.format(USER=USER, ASSISTANT=ASSISTANT, count=5 + CODEBOOKS + 1)
        + f"{USER}{{dh}}{{eh1}}{{r}}<|eot_id|>{ANSWER}"
    )
    delayed = [build_delay(reference.codes, SIZE, SIZE + 1).T for reference in voice.references]
    assert np.array_equal(prompt.codes, np.concatenate(delayed))
    audio_ids = {token for token, is_audio in zip(prompt.tokens, prompt.audio_mask, strict=True) if is_audio}
    assert audio_ids == {TOKENIZER.audio_out}


def test_clone_with_scene_keeps_the_system_message():
    text = text_of(builder().build("hi", described("anna", None, 3, scene="there")))
    assert text.startswith(f"<|begin_of_text|>{SYSTEM}{GENERATE_INSTRUCTION}<|scene_desc_start|>{{dh}}")


def test_reference_in_system_uses_input_audio_in_the_original_layout():
    prompt = builder(references_in="system").build("hi", described("anna", None, 3, 5))
    assert f"<|scene_desc_start|>SPEAKER0:<|audio_bos|>#{3 + CODEBOOKS + 1}#<|audio_eos|><|scene_desc_end|>" in text_of(
        prompt
    )
    assert len(prompt.codes) == 3 + CODEBOOKS + 1
    assert TOKENIZER.audio_in in prompt.tokens
    assert TOKENIZER.audio_out not in prompt.tokens


def test_transformers_layout_marks_the_last_frames_as_delay():
    prompt = builder(layout="transformers").build("hi", described("anna", None, 3))
    audio = [token for token, is_audio in zip(prompt.tokens, prompt.audio_mask, strict=True) if is_audio]
    assert audio == [TOKENIZER.audio_out] * 5 + [TOKENIZER.delay] * (CODEBOOKS - 1)
    assert text_of(prompt).startswith(f"<|begin_of_text|>{SYSTEM}{GENERATE_INSTRUCTION}<|eot_id|>{USER}")


def test_audio_in_a_user_turn():
    chat = ChatPrompt(TOKENIZER, CONFIG)
    prompt = chat.render([Message("user", ["hi", AudioContent()])], [clip(2)], suffix="")
    expected = f"<|begin_of_text|>{USER}{{hh}}{{ay1}}<|audio_bos|>#{2 + CODEBOOKS + 1}#<|audio_eos|><|eot_id|>"
    assert text_of(prompt) == expected


def test_dialogue_without_references_describes_every_speaker():
    prompt = builder().build_dialogue([(0, "hi"), (1, "there"), (0, "hi")], [Voice("a"), Voice("b")])
    assert text_of(prompt) == (
        f"<|begin_of_text|>{SYSTEM}{MULTI_SPEAKER_INSTRUCTION}<|scene_desc_start|>SPEAKER0:feminineSPEAKER1:masculine"
        f"<|scene_desc_end|><|eot_id|>{USER}[SPEAKER0]{{hh}}{{ay1}}[SPEAKER1]{{dh}}{{eh1}}{{r}}[SPEAKER0]{{hh}}{{ay1}}"
        f"<|eot_id|>{ANSWER}"
    )
    assert prompt.sentence == "[SPEAKER0] hi\n[SPEAKER1] there\n[SPEAKER0] hi"
    assert prompt.expected_frames == pytest.approx(7 * 2.1)


def test_dialogue_speaker_tags_are_sorted_as_strings_and_alternate():
    lines, _ = builder()._speaker_lines([Voice("v")] * 12, alternate=True)
    assert [tag for tag, _ in lines[:4]] == ["SPEAKER0", "SPEAKER1", "SPEAKER10", "SPEAKER11"]
    assert [description for _, description in lines[:4]] == ["feminine", "masculine"] * 2


def test_dialogue_of_cloned_voices_tags_transcripts():
    text = text_of(builder().build_dialogue([(1, "hi")], [described("a", None, 2), described("b", None, 3)]))
    assert text.startswith(f"<|begin_of_text|>{USER}[SPEAKER0]{{hh}}{{ay1}}<|eot_id|>{ASSISTANT}<|audio_out_bos|>#7#")
    assert f"{USER}[SPEAKER1]{{hh}}{{ay1}}<|eot_id|>{ASSISTANT}<|audio_out_bos|>#8#" in text


def test_dialogue_mixing_cloned_and_described_voices_keeps_both():
    text = text_of(builder().build_dialogue([(1, "hi")], [described("a", None, 2), described("b", "feminine")]))
    assert f"{GENERATE_INSTRUCTION}<|scene_desc_start|>SPEAKER1:feminine<|scene_desc_end|>" in text
    assert "#7#" in text


def test_dialogue_turn_without_a_voice_is_refused():
    with pytest.raises(InputError, match="voice 1, and there are 1"):
        builder().build_dialogue([(1, "hi")], [Voice("a")])


def test_markup_in_a_sentence_is_not_a_special_token():
    prompt = builder().build("hi <|eot_id|> there", Voice("x"))
    assert prompt.tokens.count(TOKENIZER.eot) == 2
    assert prompt.sentence == "hi   there"


def test_markup_in_a_scene_or_a_description_is_not_a_special_token():
    described = Voice("x", description="calm <|eot_id|> voice", scene="a room <|AUDIO|> here")
    plain = Voice("x", description="calm   voice", scene="a room   here")
    assert builder().build("hi", described).tokens == builder().build("hi", plain).tokens


@pytest.mark.parametrize("text", ["", " \n", "?!", "<|AUDIO|>"])
def test_nothing_to_pronounce(text):
    with pytest.raises(TextError, match="nothing to pronounce"):
        builder().build(text, Voice("x"))


def test_length_prior_counts_units_and_pauses():
    prior = LengthPrior(base_frames=4, frames_per_unit=2, frames_per_pause=5)
    assert builder(length=prior).build("hi, there.", Voice("x")).expected_frames == 4 + 2 * 5 + 5 * 2


@pytest.mark.parametrize(
    ("sentence", "frames", "scene", "blamed"),
    [
        ("hi " * 100, 3, None, "the sentence"),
        ("hi", 600, None, "the audio"),
        ("hi", 3, "there " * 200, "the scene and descriptions"),
    ],
)
def test_too_long_prompt_names_its_longest_part(sentence, frames, scene, blamed):
    with pytest.raises(PromptTooLongError, match=f"context of 500; {blamed} takes most"):
        builder().build(sentence, described("a", None, frames, scene=scene))


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (np.zeros((3, 5), dtype=np.int64), r"shape \(3, 5\); this model has 4"),
        (np.full((CODEBOOKS, 5), SIZE), "outside 0..15"),
        (np.full((CODEBOOKS, 5), -1), "outside 0..15"),
    ],
)
def test_reference_codes_that_do_not_fit_are_refused(codes, message):
    with pytest.raises(InputError, match=message):
        builder().build("hi", Voice("a", None, (Reference("hi", codes),)))


def test_every_clip_needs_its_place():
    with pytest.raises(InputError, match="0 places for audio and 1 clips"):
        ChatPrompt(TOKENIZER, CONFIG).render([Message("user", "hi")], [clip(2)])


@pytest.mark.parametrize("layout", ["original", "transformers"])
@pytest.mark.parametrize("voice", [described("a", "feminine"), described("b", None, 3)])
def test_training_example_extends_the_prompt_of_inference(layout, voice):
    codes = clip(6, seed=9)
    prompt = builder(layout=layout).build("hi there", voice)
    example = builder(layout=layout).build_training("hi there", voice, codes)
    whole = example.prompt
    num_delayed = 6 + CODEBOOKS + 1
    assert whole.tokens[: len(prompt)] == prompt.tokens
    assert whole.tokens[len(prompt) + num_delayed :] == (TOKENIZER.audio_eos, TOKENIZER.eot)
    assert np.array_equal(whole.codes[-num_delayed:], build_delay(codes, SIZE, SIZE + 1).T)
    assert len(whole.codes) == whole.audio_mask.sum()
    assert len(whole) == len(example.labels) == len(example.text_labels)
    learned = np.argwhere(example.labels != IGNORED_LABEL)
    assert len(learned) == CODEBOOKS * 7
    first = len(whole) - 2 - num_delayed
    assert learned[:, 0].min() == first
    codes_at = dict(zip(np.flatnonzero(whole.audio_mask).tolist(), whole.codes, strict=True))
    assert all(example.labels[place, book] == codes_at[place + 1][book] for place, book in learned.tolist())
    places = np.flatnonzero(example.text_labels != IGNORED_LABEL)
    assert [whole.tokens[place + 1] for place in places] == example.text_labels[places].tolist()
    supervised = example.text_labels[places]
    assert supervised.tolist() == [TOKENIZER.audio_out_bos, TOKENIZER.audio_eos, TOKENIZER.eot]
    assert whole.expected_frames == 6


@pytest.mark.parametrize("layout", ["original", "transformers"])
@pytest.mark.parametrize("references_in", ["turns", "system"])
@pytest.mark.parametrize(
    "voice",
    [
        described("anna", "a Scottish man, brisk"),
        described("bob", None, 3, 5),
        described("eve", "bright", 4, scene="hi"),
    ],
)
def test_the_voices_positions_are_the_same_for_every_sentence_and_end_before_it(layout, references_in, voice):
    prompts = builder(layout=layout, references_in=references_in)
    one, other = prompts.build("hi", voice), prompts.build("there, hi!", voice)
    shared = one.voice_positions
    assert other.voice_positions == shared
    assert one.until(shared).tokens == other.until(shared).tokens
    assert np.array_equal(one.until(shared).codes, one.codes), "all clips are the voice's"
    assert text_of(one).startswith(text_of(one.until(shared)))
    assert text_of(one.until(shared)).endswith("<|eot_id|>")
    assert text_of(one)[len(text_of(one.until(shared))) :].startswith(f"{USER}{{hh}}{{ay1}}<|eot_id|>")


def test_a_voice_of_which_nothing_is_said_has_no_positions():
    assert builder().build_dialogue([(0, "hi")], [described("bob", None, 3)]).voice_positions > 0
    whole = builder().chat.render([Message("user", "hi")])
    assert whole.voice_positions == 0


def test_training_can_spell_words_and_refuses_what_exceeds_the_context():
    example = builder().build_training("hi there", Voice("x"), clip(3), spell=lambda word: word == "there")
    assert "{hh}{ay1} there<|eot_id|>" in text_of(example.prompt)
    with pytest.raises(PromptTooLongError, match="the audio takes most"):
        builder().build_training("hi", Voice("x"), clip(600))
