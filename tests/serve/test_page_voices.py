"""Voices on the page, in a real Chromium: heard, added, recorded, deleted; and recordings that are converted."""

from __future__ import annotations

import numpy as np
import pytest

from cosyvoice_tiny import tiny_cosyvoice
from parlando.audio.files import encode_audio
from parlando.speech import Synthesizer
from webpage import ALERT, DONE, LISTEN, READY, played, speak
from whisper import whisper


def fill_voice(page, name):
    for field, value in (("voice-text", "What is said."), ("voice-name", name), ("voice-who", "Ann Speaker")):
        page.write(f"#{field}", value)
    page.click("#voice-consent")
    page.click("#voice-save")
    page.wait("!document.querySelector('#voice-dialog').open || !document.querySelector('#voice-error').hidden")
    assert page.text("#voice-error") == ""
    page.wait(f"document.querySelector('input[name=voice]:checked')?.value === '{name}'")


def test_a_voice_is_uploaded_spoken_with_and_deleted(stub, open_page, tmp_path):
    clip = tmp_path / "said.wav"
    clip.write_bytes(encode_audio(whisper(2.0, seed=1), 24000))
    page = open_page()
    page.click("[data-opens=voice-dialog]")
    for fill, complaint in ((None, "Choose a file"), (clip, "Write down the words")):
        if fill:
            page.choose_file("#voice-file", fill)
        page.click("#voice-save")
        page.wait("!document.querySelector('#voice-error').hidden")
        assert complaint in page.text("#voice-error")
    assert page.run("document.activeElement.id") == "voice-text"
    fill_voice(page, "ann")
    card = stub.service.voices.store.card("ann", None)
    assert card.consent.startswith("Ann Speaker; confirmed on the page, 20")
    assert (card.text, card.seconds) == ("What is said.", pytest.approx(2, abs=0.1))
    speak(page)
    page.wait(DONE)
    assert stub.model.asked[-1][1].name == "ann"
    page.click("[aria-label='Delete the voice ann']")
    page.wait("!document.querySelector('input[value=ann]')")
    assert stub.service.voices.store.card("ann", None) is None


def test_a_voice_is_recorded_from_the_microphone(stub, open_page):
    page = open_page()
    page.click("[data-opens=voice-dialog]")
    page.click("input[name=voice-source][value=record]")
    page.click("#suggest")
    page.click("#voice-record")
    page.wait("document.querySelector('#voice-record').textContent === 'Stop'")
    page.wait("parseFloat(document.querySelector('#voice-time').textContent) > 2")
    assert page.run("document.querySelector('#voice-level').value") > 0
    page.click("#voice-record")
    page.wait("!document.querySelector('#voice-preview').hidden")
    page.wait("document.querySelector('#voice-preview').duration > 1.5")
    fill_voice(page, "rec")
    assert stub.service.voices.store.card("rec", None).seconds == pytest.approx(2, abs=0.7)
    page.click("[aria-label='Delete the voice rec']")
    page.wait("!document.querySelector('input[value=rec]')")


def test_voices_have_peoples_names_and_are_heard_once_asked(stub, open_page):
    page = open_page()
    assert page.run("[...document.querySelectorAll('.voice label')].map((label) => label.innerText)") == [
        "Ada Lake ada\na mature woman",
        "bob\nan American man",
    ]
    hear, stop = "[aria-label='Hear Ada Lake']", "[aria-label='Stop Ada Lake']"
    page.click(hear)
    page.wait("played.length === 1")
    assert stub.model.asked[-1][1].name == "ada"
    assert np.abs(played(page)).max() > 3000
    page.click(stop)
    assert page.run(f'!!document.querySelector("{hear}")')
    page.click(hear)
    page.wait("played.length === 2")
    page.click("[aria-label='Hear bob']")
    page.wait("played.length === 3")
    assert page.run("document.querySelectorAll('.voice .playing').length") == 1, "one is heard at a time"
    speak(page)
    page.wait(DONE)
    assert page.run("document.querySelectorAll('.voice .playing').length") == 0
    asked = [each["url"] for each in page.requests if each["url"].endswith("/sample")]
    assert asked == [f"{stub.url}/v1/audio/voices/{name}/sample" for name in ("ada", "bob")]
    page.go(f"{stub.url}/")
    page.wait(READY)
    spoken = len(stub.model.asked)
    page.click(hear)
    page.wait("played.length === 1")
    assert len(stub.model.asked) == spoken, "the browser has kept it"


def test_on_a_phone_the_voice_is_chosen_beside_the_button(stub, open_page):
    page = open_page(width=390, height=700)
    page.run("const chosen = document.querySelector('#quick-voice'); chosen.value = 'bob'; "
             "chosen.dispatchEvent(new Event('change', { bubbles: true }))")  # fmt: skip
    assert page.run("document.querySelector('input[name=voice]:checked').value") == "bob"
    page.click("input[name=voice][value=ada]")
    assert page.run("document.querySelector('#quick-voice').value") == "ada"
    tops = "['quick-voice', 'speed', 'speak'].map((id) => document.querySelector('#' + id).getBoundingClientRect().top)"
    voice, speed, button = page.run(tops)
    assert abs(voice - speed) < 12
    assert 0 < button - voice < 80
    page.resize(1280, 900)
    assert not page.run("document.querySelector('#quick-voice').checkVisibility()"), "the list stands beside"


def test_a_recording_is_converted_where_the_model_can(serving, stub, open_page, browser, tmp_path):
    page = open_page()
    assert not page.run("document.querySelector('input[value=recording]').checkVisibility()")
    clip = tmp_path / "said.wav"
    clip.write_bytes(encode_audio(whisper(2.0), 24000))
    with serving(Synthesizer(tiny_cosyvoice())) as running, browser.page(f"{running.url}/", script=LISTEN) as page:
        page.wait(READY)
        page.click("input[value=recording]")
        page.click("#speak")
        page.wait(ALERT)
        assert "Choose a file, or record something" in page.text("#notice")
        assert page.run("document.activeElement.id") == "convert-file"
        page.choose_file("#convert-file", clip)
        page.click("input[name=voice][value=bert]")
        page.click("#speak")
        page.wait(DONE)
        form = {"voice": "bert", "response_format": "pcm"}
        answer = running.http.post("/v1/audio/conversions", data=form, files={"file": clip.read_bytes()})
        assert np.array_equal(played(page), np.frombuffer(answer.content, "<i2"))
        assert page.text(".said") == "said.wav"
        assert "seed" not in page.text("#facts") + page.text(".entry .hint")
        assert page.run("document.querySelectorAll('.entry-tools button').length") == 2, "there is nothing to edit"
        page.click("input[name=convert-source][value=record]")
        page.click("#convert-record")
        page.wait("parseFloat(document.querySelector('#convert-time').textContent) > 1")
        page.click("#speak")
        page.wait(f"document.querySelectorAll('.entry').length === 2 && {DONE}")
        assert page.text(".said") == "A recording"
        assert not page.errors
