"""The page at ``/`` in a real Chromium: what it says, shows, plays and keeps."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from browser import ALT, CONTROL
from parlando.core.errors import TextError
from parlando.serve.limits import new_key
from waiting import HANG_SECONDS
from webpage import ALERT, DONE, READY, SPEAKING, painted, played, speak

PARTS = (Path(__file__).parent / "page_parts.js").read_text(encoding="utf-8")


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
    speak(page, "An endless one.")
    page.wait("played.length")
    assert not stub.idle()
    if how == "button":
        page.click("#speak")
    elif how == "escape":
        page.press("Escape")
    else:
        page.go("about:blank")
    stub.wait_until(stub.idle)
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
        own = running.service.voices._own_by_model[running.host.name]
        running.service.voices._own_by_model[running.host.name] = {"bob": own["bob"]}
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
    page.run("const kind = document.querySelector('#format'); kind.value = 'wav'; "
             "kind.dispatchEvent(new Event('change', { bubbles: true }))")  # fmt: skip
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


def choose(page, select, value):
    page.run(
        f"""(e => {{ e.value = {json.dumps(value)}; e.dispatchEvent(new Event("change", {{ bubbles: true }})); }})
        (document.querySelector({json.dumps(select)}))"""
    )


@pytest.mark.parametrize("kind", ["mp3", "flac", "opus"])
def test_what_is_heard_is_downloaded_in_the_chosen_format(open_page, decoded, tmp_path, kind):
    page = open_page()
    assert page.run("document.querySelector('#format').value") == "mp3"
    speak(page, "Hello there.")
    page.wait(DONE)
    heard = played(page) / 32768
    choose(page, "#format", kind)
    name, data = page.download("#download", tmp_path)
    samples, rate = decoded(data)
    assert name == f"hello-there.{kind}"
    assert len(samples) * 24000 / rate == pytest.approx(len(heard), abs=3000)
    assert np.sqrt(np.mean(samples**2)) / (np.sqrt(np.mean(heard**2))) == pytest.approx(1, abs=0.1) or kind == "flac"


def test_the_word_that_is_heard_is_marked(stub, open_page):
    page = open_page()
    speak(page, "Two words.\n\nBut here are five more.")
    page.wait(DONE)
    assert page.text("#reading") == "Two words. But here are five more."
    page.wait("document.querySelector('#play').getAttribute('aria-label') === 'Play'")
    all_seconds = page.run("Number(document.querySelector('#position').max)")
    pause_seconds = all_seconds - 2

    def marked(seconds):
        page.run(
            f"""(e => {{ e.value = {seconds}; e.dispatchEvent(new Event("input", {{ bubbles: true }})); }})
            (document.querySelector("#position"))"""
        )
        return page.run("[...document.querySelectorAll('#reading .now')].map((e) => e.textContent)")

    assert [marked(at) for at in (0.1, 0.9)] == [["Two"], ["words"]]
    begin = 1 + pause_seconds
    assert [marked(begin + at) for at in (0.05, 0.25, 0.45, 0.65, 0.95)] == [
        ["But"], ["here"], ["are"], ["five"], ["more"],
    ]  # fmt: skip
    page.click("#reading p span:nth-of-type(6)")
    assert page.run("Number(document.querySelector('#position').value)") == pytest.approx(begin + 0.6, abs=0.15)
    page.go(f"{stub.url}/")
    page.wait(f"{READY} && document.querySelector('.entry')")
    page.click(".entry .round")
    page.wait("document.querySelector('#reading .now')")


def test_spoken_words_fall_on_the_written_ones_they_come_from(open_page):
    page = open_page()

    def aligned(text, *sentences):
        return page.run(f"{PARTS}.aligned({json.dumps(text)}, {json.dumps(sentences)})")

    assert aligned(
        "At 10:45 we go. It costs $12.50 now.", "At ten forty five we go.", "It costs twelve dollars fifty now."
    ) == [
        "At:At ten:10:45 forty:10:45 five:10:45 we:we go:go",
        "It:It costs:costs twelve:12.50 dollars:12.50 fifty:12.50 now:now",
    ]
    assert aligned("Room 42. Then 7 km.", "Room forty two.", "Then seven kilometers.") == [
        "Room:Room forty:42 two:42", "Then:Then seven:7 kilometers:km",
    ]  # fmt: skip
    assert aligned("Skipped words here. And on.", "And on.") == ["And:And on:on"]
    assert aligned("你好。世界", "你好。", "世界") == ["你:你 好:好", "世:世 界:界"]
    assert aligned("", "Anything") == ["Anything:undefined"]
    assert page.run(f"{PARTS}.starts('One, thirteen.')") == [100, 538]
    told = "[{ place: 2, stop: 5, start: 7 }, { place: 6, stop: 10, start: 9 }, { place: 90, stop: 95, start: 11 }]"
    assert page.run(f"{PARTS}.told('\U0001f600 One 3/4.', {told})") == ["One 7", "3 9"], "times that are known"


def test_examples_are_offered_in_languages_that_the_model_speaks(serving, several_stubs, stub, open_page, browser):
    page = open_page()
    names = "[...document.querySelectorAll('#examples button')].map((e) => e.textContent)"
    assert page.run(names)[:4] == ["A story", "A dialogue", "Numbers", "A question"]
    assert page.run(names)[-3:] == ["中文", "日本語", "한국어"]
    page.click("#examples li:nth-child(6) button")
    assert page.run("document.querySelector('#language').value") == "zh"
    assert page.run("document.activeElement.id") == "speak"
    page.click("#examples li:nth-child(2) button")
    assert page.run("document.querySelector('#language').value") == ""
    assert [who for who, _ in lines(page)] == ["Ada", "Ben", "Ada", "Ben"]
    assert page.run("[...document.querySelectorAll('.speaker select')].map((e) => e.value)") == ["ada", "bob"]
    (english,) = several_stubs("english")

    def build(sentence, voice, build=english.model.build):
        if not sentence.isascii():
            raise TextError("nothing to pronounce")
        return build(sentence, voice)

    english.model.build = build
    with serving(english) as running, browser.page(f"{running.url}/") as page:
        page.wait(READY)
        assert page.run(names) == ["A story", "A dialogue", "Numbers", "A question", "News"]
        page.run("document.querySelector('#settings').open = true")
        assert not page.run("document.querySelector('#language').checkVisibility()")
        page.click("[data-opens=voice-dialog]")
        assert not page.run("document.querySelector('#voice-language').checkVisibility()")
        assert page.run("document.querySelector('#voice-language').value") == "en"
        page.press("Escape")
        page.click("#examples li:nth-child(1) button")
        page.click("#speak")
        page.wait(DONE)
        assert not page.errors


def copied(page, button):
    """What a button puts on the clipboard."""
    page.run("navigator.clipboard.writeText = async (text) => { window.copied = text; }; window.copied = null; void 0")
    page.click(button)
    page.wait("copied !== null")
    return page.run("copied")


@pytest.mark.parametrize("how", ["curl", "python"])
def test_what_is_copied_makes_the_same_audio_elsewhere(stub, open_page, tmp_path, how):
    page = open_page()
    page.click("#settings summary")
    for field, value in (("seed", str(2**63 - 1)), ("temperature", "0.5"), ("key", "secret")):
        page.write(f"#{field}", value)
    choose(page, "#language", "en")
    page.write("#text", 'It\'s "so".\nÜber $HOME `x` \\.')
    page.click("input[name=voice][value=bob]")
    text = copied(page, f"#copy-{how}")
    assert "secret" not in text
    assert "PARLANDO_API_KEY" in text
    run_snippet(how, text, tmp_path)
    sentence, voice = stub.model.asked[-1]
    assert (voice.name, sentence.startswith("It's")) == ("bob", True)
    body = {
        "input": 'It\'s "so".\nÜber $HOME `x` \\.',
        "voice": "bob",
        "seed": 2**63 - 1,
        "temperature": 0.5,
        "language": "en",
    }
    expected = stub.http.post("/v1/audio/speech", json={**body, "response_format": "mp3"}).content
    assert (tmp_path / "speech.mp3").read_bytes() == expected


@pytest.mark.parametrize("how", ["curl", "python"])
def test_a_dialogue_is_copied_line_by_line(stub, open_page, tmp_path, how):
    page = open_page()
    page.click("#examples li:nth-child(2) button")
    count = len(stub.model.asked)
    run_snippet(how, copied(page, f"#copy-{how}"), tmp_path)
    said = [voice.name for _, voice in stub.model.asked[count:]]
    assert (said[0], said[-1]) == ("ada", "bob")
    assert sorted(path.name for path in tmp_path.glob("*.mp3")) == [f"line-{number}.mp3" for number in (1, 2, 3, 4)]


def run_snippet(how, text, folder):
    environment = {**os.environ, "PARLANDO_API_KEY": "any", "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    command = ["bash", "-ec", text] if how == "curl" else [sys.executable, "-c", text]
    if how == "curl" and not shutil.which("curl"):
        pytest.skip("there is no curl")
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=HANG_SECONDS)
    assert done.returncode == 0, done.stderr


def test_without_a_clipboard_copying_still_works(open_page):
    page = open_page()
    page.run(
        """Object.defineProperty(navigator, "clipboard", { value: undefined });
        document.execCommand = (what) => { window.copied = [what, document.activeElement.value]; };
        void 0"""
    )
    page.click("#copy-curl")
    page.wait("window.copied")
    what, text = page.run("copied")
    assert what == "copy"
    assert text.startswith("curl --fail 'http://127.0.0.1:")
    assert page.run("document.querySelectorAll('body > textarea').length") == 0
