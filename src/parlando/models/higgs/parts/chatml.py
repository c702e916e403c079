"""ChatML messages and how they become prompt strings, byte for byte as the published model was trained with.

Two layouts exist: that of the original release, whose pieces are tokenised separately, and the chat template of the
release for transformers, which is tokenised as one string and knows a ``scene`` role.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Literal

from parlando.core.errors import InputError

GENERATE_INSTRUCTION = "Generate audio following instruction."
MULTI_SPEAKER_INSTRUCTION = (
    "You are an AI assistant designed to convert text into speech.\n"
    "If the user's message includes a [SPEAKER*] tag, do not read out the tag and generate speech for the following "
    "text, using the specified voice.\n"
    "If no speaker tag is present, select a suitable voice on your own."
)
SCENE_START, SCENE_END = "<|scene_desc_start|>", "<|scene_desc_end|>"
AUDIO_IN = "<|audio_bos|><|AUDIO|><|audio_eos|>"
AUDIO_OUT = "<|audio_out_bos|><|AUDIO_OUT|><|audio_eos|>"
ANSWER = "<|start_header_id|>assistant<|end_header_id|>\n\n"
SPEAK = ANSWER + "<|audio_out_bos|>"

Layout = Literal["original", "transformers"]


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


def system_content(
    instruction: str, scene: str | None, speakers: Sequence[tuple[str, str | AudioContent]]
) -> list[str | AudioContent | TextContent]:
    """A system message's content: the instruction, then the scene with a line per speaker tag (words or a clip)."""
    if not scene and not speakers:
        return [instruction]
    blocks = [[scene]] if scene else []
    if speakers:
        lines = [[f"{tag}: ", what] for tag, what in speakers]
        blocks.append(_joined(lines, "\n"))
    return _merged([f"{instruction}\n\n{SCENE_START}\n", *_joined(blocks, "\n\n"), f"\n{SCENE_END}"])


def pieces(messages: Sequence[Message], layout: Layout, suffix: str = "") -> list[str]:
    """The prompt as strings to tokenise one by one; ``suffix`` (`ANSWER`, `SPEAK` or nothing) opens the reply.

    A clip is one placeholder here, whatever its length.

    Raises:
        InputError: there are no messages, or the layout has no place for one of them.
    """
    if not messages:
        raise InputError("the conversation has no messages; give at least a user turn")
    folded = _fold_scene(messages)
    if layout == "transformers":
        return ["".join([*_template(folded), suffix])]
    turns = [_turn(folded, index) for index in range(len(folded))]
    return [piece for piece in (*(piece for turn in turns for piece in turn), suffix) if piece]


def _turn(messages: Sequence[Message], index: int) -> list[str]:
    """One message in the original layout."""
    message = messages[index]
    assistant = message.role == "assistant"
    continued = assistant and index + 1 < len(messages) and messages[index + 1].role == "assistant"
    recipient = f"{message.recipient}<|recipient|>" if assistant and message.recipient else ""
    clip = AUDIO_OUT if assistant else AUDIO_IN
    return [
        ("" if index else "<|begin_of_text|>") + _header(message.role),
        recipient,
        *(part.text if isinstance(part, TextContent) else clip for part in message.parts()),
        "<|eom_id|>" if continued else "<|eot_id|>",
    ]


def _template(messages: Sequence[Message]) -> Iterable[str]:
    """The messages in the transformers layout, which wants a system message first."""
    if messages[0].role != "system":
        messages = [Message("system", GENERATE_INSTRUCTION), *messages]
    yield "<|begin_of_text|>"
    for message in messages:
        yield _header(message.role)
        yield _template_content(message)
        yield "<|eot_id|>"


def _template_content(message: Message) -> str:
    parts = message.parts()
    if message.role == "assistant":
        if [type(part) for part in parts] != [AudioContent]:
            raise InputError("an assistant turn must be exactly one clip in this checkpoint's prompt layout")
        return AUDIO_OUT
    if message.role == "system":
        return "".join(part.text if isinstance(part, TextContent) else AUDIO_OUT for part in parts).strip()
    return "".join(part.text.strip() if isinstance(part, TextContent) else AUDIO_OUT for part in parts)


def _fold_scene(messages: Sequence[Message]) -> list[Message]:
    """Move a ``scene`` message that follows the system message into it."""
    if len(messages) < 2 or messages[0].role != "system" or messages[1].role != "scene":
        return list(messages)
    instruction = "".join(part.text for part in messages[0].parts() if isinstance(part, TextContent)).strip()
    scene = [f"{instruction}\n\n{SCENE_START}\n", *_scene_parts(messages[1].parts()), f"\n{SCENE_END}"]
    return [Message("system", _merged(scene)), *messages[2:]]


def _scene_parts(parts: Sequence[TextContent | AudioContent]) -> Iterable[str | AudioContent]:
    """A scene's words and clips with the template's white space between them."""
    last = len(parts) - 1
    for index, part in enumerate(parts):
        if isinstance(part, AudioContent):
            yield from (" ", part, "" if index == last else "\n")
            continue
        yield part.text.strip()
        if index < last:
            before_clip = isinstance(parts[index + 1], AudioContent)
            yield "\n\n" if index == 0 else "" if before_clip else "\n"


def _header(role: str) -> str:
    return f"<|start_header_id|>{role}<|end_header_id|>\n\n"


def _joined(groups: Sequence[Sequence[Any]], separator: str) -> list[Any]:
    """The groups' items in a row, the separator between groups."""
    return [item for index, group in enumerate(groups) for item in ([separator] if index else []) + list(group)]


def _merged(parts: Iterable[str | AudioContent]) -> list[str | AudioContent | TextContent]:
    """Neighbouring strings become one, since pieces are tokenised separately."""
    merged: list[str | AudioContent | TextContent] = []
    for is_text, group in groupby(parts, key=lambda part: isinstance(part, str)):
        run = list(group)
        merged.extend(["".join(map(str, run))] if is_text else run)
    return [part for part in merged if part != ""]
