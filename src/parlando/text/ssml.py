"""A safe subset of SSML to plain text: speak, p, s, break, sub and say-as; no entities beyond the five of XML."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from types import MappingProxyType

from parlando.core.errors import TextError, nearest
from parlando.text import numbers

SUPPORTED = ("speak", "p", "s", "break", "sub", "say-as")
READINGS = ("characters", "spell-out", "cardinal", "number", "ordinal", "digits")

_MARKUP = re.compile(r"<(?P<close>/)?(?P<name>[A-Za-z][\w:-]*)(?P<attributes>[^<>]*?)(?P<empty>/)?>|<")
_ATTRIBUTE = re.compile(r"([\w:-]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_TIME = re.compile(r"(\d+(?:\.\d+)?)(ms|s)")
_ENTITIES = MappingProxyType({"&lt;": "<", "&gt;": ">", "&quot;": '"', "&apos;": "'", "&amp;": "&"})
_STRENGTHS = MappingProxyType(
    {"none": "", "x-weak": "", "weak": ",", "medium": ",", "strong": "...", "x-strong": "..."}
)
_MOST_DIGITS = 21
_LONG_PAUSE_SECONDS = 0.4


@dataclass
class _Element:
    """An open tag and the text gathered inside it."""

    name: str
    attributes: dict[str, str]
    line: int
    parts: list[str] = field(default_factory=list)


def is_ssml(text: str) -> bool:
    """Whether text is meant as SSML: it starts with a ``speak`` tag."""
    return re.match(r"\s*<speak[\s>/]", text) is not None


def ssml_to_text(text: str) -> str:
    """Plain text of an SSML document or fragment; pauses become marks, readings are spelled.

    Raises:
        TextError: a tag is unknown, unclosed or out of order, or a value is not understood; the message has the line.
    """
    stack = [_Element("", {}, 1)]
    end = 0
    for tag in _MARKUP.finditer(text):
        stack[-1].parts.append(_unescape(text[end : tag.start()]))
        end = tag.end()
        line = text.count("\n", 0, tag.start()) + 1
        if tag["name"] is None:
            raise TextError(f"line {line}: a '<' that starts no tag; write it as '&lt;'")
        _handle(tag, stack, line)
    stack[-1].parts.append(_unescape(text[end:]))
    if len(stack) > 1:
        left = stack[-1]
        raise TextError(f"line {left.line}: <{left.name}> is not closed; add </{left.name}>")
    return re.sub(r"\s+([,.])", r"\1", re.sub(r"[^\S\n]+", " ", "".join(stack[0].parts))).strip()


def _handle(tag: re.Match[str], stack: list[_Element], line: int) -> None:
    name = tag["name"]
    if name not in SUPPORTED:
        raise TextError(
            f"line {line}: <{name}> is not supported; there are: {', '.join(SUPPORTED)}.{nearest(name, SUPPORTED)}"
        )
    if not tag["close"]:
        stack.append(_Element(name, {m[1]: m[2] or m[3] or "" for m in _ATTRIBUTE.finditer(tag["attributes"])}, line))
    if tag["close"] or tag["empty"]:
        if stack[-1].name != name:
            inner = stack[-1].name
            advice = f"close <{inner}> first" if inner else "remove it or open it before"
            raise TextError(f"line {line}: </{name}> closes nothing that is open here; {advice}")
        element = stack.pop()
        stack[-1].parts.append(_render(element))


def _render(element: _Element) -> str:
    inner = "".join(element.parts)
    if element.name in ("p", "s"):
        return _sentence(inner, "\n\n" if element.name == "p" else " ")
    if element.name == "break":
        return _pause(element)
    if element.name == "sub":
        return _attribute(element, "alias")
    return _say_as(element, inner.strip()) if element.name == "say-as" else inner


def _sentence(inner: str, after: str) -> str:
    inner = inner.strip()
    if not inner:
        return ""
    return f"{inner}{'' if inner[-1] in '.?!' else '.'}{after}"


def _attribute(element: _Element, name: str) -> str:
    if name not in element.attributes:
        raise TextError(f'line {element.line}: <{element.name}> needs the attribute {name}="..."')
    return element.attributes[name]


def _pause(element: _Element) -> str:
    if "time" in element.attributes:
        written = element.attributes["time"]
        time = _TIME.fullmatch(written)
        if time is None:
            raise TextError(f"line {element.line}: break time '{written}' is not like '500ms' or '1.5s'")
        seconds = float(time[1]) / (1000 if time[2] == "ms" else 1)
        return "... " if seconds > _LONG_PAUSE_SECONDS else ", " if seconds else " "
    strength = element.attributes.get("strength", "medium")
    if strength not in _STRENGTHS:
        raise TextError(f"line {element.line}: break strength '{strength}' is none of {', '.join(_STRENGTHS)}")
    return _STRENGTHS[strength] + " "


def _say_as(element: _Element, inner: str) -> str:
    reading = _attribute(element, "interpret-as")
    if reading not in READINGS:
        known = f"{', '.join(READINGS)}.{nearest(reading, READINGS)}"
        raise TextError(f"line {element.line}: cannot say as '{reading}'; there are: {known}")
    if reading in ("characters", "spell-out", "digits"):
        return " ".join(
            numbers.digits(c) if c.isascii() and c.isdigit() else c.upper() for c in inner if not c.isspace()
        )
    digits = inner.replace(",", "")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS):
        raise TextError(
            f"line {element.line}: '{inner}' is not a whole number of readable size and cannot be said as {reading}"
        )
    return numbers.ordinal(int(digits)) if reading == "ordinal" else numbers.number(digits)


def _unescape(text: str) -> str:
    for entity, character in _ENTITIES.items():
        text = text.replace(entity, character)
    return text
