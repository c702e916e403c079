"""The pipeline over a model of plain Python: what is said, retried, cut, reported and cancelled."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

from parlando.audio.clip import Clip
from parlando.audio.files import write_audio
from parlando.core.errors import (
    AudioError,
    ConfigError,
    EngineClosedError,
    FileMissingError,
    GenerationError,
    InputError,
    TextError,
    VoiceNotFoundError,
)
from parlando.core.types import Frame
from parlando.engine.chunking import HopSchedule
from parlando.request import MAX_SEED, Pauses, Retries, derived_seed
from parlando.speech import Synthesizer, load
from parlando.text.reading import Reading
from parlando.text.sentences import spoken_sentences
from scripted_model import LOUD, QUIET, Model, Prompts, Script, always


def test_say_is_stream_joined():
    synthesizer = Synthesizer(Model())
    speech = synthesizer.say("One two three.", seed=5)
    chunks = list(synthesizer.stream("One two three.", seed=5))
    assert speech.duration_seconds == 3.0
    assert np.array_equal(speech.samples, np.concatenate([chunk.samples for chunk in chunks]))
    assert [len(chunk.frames) for chunk in chunks if chunk.frames] == [2, 4, 8, 16]
    assert (speech.text, speech.voice, speech.seed) == ("One two three.", "ada", 5)
    (report,) = speech.report.sentences
    assert (report.frames, report.attempts, report.finish, report.seed) == (30, 1, "end", 5)
    assert 0 < speech.timings.first_audio_seconds <= speech.timings.total_seconds


def test_sentences_are_separated_by_pauses_and_paragraphs_by_longer_ones():
    chunks = list(Synthesizer(Model()).stream("The first one. The second one.\n\nThree.", seed=1))
    pauses = [chunk.duration_seconds for chunk in chunks if not chunk.frames and not chunk.text]
    assert pauses == [Pauses().sentence_seconds, Pauses().paragraph_seconds]
    assert [chunk.report.text for chunk in chunks if chunk.report] == [
        "The first one.",
        "The second one.",
        "Three.",
    ]
    assert [chunk.sentence for chunk in chunks if chunk.report] == [0, 1, 2]


def test_pauses_can_be_switched_off():
    speech = Synthesizer(Model()).say("The first one. The second one.", seed=1, pauses=Pauses(0.0, 0.0))
    assert speech.duration_seconds == 6.0


TEXT = "The first sentence is here. Dr. Smith said the second one.\n\nA new paragraph follows. And it ends with this."


@pytest.mark.parametrize("size", [1, 3, 7, 50, 500])
def test_text_may_arrive_in_pieces(size):
    synthesizer = Synthesizer(Model())
    whole = synthesizer.say(TEXT, seed=1)
    pieces = synthesizer.say((TEXT[start : start + size] for start in range(0, len(TEXT), size)), seed=1)
    assert [report.text for report in pieces.report.sentences] == [report.text for report in whole.report.sentences]
    assert np.array_equal(whole.samples, pieces.samples)
    assert pieces.text == TEXT


def test_the_first_sentence_is_spoken_before_the_last_piece_arrives():
    synthesizer, given = Synthesizer(Model()), []

    def pieces():
        for piece in ("The first sentence is here. ", "The second ", "follows."):
            given.append(piece)
            yield piece

    first = next(synthesizer.stream(pieces(), seed=1))
    assert (first.text, len(given)) == ("The first sentence is here.", 2)


def test_without_a_seed_one_is_drawn_and_recorded():
    model = Model()
    speech = Synthesizer(model).say("One.")
    assert 0 <= speech.seed < MAX_SEED
    assert model.seeds == [speech.seed]


def test_each_sentence_and_attempt_has_a_seed_of_its_own():
    seeds = {derived_seed(7, sentence, attempt) for sentence in range(5) for attempt in (1, 2, 3)}
    assert derived_seed(7, 0, 1) == 7
    assert len(seeds) == 15
    assert all(0 <= seed < MAX_SEED for seed in seeds)


def test_options_reach_the_sampler_and_schedule_the_chunks():
    model = Model()
    seen = []
    model.new_sampler = lambda prompt, options: seen.append(options) or Script([LOUD] * 10)
    chunks = list(
        Synthesizer(model).stream("One.", "bob", temperature=0.2, top_k=None, schedule=HopSchedule.fixed(5), seed=3)
    )
    assert (seen[0].temperature, seen[0].top_k, seen[0].seed) == (0.2, None, 3)
    assert [len(chunk.frames) for chunk in chunks] == [5, 5, 0]


OPTIONS = (
    "voice", "instruction", "seed", "temperature", "top_k", "top_p", "repetition_window", "repetition_limit",
    "max_frames", "schedule", "pauses", "retries", "speed", "interleave", "cancellation", "language", "lexicon",
)  # fmt: skip


@pytest.mark.parametrize("value", [b"x", [], object(), {}, np.zeros(3)], ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("option", OPTIONS)
def test_a_value_of_a_wrong_type_is_told_with_its_option(option, value):
    with pytest.raises(ConfigError, match=option):
        Synthesizer(Model()).stream("One.", **{option: value})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda made: made.say("One.", voice=3), r"voice: expected a voice's name \(str\) or a Voice, got 3 \(int\)"),
        (lambda made: made.say("One.", retries=3), r"options.retries: expected Retries, got 3 \(int\)"),
        (lambda made: made.say("One.", pauses=0.5), r"options.pauses: expected Pauses, got 0.5 \(float\)"),
        (lambda made: made.say_many(3), r"texts: expected a list of texts, got 3 \(int\)"),
        (lambda made: made.clone("a.wav", 3), r"text: expected the words .*, got 3 \(int\)"),
        (lambda made: made.clone("a.wav", "Hi.", name=3), r"name: expected str, got 3"),
        (lambda made: made.say("One.", seed=1).save(None), r"path: expected a file's path .*, got None \(NoneType\)"),
        (lambda made: made.say("One.", seed=1).save("a.wav", 3), r"format: expected one of wav, .*, got 3 \(int\)"),
        (lambda made: Synthesizer(Model(), rows="8"), r"rows: expected int, got '8' \(str\)"),
        (lambda made: Synthesizer(Model(), context=1.5), r"context: expected int or None, got 1.5 \(float\)"),
        (lambda made: load(3), r"model: expected a name or a path, got 3 \(int\)"),
        (lambda made: load(device=0), r"device: expected str or None, got 0 \(int\)"),
        (lambda made: load(dtype=16), r"dtype: expected str or None, got 16 \(int\)"),
        (lambda made: Pauses("0.5"), r"pauses.sentence_seconds: expected float, got '0.5'"),
        (lambda made: Retries(attempts=2.5), r"retries.attempts: expected int, got 2.5"),
        (lambda made: HopSchedule("2"), r"schedule.first: expected int, got '2'"),
    ],
)
def test_every_wrong_type_is_an_error_of_ours(call, message):
    with pytest.raises(ConfigError, match=message):
        call(Synthesizer(Model()))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"temprature": 1.0}, "Did you mean 'temperature'"), ({"top_k": "x"}, "top_k"), ({"seed": -1}, "seed: -1")],
)
def test_a_bad_option_is_named(options, message):
    with pytest.raises(ConfigError, match=message):
        list(Synthesizer(Model()).stream("One.", **options))


def test_an_unknown_voice_names_those_there_are():
    with pytest.raises(VoiceNotFoundError, match=r"ada, bob.*Did you mean 'bob'"):
        Synthesizer(Model()).say("One.", "bobb")


@pytest.mark.parametrize("text", ["", "   \n", "?!...", "—", iter([])])
def test_text_with_nothing_to_pronounce_is_refused(text):
    with pytest.raises(TextError):
        Synthesizer(Model()).say(text)


def test_a_runaway_is_retried_with_another_seed_and_reported():
    model = Model({5: lambda prompt: [LOUD] * 400})
    speech = Synthesizer(model).say("One two.", seed=5)
    (report,) = speech.report.sentences
    assert speech.duration_seconds == 2.0
    assert (report.attempts, report.finish, report.seed) == (2, "end", derived_seed(5, 0, 2))


def test_a_sentence_that_fails_3_times_is_kept_without_its_silent_tail():
    plan = [LOUD] * 20 + [QUIET] * 14 + [QUIET] * 200
    speech = Synthesizer(Model(always(plan))).say("One two.", seed=5)
    (report,) = speech.report.sentences
    assert report.attempts == 3
    assert report.finish in ("length", "silence")
    assert speech.duration_seconds == pytest.approx(2.1, abs=0.15)


@pytest.mark.parametrize(
    ("plan", "finish"),
    [
        ([LOUD] * 10 + [QUIET] * 16 + [LOUD] * 5, "silence"),
        ([LOUD] * 3, "short"),
        ([LOUD] * 70, "length"),
    ],
)
def test_each_bad_ending_is_told_from_the_others(plan, finish):
    model = Model(always(plan))
    speech = Synthesizer(model).say("One two.", seed=5)
    assert [report.finish for report in speech.report.sentences] == [finish]
    assert len(model.seeds) == 3


def test_a_loop_of_codes_is_a_repetition():
    model = Model()

    class Loop(Script):
        def next(self, logits):
            return Frame(0, (LOUD, 7))

    model.new_sampler = lambda prompt, options: Loop([])
    speech = Synthesizer(model).say("One two three four five.", seed=5)
    assert speech.report.sentences[0].finish == "repetition"
    assert speech.report.sentences[0].attempts == 3


def test_a_sentence_already_heard_is_cut_and_not_retried():
    model = Model({5: lambda prompt: [LOUD] * 400})
    chunks = list(Synthesizer(model).stream("One two.", seed=5))
    (report,) = [chunk.report for chunk in chunks if chunk.report]
    assert (report.attempts, report.finish) == (1, "length")
    assert model.seeds == [5]


def test_a_limit_that_was_asked_for_is_no_failure():
    model = Model()
    speech = Synthesizer(model).say("One two.", seed=5, max_frames=7)
    assert speech.duration_seconds == 0.7
    assert speech.report.sentences[0].finish == "length"
    assert model.seeds == [5]


def test_leaving_the_stream_frees_the_row():
    synthesizer = Synthesizer(Model(), rows=2)
    stream = synthesizer.stream("One two three.", seed=1)
    next(stream)
    assert synthesizer.engine.free_rows == 1
    stream.close()
    assert synthesizer.engine.free_rows == 2


def test_a_model_that_fails_reaches_its_caller_and_the_next_call_works():
    model = Model()
    model.lm.fail_at = 3
    synthesizer = Synthesizer(model)
    with pytest.raises(GenerationError, match="out of memory"):
        synthesizer.say("One.", seed=1)
    assert synthesizer.engine.free_rows == 8
    assert synthesizer.say("One.", seed=1).duration_seconds == 1.0


def test_a_closed_synthesizer_refuses():
    with Synthesizer(Model()) as synthesizer:
        pass
    with pytest.raises(EngineClosedError):
        synthesizer.say("One.")


@pytest.mark.parametrize("text", ["", "  ", "...", 3, b"Hello."])
def test_what_cannot_be_said_is_refused_at_the_call(tiny_model, text):
    with Synthesizer(tiny_model) as synthesizer, pytest.raises(TextError):
        synthesizer.stream(text)


def test_one_text_is_no_list_of_texts(tiny_model):
    with Synthesizer(tiny_model) as synthesizer, pytest.raises(TextError, match="give a list of texts, or use say"):
        synthesizer.say_many("One.")


def test_a_transcript_without_a_word_is_refused(tiny_model):
    with Synthesizer(tiny_model) as synthesizer, pytest.raises(TextError, match="nothing to pronounce in '!!!'"):
        synthesizer.clone(Clip(np.zeros(24_000, np.float32), 24_000), "!!!")


def test_say_many_equals_one_by_one_and_shares_steps():
    model = Model()
    synthesizer = Synthesizer(model)
    texts = ["One two.", "Three.", "Four five six.", "Seven."]
    many = synthesizer.say_many(texts, seed=4)
    shared = model.lm.steps
    alone = [synthesizer.say(text, seed=4) for text in texts]
    assert all(np.array_equal(a.samples, b.samples) for a, b in zip(many, alone, strict=True))
    assert shared <= 70
    assert synthesizer.say_many([]) == []


def test_8_threads_get_what_they_asked_for():
    synthesizer = Synthesizer(Model(), rows=3)
    results = {}

    def work(words):
        results[words] = synthesizer.say(" ".join(["word"] * words) + ".", seed=words).duration_seconds

    threads = [threading.Thread(target=work, args=(words,)) for words in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {words: float(words) for words in range(1, 9)}
    assert synthesizer.engine.free_rows == 3


def recording(seconds, level=0.3):
    time = np.arange(round(seconds * 16_000)) / 16_000
    return (level * np.sin(2 * np.pi * 200 * time) * (1 + np.sin(2 * np.pi * 3 * time)) / 2).astype(np.float32)


def test_clone_makes_a_voice_of_codes_and_words(tmp_path):
    write_audio(tmp_path / "ref.wav", recording(3.0), 16_000)
    voice = Synthesizer(Model()).clone(tmp_path / "ref.wav", " Hello there. ", name="me")
    assert (voice.name, voice.references[0].text) == ("me", "Hello there.")
    assert voice.references[0].codes.shape == (2, 3)
    assert Synthesizer(Model()).say("One.", voice, seed=1).voice == "me"


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (recording(0.4), "at least 1 s"),
        (np.zeros(32_000, np.float32), "silent"),
        (np.sign(recording(3.0)), "clipped"),
        (recording(601.0), "10 minutes long"),
        (np.full(32_000, np.nan, np.float32), "not a number"),
    ],
)
def test_a_bad_recording_is_refused_with_its_fault(samples, message):
    with pytest.raises(AudioError, match=message):
        Synthesizer(Model()).clone(Clip(samples, 16_000), "Hello.")


def test_a_stereo_recording_is_accepted(tmp_path):
    import soundfile

    soundfile.write(tmp_path / "ref.wav", np.stack([recording(6.0), recording(6.0)], axis=1), 44_100)
    assert Synthesizer(Model()).clone(tmp_path / "ref.wav", "Hello.").name == "clone"


def test_clone_wants_a_file_and_its_words(tmp_path):
    with pytest.raises(TextError, match="words"):
        Synthesizer(Model()).clone(tmp_path / "ref.wav")
    with pytest.raises(FileMissingError, match=r"ref\.wav"):
        Synthesizer(Model()).clone(tmp_path / "ref.wav", "Hello.")


def test_a_long_recording_is_refused_since_its_words_would_not_fit():
    with pytest.raises(InputError, match="cut the recording"):
        Synthesizer(Model()).clone(
            Clip(np.concatenate([recording(20.0), np.zeros(16_000), recording(20.0)]), 16_000), "Hi."
        )


def test_load_of_nothing_there_says_so():
    with pytest.raises(InputError, match="no-such-model"):
        load("no-such-model")


@pytest.mark.parametrize(
    ("text", "spoken"),
    [("hello", "hello."), ('say "hello"', "say hello."), ('"Go!"', "Go!"), ("one,", "one,"), ("(yes)", "yes.")],
)
def test_every_sentence_ends_with_a_mark(text, spoken):
    assert [sentence for sentence, _ in spoken_sentences(text, Reading("en"))] == [spoken]


def test_a_sentence_cut_for_its_length_goes_on():
    text = "word " * 60
    spoken = list(spoken_sentences(text, Reading("en")))
    assert len(spoken) > 2
    assert {sentence[-1] for sentence, _ in spoken[:-1]} == {","}
    assert spoken[-1][0][-1] == "."
    assert [last for _, last in spoken] == [False] * (len(spoken) - 1) + [True]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "text is NoneType; give a str"),
        (b"Hello.", "text is bytes; give a str"),
        (7, "text is int"),
        (["One.", None], "a piece of text is NoneType"),
        ([b"One."], "a piece of text is bytes"),
    ],
)
def test_what_is_no_text_is_refused(text, message):
    for speak in (Synthesizer(Model()).say, lambda text: list(Synthesizer(Model()).stream(text))):
        with pytest.raises(TextError, match=message):
            speak(text)


class Particular(Prompts):
    """Reads Latin letters only."""

    def build(self, sentence, voice):
        if not sentence.isascii():
            raise TextError(f"nothing to pronounce in {sentence!r}")
        return super().build(sentence, voice)


def test_a_sentence_that_cannot_be_read_does_not_cost_the_others(caplog):
    model = Model()
    model.prompts = Particular()
    speech = Synthesizer(model).say("Это по-русски. This one is English.", seed=1, pauses=Pauses(0.0, 0.0))
    reports = [(report.finish, report.frames) for report in speech.report.sentences]
    assert reports == [("skipped", 0), ("end", 40)]
    assert speech.duration_seconds == 4.0
    assert "a sentence is left out: model 'fake' finds nothing to pronounce in 'Это по-русски.'" in caplog.text
    with pytest.raises(TextError, match="nothing to pronounce in 'Это по-русски. И это.': its letters are Cyrillic"):
        Synthesizer(model).say("Это по-русски. И это.")
    with pytest.raises(
        TextError, match="in '今天天气很好。': it is Chinese; load a model that speaks it .*CosyVoice2-0.5B"
    ):
        Synthesizer(model).say("今天天气很好。")


class Deaf(Prompts):
    """Leaves out what is not in Latin letters."""

    def build(self, sentence, voice):
        unread = next((word for word in sentence.split() if not word.isascii()), "")
        return replace(super().build(sentence, voice), unread=unread)


def test_a_word_that_is_left_out_is_named_once_a_request(caplog):
    model = Model()
    model.prompts = Deaf()
    synthesizer = Synthesizer(model)
    synthesizer.say("I have been to Москва. And to 京都 as well.", seed=1, pauses=Pauses(0.0, 0.0))
    assert [record.getMessage() for record in caplog.records] == [
        "model fake cannot say 'Москва.' and leaves it out, in: I have been to Москва."
    ]
    synthesizer.say("Only English here.", seed=1)
    assert len(caplog.records) == 1


def test_the_cache_is_as_large_as_asked_for(tiny_folder):
    with load(tiny_folder, device="cpu", rows=2, context=100) as synthesizer:
        assert synthesizer.engine.free_rows == 2
        assert synthesizer.engine.length == 100
    with pytest.raises(ConfigError, match="invalid rows: must be at least 1, got 0"):
        load(tiny_folder, device="cpu", rows=0)
