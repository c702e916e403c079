"""What a stream waits for that is not the model's to give, and that nobody else is kept from beginning by it."""

from __future__ import annotations

import base64
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from parlando.audio.files import encode_audio
from parlando.core.types import Frame, Prompt
from parlando.serve import lack
from parlando.serve.lack import Lack
from waiting import HANG_SECONDS
from whisper import whisper


class Held:
    """Encodes recordings when it may go on."""

    def __init__(self, model):
        self.model, self.goes_on, self.refer = model, threading.Event(), model.refer
        model.converter, model.refer = self, self.encode

    def frames(self, samples, sample_rate):
        self.goes_on.wait(HANG_SECONDS)
        return [Frame(token=index) for index in range(25)]

    def open(self, voice, speed):
        return self.model.decoder.open(Prompt((), None, None, ""), speed)

    def encode(self, *given):
        self.goes_on.wait(HANG_SECONDS)
        return self.refer(*given)


@pytest.fixture
def busy(serving, several_stubs):
    """A server where no more than two may have just begun, and what encodes its recordings."""
    with serving(several_stubs("one", rows=2)) as running:
        held = Held(running.model)
        try:
            yield running, held
        finally:
            held.goes_on.set()


def convert(running, index):
    sent = {"data": {"response_format": "pcm"}, "files": {"file": (f"{index}.wav", recording(index))}}
    return running.http.post("/v1/audio/conversions", **sent)


def clone(running, index):
    return running.say(ref_audio=base64.b64encode(recording(index)).decode(), ref_text="What is said.")


def recording(index):
    return encode_audio(whisper(2.0 + index), 24_000, "wav")


def test_seconds_are_counted_when_it_came_and_never_while_it_is_missing(monkeypatch):
    now = [1.0]
    monkeypatch.setattr(lack.time, "perf_counter", lambda: now[0])
    text = Lack()
    for seconds in (2.0, 3.0):
        before = text.seconds
        with text:
            now[0] += seconds
            assert (text.now, text.seconds) == (True, before)
        assert (text.now, text.seconds) == (False, before + seconds)
        now[0] += 10.0


def test_who_got_nothing_lacks_it_no_more():
    text = Lack()
    with pytest.raises(KeyError), text:
        raise KeyError
    assert not text.now


@pytest.mark.parametrize("ask", [convert, clone])
def test_two_recordings_that_are_encoded_keep_nobody_from_beginning(busy, ask):
    running, held = busy
    admission = running.service.admissions["one"]
    learned_seconds = admission.first_audio_seconds
    with ThreadPoolExecutor(2) as pool:
        slow = [pool.submit(ask, running, index) for index in range(2)]
        running.wait_until(lambda: [each.lacking for each in tuple(admission.running)] == [True, True])
        assert running.say().status_code == 200
        assert not any(each.done() for each in slow)
        running.wait_until(lambda: admission.streams == 2)
        spoken_seconds = admission.first_audio_seconds
        assert spoken_seconds != learned_seconds
        held.goes_on.set()
        assert [each.result().status_code for each in slow] == [200, 200]
    running.wait_until(running.idle)
    assert admission.first_audio_seconds == spoken_seconds, "encoding is not what the next one waits for"


def test_who_has_all_that_it_needs_lacks_nothing(busy):
    running, _ = busy
    running.model.lm.step_seconds = 0.02
    with running.http.stream("POST", "/v1/audio/speech", json={"input": "An endless one.", "voice": "ada"}) as response:
        next(response.iter_bytes())
        (speaker,) = running.service.admissions["one"].running
        assert (speaker.lacking, len(speaker.lacks)) == (False, 1)
