"""The page to talk on, in a real Chromium: written words are answered aloud, and the microphone is heard."""

from __future__ import annotations

from dataclasses import replace

import pytest

from talk_parts import Ears
from webpage import LISTEN

# A voice of harmonics for a microphone: from 0.6 to 1.8 s, and silence after it.
MICROPHONE = """
navigator.mediaDevices.getUserMedia = async () => {
  const context = new AudioContext({ sampleRate: 24000 });
  const buffer = new AudioBuffer({ length: 3 * 24000, sampleRate: 24000 });
  const voice = (t) => Array.from({ length: 24 }, (_, n) => Math.sin(2 * Math.PI * 130 * (n + 1) * t) / (n + 1));
  buffer.getChannelData(0).forEach((_, at, samples) => {
    const t = at / 24000;
    const loud = t > 0.6 && t < 1.8 ? 0.15 * (0.55 + 0.45 * Math.sin(2 * Math.PI * 4 * t)) : 0;
    samples[at] = loud && loud * voice(t).reduce((sum, each) => sum + each);
  });
  const ear = new MediaStreamAudioDestinationNode(context);
  const source = new AudioBufferSourceNode(context, { buffer });
  source.connect(ear);
  source.start();
  return ear.stream;
};
"""
LINES = "[...document.querySelectorAll('#said li')].map((line) => `${line.className}:${line.textContent}`)"


@pytest.fixture
def talk(browser, stub):
    """The page, whose server hears the same words in every turn; at the end nothing may have complained."""
    usual = stub.service.partner
    stub.service.partner = replace(usual, recogniser=Ears("Is it noon?"))
    with browser.page(f"{stub.url}/chat", script=LISTEN + MICROPHONE) as page:
        page.wait("document.readyState === 'complete'")
        yield page
        errors = [*page.errors]
    stub.service.partner = usual
    assert errors == []


def test_written_words_are_answered_aloud(talk):
    talk.write("#words", "Hello there.")
    talk.click("#typed button")
    talk.wait(f"{LINES}.join() === 'mine:Hello there.,:Hello there. '")
    talk.wait("played.reduce((sum, { samples }) => sum + samples.length, 0) === 24000")
    assert talk.text("#state") == "Connected"


def test_the_microphone_is_heard_until_it_is_stopped(talk, stub):
    talk.click("#talk")
    talk.wait("document.querySelector('#state').textContent === 'Listening'")
    assert talk.text("#talk") == "Stop"
    talk.wait(f"{LINES}.some((line) => line === 'mine:Is it noon?')")
    talk.wait("played.length > 1")  # the first is what the microphone heard
    talk.click("#talk")
    talk.wait("document.querySelector('#state').textContent === 'Not connected'")
    assert talk.text("#talk") == "Start talking"
    stub.wait_until(stub.idle)
