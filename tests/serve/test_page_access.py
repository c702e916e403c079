"""The page for everybody, in a real Chromium: by keyboard, by ear, in both colour schemes, on a phone."""

from __future__ import annotations

from pathlib import Path

import pytest

from browser import CONTROL, SHIFT
from webpage import DONE, states

AUDIT = (Path(__file__).parent / "page_audit.js").read_text(encoding="utf-8")


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
    for _ in range(25):
        page.press("Tab")
        order.append(
            page.run(
                """(e => e.id || e.value || e.dataset.opens || e.textContent.trim() || e.ariaLabel)
                (document.activeElement)"""
            )
        )
    assert order == [
        "A story", "A dialogue", "Numbers", "A question", "News", "中文", "日本語", "한국어",
        "speed", "speak", "copy-curl", "copy-python",
        "play", "position", "format", "download", "reading",
        "voice-dialog", "Hear Ada Lake", "ada", "Hear bob", "Settings",
        "forget", "Hear: Hello there.", "Download",
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
    assert page.run("document.activeElement.id") == "reading"
    outline = (
        "getComputedStyle(document.activeElement).outlineStyle + getComputedStyle(document.activeElement).outlineWidth"
    )
    assert page.run(outline) == "solid2px", "the focus is seen"


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
