"""The page at ``/`` in a real Chromium: what it says, shows and plays, and that everybody can use it."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from browser import ALT, CONTROL, SHIFT, Browser, find_chromium
from parlando.audio.files import encode_audio
from parlando.serve import doors
from parlando.serve.limits import new_key
from whisper import whisper

WEBUI = Path(doors.__file__).parents[1] / "webui"
PARTS = (Path(__file__).parent / "page_parts.js").read_text(encoding="utf-8")
AUDIT = (Path(__file__).parent / "page_audit.js").read_text(encoding="utf-8")
ICON = "data:image/svg+xml"  # the browser's own, in its controls
READY = "document.querySelector('#server').dataset.state === 'ready' && document.querySelector('#voices input')"
SPEAKING = "document.querySelector('#speak').textContent === 'Stop'"
DONE = """document.querySelector('#speak').textContent === 'Speak'
    && /^Done/.test(document.querySelector('#progress').textContent)"""
ALERT = "!document.querySelector('#notice').hidden"
# What the page hands to the sound card, and when it is to be heard.
LISTEN = """
window.played = [];
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (when) {
  const samples = Array.from(this.buffer.getChannelData(0), (sample) => Math.round(sample * 32768));
  played.push({ when, rate: this.buffer.sampleRate, context: this.context.sampleRate, samples });
  start.call(this, when);
};
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    program = find_chromium()
    if program is None:
        pytest.skip("there is no Chromium; install the package chromium to test the page")
    spoken = tmp_path_factory.mktemp("microphone") / "said.wav"
    spoken.write_bytes(encode_audio(whisper(3.0), 24000))
    running = Browser(program, f"--use-file-for-fake-audio-capture={spoken}")
    yield running
    running.close()


@pytest.fixture
def open_page(browser, stub):
    """Open the page of the stub's server, ready; at the end nothing may have complained."""
    opened = []

    def opener(**options):
        context = browser.page(f"{stub.url}/", script=LISTEN, **options)
        page = context.__enter__()
        opened.append((context, page))
        page.wait(READY)
        return page

    yield opener
    complaints = [list(page.errors) for _, page in opened]
    strangers = [request["url"] for _, page in opened for request in page.requests]
    for context, _ in opened:
        context.__exit__(None, None, None)
    assert complaints == [[] for _ in opened]
    assert [url for url in strangers if not url.startswith((stub.url, "blob:", ICON))] == []


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


def test_a_sentence_is_heard_and_drawn_before_its_end_and_is_what_the_server_sent(stub, open_page):
    stub.model.lm.step_seconds = 0.15
    page = open_page()
    page.click("#settings summary")
    page.write("#seed", "7")
    speak(page)
    page.wait("played.length && document.querySelector('#play').getAttribute('aria-label') === 'Pause'")
    assert page.run(SPEAKING), "it plays while the rest is being made"
    page.wait("document.querySelector('#time-all').textContent !== '0:00.0'")
    early = painted(page)
    page.wait(DONE)
    page.wait("document.querySelector('#play').getAttribute('aria-label') === 'Play'")
    assert 0 < early < painted(page)
    scheduled = page.run("played.map(({ when, rate, context, samples: { length } }) => [when, rate, context, length])")
    assert len(scheduled) > 2
    assert {(rate, context) for _, rate, context, _ in scheduled} == {(24000, 24000)}
    starts = np.array([when * 24000 for when, *_ in scheduled])
    assert np.abs(starts - np.round(starts)).max() < 1e-3, "slices begin on whole samples"
    assert np.array_equal(played(page), np.frombuffer(stub.say("Hello there.", voice="ada", seed=7).content, "<i2"))
    assert page.text("#facts").startswith("first sound")
    assert page.text("#progress") == "Done: 1.0 seconds"
    assert "1.0 seconds" in page.run("document.querySelector('#picture').ariaLabel")


@pytest.mark.parametrize("how", ["button", "escape", "closed window"])
def test_stopping_frees_the_server_at_once(stub, open_page, browser, how):
    stub.model.lm.step_seconds = 0.02
    page = open_page()
    speak(page, "A long one.")
    page.wait("played.length")
    assert not stub.idle()
    if how == "button":
        page.click("#speak")
    elif how == "escape":
        page.press("Escape")
    else:
        page.go("about:blank")
    stub.wait_until(stub.idle, 3)
    if how != "closed window":
        page.wait("document.querySelector('#progress').textContent === 'Stopped'")
        assert page.text("#speak") == "Speak"
        assert page.run("document.querySelectorAll('.entry').length") == 0, "half a sound is not kept"
        count = page.run("played.length")
        speak(page)
        page.wait(DONE)
        assert page.run("played.length") > count


def test_the_chosen_voice_and_settings_reach_the_model(stub, open_page):
    page = open_page()
    assert page.run("[...document.querySelectorAll('#voices input')].map((input) => input.value)") == ["ada", "bob"]
    page.click("input[value=bob]")
    page.click("#settings summary")
    for field, value in (("seed", str(2**63 - 1)), ("temperature", "0.5"), ("top_p", "0.9"), ("top_k", "0")):
        page.write(f"#{field}", value)
    speak(page)
    page.wait(DONE)
    assert stub.model.asked[-1][1].name == "bob"
    body = next(json.loads(each["postData"]) for each in page.requests if each["url"].endswith("/v1/audio/speech"))
    assert {name: body[name] for name in ("seed", "temperature", "top_p", "top_k", "voice")} == {
        "seed": 2**63 - 1, "temperature": 0.5, "top_p": 0.9, "top_k": 0, "voice": "bob",
    }  # fmt: skip
    assert str(2**63 - 1) in page.text("#facts"), "whole seeds, where a number of JavaScript would round"
    page.go(f"{stub.url}/")
    page.wait(READY)
    assert page.run("document.querySelector('input[name=voice]:checked').value") == "bob"
    assert page.run("document.querySelector('#temperature').value") == "0.5"
    assert page.run("document.querySelector('#text').value") == "Hello there."
    page.click("#settings summary")
    page.click("#reset")
    assert page.run("document.querySelector('#temperature').value + document.querySelector('#seed').value") == ""
    page.write("#temperature", "11")
    page.click("#speak")
    page.wait(ALERT)
    assert "Temperature must be from 0 to 10" in page.text("#notice")
    assert page.run("document.activeElement.id") == "temperature"


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
    card = stub.service.shelf.store.card("ann")
    assert card.consent.startswith("Ann Speaker; confirmed on the page, 20")
    assert (card.text, card.seconds) == ("What is said.", pytest.approx(2, abs=0.1))
    speak(page)
    page.wait(DONE)
    assert stub.model.asked[-1][1].name == "ann"
    page.click("[aria-label='Delete the voice ann']")
    page.wait("!document.querySelector('input[value=ann]')")
    assert stub.service.shelf.store.card("ann") is None


def test_a_voice_is_recorded_from_the_microphone(stub, open_page):
    page = open_page()
    page.click("[data-opens=voice-dialog]")
    page.click("input[name=source][value=record]")
    page.click("#suggest")
    page.click("#record")
    page.wait("document.querySelector('#record').textContent === 'Stop'")
    page.wait("parseFloat(document.querySelector('#record-time').textContent) > 2")
    assert page.run("document.querySelector('#level').value") > 0
    page.click("#record")
    page.wait("!document.querySelector('#preview').hidden")
    page.wait("document.querySelector('#preview').duration > 1.5")
    fill_voice(page, "rec")
    assert stub.service.shelf.store.card("rec").seconds == pytest.approx(2, abs=0.7)
    page.click("[aria-label='Delete the voice rec']")
    page.wait("!document.querySelector('input[value=rec]')")


def lines(page):
    return page.run(
        """[...document.querySelectorAll('.line')].map((line) =>
        [line.querySelector('select').selectedOptions[0].text, line.querySelector('textarea').value])"""
    )


def test_a_dialogue_is_written_by_keyboard_and_spoken_line_by_line(stub, open_page):
    page = open_page()
    page.click("input[value=dialogue]")
    page.run("document.querySelector('.line textarea').focus()")
    page.type("Who is there?")
    page.press("Enter")
    page.type("Nobody.")
    page.press("Enter")
    page.type("Good.")
    assert lines(page) == [["Ada", "Who is there?"], ["Ben", "Nobody."], ["Ada", "Good."], ["Ben", ""]]
    page.press("ArrowUp", ALT)
    assert [text for _, text in lines(page)] == ["Who is there?", "Good.", "Nobody.", ""]
    page.press("ArrowDown", ALT)
    page.press("Enter")
    page.press("Backspace")
    count = len(stub.model.asked)
    page.press("Enter", CONTROL)
    page.wait(DONE)
    said = [(sentence, voice.name) for sentence, voice in stub.model.asked[count:]]
    assert said == [("Who is there?", "ada"), ("Nobody.", "bob"), ("Good.", "ada")]
    assert page.text("#progress") == "Done: 3.6 seconds", "three seconds and two pauses"
    bodies = [json.loads(each["postData"]) for each in page.requests if each["url"].endswith("/v1/audio/speech")]
    assert bodies[2]["seed"] - bodies[1]["seed"] == 1, "one seed makes them all"
    assert page.text(".said") == "Ada: Who is there? Ben: Nobody. Ada: Good."


def test_a_pasted_script_becomes_lines_with_their_speakers(stub, open_page):
    page = open_page()
    page.click("input[value=dialogue]")
    script = "Cleo: It is late.\\n\\nHugo: I know: ten o'clock.\\nAnd raining.\\nIda: Then stay."
    page.run(
        f"""(() => {{ const data = new DataTransfer(); data.setData("text", "{script}");
        document.querySelector(".line textarea").dispatchEvent(
          new ClipboardEvent("paste", {{ clipboardData: data, bubbles: true, cancelable: true }})); }})()"""
    )
    assert lines(page) == [
        ["Cleo", "It is late."],
        ["Hugo", "I know: ten o'clock."],
        ["Hugo", "And raining."],
        ["Ida", "Then stay."],
    ]
    assert page.run("[...document.querySelectorAll('.speaker input')].map((input) => input.value)") == [
        "Cleo", "Hugo", "Ida",
    ]  # fmt: skip
    page.click("[aria-label='Remove speaker 3']")
    assert lines(page)[3] == ["Hugo", "Then stay."]


def test_errors_say_what_to_do_and_asking_again_helps(stub, open_page):
    page = open_page()
    page.click("#speak")
    page.wait(ALERT)
    assert "Write something first" in page.text("#notice")
    assert page.run("document.activeElement.id") == "text"
    stub.model.lm.failures = [RuntimeError("no")]
    speak(page)
    page.wait(f"{ALERT} && !({SPEAKING})")
    assert "failed" in page.text("#notice")
    page.click("#notice button")
    page.wait(DONE)
    assert page.run("document.querySelector('#notice').hidden")
    speak(page, "...")
    page.wait(ALERT)
    assert "That cannot be spoken" in page.text("#notice")
    # It fails on its way: what came can be heard.
    stub.model.lm.step_seconds = 0.02
    speak(page, "A long one.")
    page.wait("document.querySelector('#time-all').textContent > '0:00.3'")
    stub.model.lm.failures = [RuntimeError("no")]
    page.wait(ALERT)
    assert "failed" in page.text("#notice")
    page.wait("!document.querySelector('#download').disabled")


def test_a_voice_that_has_gone_and_a_server_that_has_gone_are_said(serving, browser):
    with serving() as running, browser.page(f"{running.url}/") as page:
        page.wait(READY)
        page.run("document.querySelector('input[name=voice]:checked').value")
        own = running.service.shelf._own_by_model[running.host.name]
        running.service.shelf._own_by_model[running.host.name] = {"bob": own["bob"]}
        speak(page)
        page.wait(ALERT)
        assert "That voice is not there any more" in page.text("#notice")
        running.stop()
        running.stop = lambda: None
        page.click("#speak")
        page.wait(f"{ALERT} && document.querySelector('#server').dataset.state === 'gone'")
        assert "The server does not answer" in page.text("#notice")
        assert not page.errors


def test_a_server_with_keys_asks_for_one(serving, browser, tmp_path):
    key = new_key(tmp_path / "keys.txt", "ann")
    with serving(api_keys=str(tmp_path / "keys.txt")) as running, browser.page(f"{running.url}/") as page:
        page.wait(ALERT)
        assert "This server asks for an API key" in page.text("#notice")
        page.click("#notice button:last-child")
        assert page.run("document.activeElement.id") == "key"
        page.type(key)
        page.press("Tab")
        page.wait(READY)
        speak(page)
        page.wait(DONE)
        assert page.run("JSON.stringify(localStorage)").count(key) == 0
        assert not page.errors


def test_history_is_kept_heard_again_downloaded_edited_and_forgotten(stub, open_page, tmp_path):
    page = open_page()
    page.click("input[value=bob]")
    speak(page, "First thing.")
    page.wait(DONE)
    seed = int(re.search(r"seed ?(\d+)", page.text("#facts"))[1])
    page.click("input[value=ada]")
    speak(page, "Second thing.")
    page.wait(f"{DONE} && document.querySelectorAll('.entry').length === 2")
    page.go(f"{stub.url}/")
    page.wait(f"{READY} && document.querySelectorAll('.entry').length === 2")
    assert page.text(".entry:last-child .said") == "First thing."
    name, data = page.download(".entry:last-child .entry-tools button", tmp_path)
    samples, rate = soundfile.read(io.BytesIO(data), dtype="int16")
    assert (name, rate) == ("first-thing.wav", 24000)
    assert np.array_equal(samples, np.frombuffer(stub.say("First thing.", voice="bob", seed=seed).content, "<i2"))
    page.click(".entry:last-child .round")
    page.wait("played.length")
    page.wait("document.querySelector('#play').getAttribute('aria-label') === 'Play'")
    assert np.array_equal(played(page), samples)
    (tmp_path / "again").mkdir()
    name, again = page.download("#download", tmp_path / "again")
    assert again == data
    page.click(".entry:last-child .entry-tools button:nth-child(2)")
    assert page.run("document.querySelector('#text').value") == "First thing."
    assert page.run("document.querySelector('#seed').value") == str(seed)
    assert page.run("document.querySelector('input[name=voice]:checked').value") == "bob"
    page.click(".entry:last-child .entry-tools button:last-child")
    page.wait("document.querySelectorAll('.entry').length === 1")
    page.click("#forget")
    page.wait("document.querySelectorAll('.entry').length === 0 && document.querySelector('#forget').hidden")
    assert page.run("document.activeElement.id") == "past-title"


def test_history_is_bounded_and_lives_without_a_database(open_page):
    page = open_page()
    assert page.run(f"{PARTS}.bounded(true)") == [40, "42", 42, "3"]
    page.run("IDBFactory.prototype.open = () => { throw new Error('no') }; void 0")
    assert page.run(f"{PARTS}.bounded(false)") == [40, "42", 42, "3"]


def test_everything_is_reached_and_done_by_keyboard(stub, open_page):
    page = open_page()
    page.press("Tab")
    assert page.run("document.activeElement.className") == "skip"
    page.press("Enter")
    assert page.run("document.activeElement.id") == "text"
    page.type("Hello there.")
    page.press("Enter", CONTROL)
    page.wait(DONE)
    page.wait("document.querySelector('#play').getAttribute('aria-label') === 'Play'")
    order = []
    for _ in range(12):
        page.press("Tab")
        order.append(
            page.run(
                """(e => e.id || e.value || e.dataset.opens || e.textContent.trim() || e.ariaLabel)
                (document.activeElement)"""
            )
        )
    assert order == [
        "speak", "play", "position", "download", "voice-dialog", "ada", "Settings",
        "forget", "Hear: Hello there.", "Download", "Edit", "Forget",
    ]  # fmt: skip
    page.run("document.querySelector('input[name=voice]:checked').focus()")
    page.press("ArrowDown")
    assert page.run("document.querySelector('input[name=voice]:checked').value") == "bob"
    page.run("document.querySelector('#play').focus()")
    page.press(" ")
    page.wait("document.querySelector('#play').getAttribute('aria-label') === 'Pause'")
    page.press("Tab")
    page.press("ArrowRight")
    page.run("document.querySelector('[data-opens]').focus()")
    page.press("Enter")
    page.wait("document.querySelector('#voice-dialog').open")
    for _ in range(14):
        page.press("Tab")
        assert page.run(
            """document.querySelector('#voice-dialog').contains(document.activeElement)
            || document.activeElement === document.body"""
        )
    page.press("Escape")
    assert page.run("document.activeElement.dataset.opens") == "voice-dialog", "the focus comes back"
    page.press("Tab", SHIFT)
    assert page.run("document.activeElement.id") == "download"
    outline = (
        "getComputedStyle(document.activeElement).outlineStyle + getComputedStyle(document.activeElement).outlineWidth"
    )
    assert page.run(outline) == "solid2px", "the focus is seen"


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
    page.click("input[value=record]")
    page.click("#voice-save")
    yield "dialog"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_control_has_a_name_and_every_text_is_legible(open_page, scheme):
    page = open_page(scheme=scheme, motion="reduce")
    for state in states(page):
        controls = page.controls()
        assert len(controls) > 10
        assert [role for role, name in controls if not name] == [], (state, controls)
        assert page.run(AUDIT) == [], state
    names = [name for role, name in controls if role == "button"]
    assert len(names) == len(set(names)), "no two buttons are called the same"
    moving = "[...document.querySelectorAll('*')].filter((e) => getComputedStyle(e).transitionDuration !== '0s').length"
    assert page.run(moving) == 0, "who wants no motion gets none"


def test_the_theme_is_the_systems_until_one_is_chosen(stub, open_page):
    page = open_page(scheme="dark")
    dark = page.run("getComputedStyle(document.body).backgroundColor")
    page.run("document.querySelector('#settings').open = true")
    page.click("input[name=theme][value=light]")
    light = page.run("getComputedStyle(document.body).backgroundColor")
    assert dark != light
    page.go(f"{stub.url}/")
    assert page.run("getComputedStyle(document.body).backgroundColor") == light


@pytest.mark.parametrize("width", [320, 390])
def test_a_phone_shows_everything_without_scrolling_sideways(open_page, width):
    page = open_page(width=width, height=700)
    for state in states(page):
        widest = """[...document.querySelectorAll("body *")].filter((e) => e.checkVisibility()
            && !e.closest(".unseen, .skip") && e.getBoundingClientRect().right > innerWidth + 0.5)
            .map((e) => e.tagName + e.id + e.className)"""
        assert page.run("document.documentElement.scrollWidth - innerWidth") <= 0, state
        assert page.run(widest) == [], state


def test_joints_between_chunks_are_inaudible_and_running_dry_fades(open_page):
    page = open_page()
    heard, tone, underruns = page.run(f"{PARTS}.joints(false)")
    heard, tone = np.array(heard), np.array(tone)
    begin = np.flatnonzero(heard)[0] - 1
    assert underruns == 0
    assert np.abs(heard[begin : begin + 24000] - tone).max() < 1e-6
    assert not heard[begin + 24000 :].any()
    heard, _, underruns = page.run(f"{PARTS}.joints(true)")
    assert underruns == 1
    assert np.abs(np.diff(heard)).max() < 1.3 * np.abs(np.diff(tone)).max(), "no step is larger than the tone's own"


def test_the_parts_do_what_they_say(open_page):
    page = open_page()
    assert page.run(f"{PARTS}.transform()") < 1e-5
    for size in (1, 3, 1000):
        assert page.run(f"{PARTS}.events({size})") == ["ü", 2]
    assert page.run(f"{PARTS}.pcm()") == [-32768, 32767, 1]
    assert page.run(f"{PARTS}.fileNames()") == ["où-là-bas.wav", "parlando.wav"]
