"""Whole requests of the family: text that arrives, several at once, and what goes wrong in them."""

from __future__ import annotations

import gc
import itertools
import threading
from dataclasses import replace

import numpy as np
import pytest

from cosyvoice_tiny import tiny_cosyvoice
from parlando.audio.clip import Clip
from parlando.core.errors import AudioError, CancelledError, ConfigError, GenerationError, InputError, TextError
from parlando.core.types import Voice
from parlando.engine.cancel import Cancellation
from parlando.engine.chunking import HopSchedule
from parlando.request import Retries
from parlando.speech import Synthesizer

SENTENCES = "The sun rises in the east, and it sets in the west. Then comes the night."
ONCE = Retries(attempts=1)
FIXED = {"schedule": HopSchedule.fixed(5), "retries": ONCE, "max_frames": 40}


@pytest.fixture(scope="module")
def synthesizer():
    with Synthesizer(tiny_cosyvoice(), rows=4) as made:
        yield made


@pytest.fixture(autouse=True)
def nothing_is_left(synthesizer):
    yield
    assert synthesizer.engine.free_rows == 4


def words(text=SENTENCES):
    yield from (f"{word} " for word in text.split())


def joined(chunks):
    return np.concatenate([chunk.samples for chunk in chunks])


def texts():
    return [(SENTENCES, "anna"), (words(), "bert"), (words("Something else is said here by another voice."), "anna")]


def test_three_requests_in_turn_equal_three_one_after_the_other(synthesizer):
    alone = [joined(synthesizer.stream(text, voice, seed=seed, **FIXED)) for seed, (text, voice) in enumerate(texts())]
    streams = [synthesizer.stream(text, voice, seed=seed, **FIXED) for seed, (text, voice) in enumerate(texts())]
    parts, open_streams = [[], [], []], set(range(3))
    for index in itertools.cycle(range(3)):
        if index in open_streams:
            chunk = next(streams[index], None)
            open_streams.discard(index) if chunk is None else parts[index].append(chunk.samples)
        if not open_streams:
            break
    for samples, expected in zip(parts, alone, strict=True):
        together = np.concatenate(samples)
        assert len(together) == len(expected)
        assert np.abs(together - expected).max() < 1e-5


@pytest.mark.parametrize("size", [1, 4, 200])
def test_how_a_text_arrives_changes_no_sample(synthesizer, size):
    pieces = [SENTENCES[i : i + size] for i in range(0, len(SENTENCES), size)]
    expected = joined(synthesizer.stream(words(), "anna", seed=3, **FIXED))
    assert np.abs(joined(synthesizer.stream(iter(pieces), "anna", seed=3, **FIXED)) - expected).max() < 1e-5


def test_speech_begins_before_the_text_has_ended(synthesizer):
    given = []

    def pieces():
        for word in words("The sun rises over the quiet hills and the small houses of the village in the east."):
            given.append(word)
            yield word

    stream = synthesizer.stream(pieces(), "bert", seed=1, **{**FIXED, "schedule": HopSchedule.fixed(1)})
    first = next(chunk for chunk in stream if len(chunk.samples))
    assert len(first.samples)
    assert 0 < len(given) < 17
    stream.close()


def test_without_interleaving_text_that_arrives_is_spoken_by_whole_sentences(synthesizer):
    plain = joined(synthesizer.stream(SENTENCES, "anna", seed=3, **FIXED))
    arriving = joined(synthesizer.stream(words(), "anna", seed=3, interleave=False, **FIXED))
    assert len(plain) == len(arriving)
    assert np.abs(plain - arriving).max() < 1e-5


def test_a_text_that_arrived_is_told_sentence_by_sentence(synthesizer):
    speech = synthesizer.say(words("King Henry VIII came. He saw 3 cats."), "anna", seed=1, **FIXED)
    assert [report.text for report in speech.report.sentences] == ["King Henry the eighth came.", "He saw three cats."]
    assert speech.text == "King Henry VIII came. He saw 3 cats. "


@pytest.mark.parametrize("text", [iter([]), iter([""] * 5), iter(["?!", " ", "..."])], ids=["none", "blank", "marks"])
def test_text_that_has_nothing_to_say_is_refused(synthesizer, text):
    with pytest.raises(TextError, match="nothing to pronounce"):
        synthesizer.say(text, "anna")


@pytest.mark.parametrize("after", [0, 1, 6, 30])
def test_a_source_that_fails_reaches_the_caller_as_it_is(synthesizer, after):
    def failing():
        yield from itertools.islice(itertools.cycle(words()), after)
        raise OSError("the line is cut")

    with pytest.raises(OSError, match="the line is cut"):
        synthesizer.say(failing(), "anna", seed=1, **FIXED)


@pytest.mark.parametrize("before", [(), ("One two three four five six seven. ",), ("One two three four five six ",)])
def test_a_piece_that_is_no_string_is_refused_wherever_it_stands(synthesizer, before):
    with pytest.raises(TextError, match="a piece of text is int"):
        synthesizer.say(iter([*before, 7, "more. ", "Still more."]), "anna", seed=1, **FIXED)


def test_blank_pieces_without_end_are_an_error_and_words_without_end_can_be_left(synthesizer):
    for before in ([], ["One two three four five six "]):
        with pytest.raises(TextError, match="blank pieces of text came in a row"):
            synthesizer.say(itertools.chain(before, itertools.repeat(" ")), "anna", seed=1, **FIXED)
    stream = synthesizer.stream(itertools.cycle(words()), "anna", seed=1, **FIXED)
    assert sum(len(chunk.samples) for chunk in itertools.islice(stream, 40)) > 0
    stream.close()


@pytest.mark.parametrize("text", [SENTENCES, words], ids=["whole", "arriving"])
def test_a_language_model_that_fails_reaches_the_caller_and_the_next_request_works(text, monkeypatch):
    model = tiny_cosyvoice()
    calls = itertools.count()
    step = model.lm.step

    def failing(frames, cache):
        if next(calls) == 8:
            raise RuntimeError("out of memory")
        return step(frames, cache)

    monkeypatch.setattr(model.lm, "step", failing)
    with Synthesizer(model, rows=2) as synthesizer:
        with pytest.raises(GenerationError, match="out of memory"):
            synthesizer.say(text if isinstance(text, str) else text(), seed=1, **FIXED)
        assert synthesizer.engine.free_rows == 2
        assert len(synthesizer.say("Hello there.", seed=1, **FIXED).samples)


@pytest.mark.parametrize("text", [SENTENCES, words], ids=["whole", "arriving"])
def test_a_stream_that_is_closed_leaves_no_row_and_one_that_is_cancelled_ends(synthesizer, text):
    stream = synthesizer.stream(text if isinstance(text, str) else text(), "anna", seed=1, **FIXED)
    next(stream)
    assert synthesizer.engine.free_rows == 3
    stream.close()
    assert synthesizer.engine.free_rows == 4
    cancellation = Cancellation()
    given = text if isinstance(text, str) else text()
    stream = synthesizer.stream(given, "anna", seed=1, cancellation=cancellation, **FIXED)
    next(stream)
    cancellation.cancel()
    with pytest.raises(CancelledError):
        list(stream)


@pytest.mark.parametrize("steps", [1, 3])
def test_a_stream_that_is_closed_lets_go_of_its_text_and_starts_no_thread_that_stays(synthesizer, steps):
    synthesizer.say("Hello.", seed=1, **FIXED)
    before, source, left = set(threading.enumerate()), words(), []

    def pieces():
        try:
            yield from source
        finally:
            left.append(True)

    stream = synthesizer.stream(pieces(), "anna", seed=1, **FIXED)
    for _ in range(steps):
        next(stream)
    stream.close()
    del stream
    # A session that is over goes when somebody next looks at its engine.
    assert synthesizer.engine.free_rows == 4
    gc.collect()
    assert left == [True]
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("language", [None, "zh", "auto"])
@pytest.mark.parametrize("text", ["今天天气很好。", ["今天", "天气", "很好。"]], ids=["whole", "arriving"])
def test_text_that_the_model_cannot_read_is_refused_with_what_it_speaks(synthesizer, text, language):
    given = text if isinstance(text, str) else iter(text)
    with pytest.raises(
        TextError, match=r"'tiny-cosy' finds nothing to pronounce in '今天天气很好.': it is Chinese; load a model"
    ):
        synthesizer.say(given, "anna", language=language, **FIXED)


@pytest.mark.parametrize(
    "text",
    ["The sun rises in the east. 今天天气很好。", ["The sun rises in the east. 今天", "天气很好。"]],
    ids=["whole", "arriving"],
)
def test_a_sentence_that_cannot_be_read_does_not_cost_the_others(synthesizer, text):
    given = text if isinstance(text, str) else iter(text)
    reports = synthesizer.say(given, "anna", seed=1, **FIXED).report.sentences
    assert [report.finish == "skipped" for report in reports] == [False, True]


def swelling(seconds, rate=24_000):
    time = np.arange(round(seconds * rate)) / rate
    return Clip((0.3 * np.sin(2 * np.pi * 200 * time) * np.sin(np.pi * 2 * time)).astype(np.float32), rate)


def test_a_clip_to_follow_may_not_be_over_30_s_nor_below_16_khz(synthesizer):
    assert synthesizer.clone(swelling(29.9), "Hello.").references[0].codes.shape[1] == pytest.approx(29.9 * 25, abs=3)
    for words_said in ("Hello.", None):
        with pytest.raises(InputError, match=r"only 0\.0 s to (29|30)\.\d s are used; .* cut the recording"):
            synthesizer.clone(swelling(40.0), words_said)
        with pytest.raises(AudioError, match="a clip at 8000 Hz; this model needs at least 16000 Hz"):
            synthesizer.clone(swelling(3.0, 8_000), words_said)


def test_an_instruction_changes_the_prompt_and_an_empty_one_nothing(synthesizer):
    plain, instructed, empty = (
        synthesizer.request("anna", instruction=instruction).voice for instruction in (None, "Speak slowly.", "")
    )
    assert plain == empty
    build = synthesizer.model.prompts.build
    assert build("Hello.", instructed).tokens != build("Hello.", plain).tokens


def test_conversion_takes_any_voice_and_says_what_it_cannot(synthesizer, tiny_model):
    time = np.arange(24_000) / 24_000
    clip = Clip((0.3 * np.sin(2 * np.pi * 200 * time)).astype(np.float32), 24_000)
    whole = synthesizer.convert(clip, "bert")
    assert (len(whole.samples), whole.voice) == (24_000, "bert")
    streamed = joined(synthesizer.stream_conversion(clip, "bert", schedule=HopSchedule.fixed(5)))
    assert np.abs(whole.samples - streamed).max() < 1e-5
    assert len(synthesizer.convert(clip, "bert", speed=2.0).samples) == 12_000
    with pytest.raises(ConfigError, match="speed"):
        synthesizer.convert(clip, "bert", speed=0.0)
    with Synthesizer(tiny_model) as other:
        with pytest.raises(ConfigError, match="cannot convert voices"):
            other.convert(clip)
        with pytest.raises(ConfigError, match="takes no instructions"):
            other.say("Hello.", instruction="Speak slowly.")


def test_a_voice_is_not_changed_by_what_is_asked_of_it(synthesizer):
    voice = synthesizer.voices["anna"]
    synthesizer.say("Hello.", replace(voice), seed=1, instruction="Speak slowly.", **FIXED)
    assert isinstance(synthesizer.voices["anna"], Voice)
    assert synthesizer.voices["anna"].instruction is None
