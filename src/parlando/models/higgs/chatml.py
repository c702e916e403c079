"""ChatML messages: what a Higgs prompt is made of, and the instructions the published model was trained with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

GENERATE_INSTRUCTION = "Generate audio following instruction."
MULTI_SPEAKER_INSTRUCTION = (
    "You are an AI assistant designed to convert text into speech.\n"
    "If the user's message includes a [SPEAKER*] tag, do not read out the tag and generate speech for the following "
    "text, using the specified voice.\n"
    "If no speaker tag is present, select a suitable voice on your own."
)
SCENE_START, SCENE_END = "<|scene_desc_start|>", "<|scene_desc_end|>"

Role = Literal["system", "user", "assistant", "scene"]


@dataclass
class AudioContent:
    """A clip inside a message: a path, or base64 in ``raw_audio`` when ``audio_url`` is "placeholder" or empty."""

    audio_url: str = "placeholder"
    raw_audio: str | None = None
    offset: float | None = None
    duration: float | None = None
    row_id: int | None = None
    type: str = "audio"


@dataclass
class TextContent:
    """Words inside a message."""

    text: str
    type: str = "text"


Content = str | AudioContent | TextContent | list["str | AudioContent | TextContent"]


@dataclass
class Message:
    """One turn: who says it (``role``), what, and for an assistant optionally to whom (``recipient``)."""

    role: str
    content: Content
    recipient: str | None = None

    def parts(self) -> list[TextContent | AudioContent]:
        """The content as a flat list, plain strings wrapped as text."""
        contents = self.content if isinstance(self.content, list) else [self.content]
        return [TextContent(part) if isinstance(part, str) else part for part in contents]


@dataclass
class ChatMLSample:
    """A conversation; ``start_index`` is the first turn that training supervises."""

    messages: list[Message]
    start_index: int | None = None
    misc: dict[str, Any] | None = field(default=None)
    speaker: str | None = None
