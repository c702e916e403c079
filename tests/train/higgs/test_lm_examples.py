import numpy as np
import pytest
from tiny_corpus import SENTENCES
from tiny_tasks import MIX, example_sampler, write_codes

from parlando.core.errors import ConfigError


class Recording:
    """A prompt builder that remembers what was asked of it."""

    def __init__(self, builder):
        self.builder, self.made = builder, []

    def build_training(self, sentence, voice, codes, spell):
        example = self.builder.build_training(sentence, voice, codes, spell)
        kind = "clone" if voice.references else "named"
        self.made.append((kind, sentence, self.builder.build(sentence, voice), example))
        return example

    def build_training_dialogue(self, turns, voices, codes, spell):
        example = self.builder.build_training_dialogue(turns, voices, codes, spell)
        kind = "gender" if voices[0].description is None else "two"
        self.made.append((kind, turns, self.builder.build_dialogue(turns, voices), example))
        return example


@pytest.fixture(scope="module")
def recorded(codes):
    """What 30 batches of every kind were built from."""
    shares = {"clone_share": 0.3, "two_speaker_share": 0.3, "gender_share": 0.5, "join_share": 0.5}
    sampler = example_sampler(codes, spelled_example_share=0.0, **shares)
    sampler.builder = Recording(sampler.builder)
    for step in range(30):
        sampler.batch(step)
    return sampler.builder.made


def test_every_kind_begins_with_the_prompt_of_inference(recorded):
    assert {kind for kind, *_ in recorded} == {"clone", "named", "two", "gender"}
    for _, _, prompt, example in recorded:
        length = len(prompt)
        assert example.prompt.tokens[:length] == prompt.tokens
        assert np.array_equal(example.prompt.audio_mask[:length], prompt.audio_mask)
        assert np.array_equal(example.prompt.codes[: len(prompt.codes)], prompt.codes)
        assert example.prompt.audio_mask[length]


def test_training_sees_no_sentence_that_is_kept_back(recorded):
    said = {sentence for kind, sentence, *_ in recorded if kind in ("clone", "named")}
    assert not any(SENTENCES[-1] in text for text in said)
    joined = {text for text in said if text not in SENTENCES}
    assert joined
    assert all(any(text == f"{a} {b}" for a in SENTENCES for b in SENTENCES) for text in joined)


def test_speakers_called_by_gender_stand_in_its_order(recorded):
    for kind, turns, prompt, _ in recorded:
        if kind == "gender":
            ((place, _),) = turns
            assert place in (0, 1)
            assert prompt.audio_mask.sum() == 0


def test_a_batch_is_a_function_of_its_number(codes):
    def tokens(number):
        return [example.prompt.tokens for example, _ in example_sampler(codes).batch(number)]

    assert tokens(3) == tokens(3)
    assert tokens(3) != tokens(4)


def test_phone_labels_cover_every_clip(codes):
    sampler = example_sampler(codes)
    for step in range(10):
        for example, labels in sampler.batch(step):
            tail = example.prompt.codes.shape[1] + 1
            assert len(labels) == len(example.prompt.codes) - tail
            assert len(labels) >= example.prompt.expected_frames


def test_some_words_are_spelled(codes):
    plain = example_sampler(codes, spelled_example_share=0.0, clone_share=0.0, two_speaker_share=0.0, join_share=0.0)
    spelled = example_sampler(
        codes, spelled_example_share=1.0, spelled_word_share=1.0, clone_share=0.0, two_speaker_share=0.0, join_share=0.0
    )
    tokenizer = plain.builder.tokenizer
    texts = [tokenizer.decode(s.batch(0)[0][0].prompt.tokens) for s in (plain, spelled)]
    assert texts[0] != texts[1]
    assert any(
        word in texts[1] for sentence in SENTENCES for word in sentence.lower().strip(".").split() if len(word) > 2
    )


def test_held_out_examples_are_named_voices_saying_new_sentences(codes):
    sampler = example_sampler(codes)
    examples = sampler.held_out()
    assert len(examples) == 2
    assert {e.prompt.sentence for e, _ in examples} == {SENTENCES[-1]}
    assert [e.prompt.tokens for e, _ in examples] == [e.prompt.tokens for e, _ in sampler.held_out()]


def test_a_speaker_without_a_description_is_named_before_training(codes):
    with pytest.raises(ConfigError, match="describes no speaker named rms"):
        example_sampler(codes, descriptions={"slt": MIX.descriptions["slt"]})


def test_a_corpus_of_nothing_to_clone_trains_named_voices(tmp_path):
    rows = [("slt_0", "slt", 1.0, SENTENCES[0]), ("slt_1", "slt", 1.0, SENTENCES[1])]
    sampler = example_sampler(write_codes(tmp_path, rows, np.random.default_rng(1)), clone_share=1.0)
    assert sampler.cloneable == []
    assert len(sampler.batch(0)) >= 1


def test_a_corpus_that_keeps_nothing_back_evaluates_one_clip_of_training(tmp_path):
    rows = [("slt_0", "slt", 1.0, SENTENCES[0]), ("rms_0", "rms", 1.0, SENTENCES[1])]
    folder = write_codes(tmp_path, rows, np.random.default_rng(1))
    index = folder / "index.jsonl"
    index.write_text(index.read_text().replace("validation", "train"))
    ((example, _),) = example_sampler(folder).held_out()
    assert example.prompt.sentence == SENTENCES[0]


def test_a_corpus_without_plain_speech_is_refused(tmp_path):
    folder = write_codes(tmp_path, [("a", "slt", 0.9, "One."), ("b", "slt", 0.9, "Two.")], np.random.default_rng(1))
    with pytest.raises(ConfigError, match="no utterance at its own speed"):
        example_sampler(folder)


def test_what_cannot_fit_the_context_is_left_out_and_told(tmp_path, caplog):
    long = "A sentence that goes on and on. " * 12
    rows = [("slt_0", "slt", 1.0, SENTENCES[0]), ("slt_1", "slt", 1.0, long), ("rms_0", "rms", 1.0, SENTENCES[1])]
    sampler = example_sampler(write_codes(tmp_path, rows, np.random.default_rng(1)))
    assert [spoken.id for voice in sampler.train.values() for spoken in voice] == ["slt_0"]
    assert "left out 1 train utterances that do not fit 512 positions" in caplog.text


def test_a_rejected_clone_is_a_named_voice(tmp_path):
    rows = [(f"slt_{i}", "slt", 1.0, SENTENCES[0]) for i in range(2)] + [("rms_0", "rms", 1.0, SENTENCES[1])]
    sampler = example_sampler(write_codes(tmp_path, rows, np.random.default_rng(1)), clone_share=1.0, join_share=0.0)
    plans = [sampler._plan(np.random.default_rng(seed)) for seed in range(30)]
    assert {plan.kind for plan in plans} == {"plain"}, "both clips of the only voice say the same"


def test_a_corpus_of_one_voice_has_no_pairs_of_speakers(tmp_path):
    rows = [(f"u{n}", "rms", 1.0, f"this is sentence number {n}") for n in range(4)]
    write_codes(tmp_path, rows, np.random.default_rng(0))
    sampler = example_sampler(tmp_path, clone_share=0.0, two_speaker_share=1.0, descriptions={"rms": "a man"})
    generator = np.random.default_rng(0)
    assert "two" not in {sampler._plan(generator).kind for _ in range(20)}
    assert len(sampler.batch(0)) >= 1
