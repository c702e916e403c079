"""The page to talk on, in a real Chromium: written words are answered aloud, and the microphone is heard."""

from __future__ import annotations

from dataclasses import replace

import pytest

from talk_parts import Ears
from webpage import LISTEN

LINES = "[...document.querySelectorAll('#said li')].map((line) => `${line.className}:${line.textContent}`)"


@pytest.fixture
def talk(browser, stub):
    """The page, whose server hears the same words in every turn; at the end nothing may have complained."""
    usual = stub.service.partner
    stub.service.partner = replace(usual, recogniser=Ears("Is it noon?"))
    with browser.page(f"{stub.url}/chat", script=LISTEN) as page:
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
    talk.wait("played.length > 0")
    talk.click("#talk")
    talk.wait("document.querySelector('#state').textContent === 'Not connected'")
    assert talk.text("#talk") == "Start talking"
    stub.wait_until(stub.idle)
