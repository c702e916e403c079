"""The page as the tests use it: what it takes to be ready and done, and what was heard and drawn."""

from __future__ import annotations

import numpy as np

READY = "document.querySelector('#server').dataset.state === 'ready' && document.querySelector('#voices input')"
SPEAKING = "document.querySelector('#speak').textContent === 'Stop'"
DONE = """document.querySelector('#speak').textContent !== 'Stop'
    && /^Done/.test(document.querySelector('#progress').textContent)"""
ALERT = "!document.querySelector('#notice').hidden"
# What the page hands to the sound card, and when it is to be heard.
LISTEN = """
window.played = [];
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (when = 0) {
  const samples = Array.from(this.buffer.getChannelData(0), (sample) => Math.round(sample * 32768));
  played.push({ when, rate: this.buffer.sampleRate, context: this.context.sampleRate, samples });
  start.call(this, when);
};
"""


def speak(page, text="Hello there."):
    page.write("#text", text)
    page.click("#speak")


def played(page):
    """The samples that were scheduled, as 16-bit integers."""
    return np.array(page.run("played.flatMap(({ samples }) => samples)"), np.int64)


def painted(page):
    """How many columns of the picture are not empty."""
    return page.run(
        """(() => { const c = document.querySelector("#picture");
        const copy = new OffscreenCanvas(c.width, 1).getContext("2d");
        copy.drawImage(c, 0, -Math.round(c.height * 0.8));
        const d = copy.getImageData(0, 0, c.width, 1).data;
        return Array.from({ length: c.width }, (_, x) => d[4 * x + 3]).filter(Boolean).length; })()"""
    )


def states(page):
    """The page with a sound, in its modes and with its dialog open."""
    page.run("document.querySelector('#settings').open = true")
    speak(page)
    page.wait(DONE)
    page.click("#speak")
    page.wait(DONE)
    yield "text"
    page.run("document.querySelector('#text').value = ''")
    page.click("#speak")
    page.wait(ALERT)
    yield "error"
    page.click("input[value=dialogue]")
    page.click("#add-speaker")
    yield "dialogue"
    page.click("#speaker-panel [data-opens]")
    page.click("input[name=voice-source][value=record]")
    page.click("#voice-save")
    yield "dialog"
