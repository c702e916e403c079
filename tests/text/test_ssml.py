"""The SSML subset: what each tag becomes, and errors with line numbers."""

from __future__ import annotations

import pytest

from parlando.core.errors import TextError
from parlando.text.ssml import is_ssml, ssml_to_text


@pytest.mark.parametrize(
    ("ssml", "text"),
    [
        ("<speak>Hello world</speak>", "Hello world"),
        ('<speak version="1.0">One<break/>two</speak>', "One, two"),
        ('One <break time="250ms"/> two', "One, two"),
        ('One <break time="1.5s"/> two', "One... two"),
        ('One <break time="0s"/>two', "One two"),
        ("One<break strength='strong'/>two", "One... two"),
        ("One<break strength='none'/>two", "One two"),
        ("<p>First para</p><p><s>A b</s><s>C d?</s></p>", "First para.\n\nA b. C d?"),
        ("<p> </p>x", "x"),
        ("The <sub alias='World Wide Web Consortium'>W3C</sub> met", "The World Wide Web Consortium met"),
        ("<say-as interpret-as='characters'>fbi 2</say-as>", "F B I two"),
        ("<say-as interpret-as='spell-out'>ab</say-as>", "A B"),
        ("<say-as interpret-as='digits'>42</say-as>", "four two"),
        ("<say-as interpret-as='cardinal'>1,905</say-as>", "one thousand nine hundred five"),
        ("<say-as interpret-as='ordinal'> 21 </say-as>", "twenty first"),
        ("Salt &amp; pepper &lt;3 &amp;lt;", "Salt & pepper <3 &lt;"),
    ],
)
def test_markup_becomes_text(ssml: str, text: str) -> None:
    assert ssml_to_text(ssml) == text


@pytest.mark.parametrize(
    ("ssml", "message"),
    [
        ("<speak>\nhello", "line 1: <speak> is not closed; add </speak>"),
        ("<speak>\n<p>hello</speak>", "line 2: </speak> closes nothing that is open here; close <p> first"),
        ("hello</p>", "line 1: </p> closes nothing that is open here; remove it"),
        ("<says>x</says>", "line 1: <says> is not supported; there are: speak, p, s, .* Did you mean 'say-as'"),
        ("<audio src='x'/>", "<audio> is not supported"),
        ("\n1 < 2", "line 2: a '<' that starts no tag; write it as '&lt;'"),
        ("<!DOCTYPE x>", "starts no tag"),
        ("<break time='soon'/>", "break time 'soon' is not like '500ms'"),
        ("<break strength='huge'/>", "break strength 'huge' is none of none, x-weak"),
        ("<sub>x</sub>", '<sub> needs the attribute alias="..."'),
        ("<say-as interpret-as='date'>x</say-as>", "cannot say as 'date'; there are: characters"),
        (
            "<say-as interpret-as='ordinal'>x</say-as>",
            "'x' is not a whole number of readable size and cannot be said as ordinal",
        ),
        (f"<say-as interpret-as='cardinal'>{'9' * 22}</say-as>", "cannot be said as cardinal"),
    ],
)
def test_errors_say_what_and_where(ssml: str, message: str) -> None:
    with pytest.raises(TextError, match=message):
        ssml_to_text(ssml)


def test_ssml_is_recognised_by_its_root() -> None:
    assert is_ssml("  <speak>x</speak>")
    assert not is_ssml("<speaker>x")
    assert not is_ssml("hello <speak>")
