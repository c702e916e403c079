"""Conversations to learn from: a JSONL file of ChatML samples, and the same with their clips as codes.

A line is ``{"messages": [{"role", "content"}, …], "start_index"}``. A content is a text, a table, or a list of both:
``{"type": "text", "text"}`` or ``{"type": "audio", "audio_url"}``, a path from the file's folder or base64 as
``raw_audio``. The assistant's turns from ``start_index`` on are learned.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from tqdm import tqdm

from parlando.audio.files import read_audio
from parlando.core.config import from_mapping, read_json
from parlando.core.errors import AudioError, ConfigError, FileMissingError
from parlando.data.tokens import COMPLETE, Codes, begin_codes, write_described
from parlando.models.higgs.parts.chatml import AudioContent, Message, TextContent
from parlando.models.higgs.parts.codec import CodecModule
from parlando.nn.checkpoint import read_tensors, save_tensors

SAMPLES, CLIPS, SKIPPED = "samples.jsonl", "clips.safetensors", "skipped.txt"
_ROLES = ("system", "scene", "user", "assistant")
_URLS = ("audio_url", "url", "path", "audio")


@dataclass(frozen=True)
class ChatSample:
    """A conversation, the codes of its clips (int64 [codebook, frame]) in order, and the first turn to learn."""

    messages: tuple[Message, ...]
    clips: tuple[np.ndarray, ...]
    start_index: int


def encode_samples(source: Path, codec: CodecModule, folder: Path) -> tuple[int, list[str]]:
    """Write the samples of a file with their clips as codes; returns how many, and the faults of those left out.

    Raises:
        FileMissingError: there is no such file.
        ConfigError: a line is not a sample, or none can be used.
    """
    if not source.is_file():
        raise FileMissingError(source, "file of samples")
    begin_codes(folder)
    kept: list[str] = []
    clips: dict[str, torch.Tensor] = {}
    faults: list[str] = []
    lines = [line for line in source.read_text(encoding="utf-8").splitlines() if line.strip()]
    for number, line in enumerate(tqdm(lines, unit="sample", desc="encode"), 1):
        where = f"{source}:{number}"
        messages, start = _parsed(line, where)
        try:
            coded = [_encoded(part, source.parent, codec) for part in _audio_of(messages)]
        except (AudioError, FileMissingError, binascii.Error) as error:
            faults.append(f"{where}: {error}")
            continue
        kept.append(
            json.dumps({**json.loads(line), "first_clip": len(clips), "start_index": start}, ensure_ascii=False)
        )
        clips |= {str(len(clips) + place): codes for place, codes in enumerate(coded)}
    (folder / SKIPPED).write_text("".join(f"{fault}\n" for fault in faults), encoding="utf-8")
    if not clips:
        raise ConfigError(f"'{source}' holds no sample with a clip to learn; see '{folder / SKIPPED}'")
    (folder / SAMPLES).write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
    save_tensors(clips, folder / CLIPS)
    write_described(folder, Codes(codec.num_codebooks, codec.codebook_size))
    return len(kept), faults


class ChatCorpus:
    """Read access to a folder that `encode_samples` wrote."""

    def __init__(self, folder: Path) -> None:
        """Raises:
        FileMissingError: the folder holds no encoded samples.
        """
        for file in (folder / SAMPLES, folder / COMPLETE):
            if not file.is_file():
                raise FileMissingError(file, "encoded samples (parlando data encode-chat)")
        self.folder = folder
        described = from_mapping(Codes, read_json(folder / COMPLETE), str(folder / COMPLETE))
        self.num_codebooks, self.codebook_size = described.num_codebooks, described.codebook_size
        clips = read_tensors(folder / CLIPS)
        lines = (folder / SAMPLES).read_text(encoding="utf-8").splitlines()
        self.samples = [self._sample(line, clips) for line in lines]

    def _sample(self, line: str, clips: Mapping[str, torch.Tensor]) -> ChatSample:
        messages, start = _parsed(line, str(self.folder / SAMPLES))
        first = json.loads(line)["first_clip"]
        numbers = range(first, first + len(list(_audio_of(messages))))
        return ChatSample(messages, tuple(clips[str(number)].numpy().astype(np.int64) for number in numbers), start)


def _parsed(line: str, where: str) -> tuple[tuple[Message, ...], int]:
    try:
        sample = json.loads(line)
        messages = tuple(_message(message) for message in sample["messages"])
        start = sample.get("start_index") or 0
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(
            f'{where}: not a ChatML sample ({error}); write {{"messages": [{{"role": "user", "content": "…"}}, …]}}'
        ) from error
    return messages, int(start)


def _message(data: Mapping[str, Any]) -> Message:
    if data["role"] not in _ROLES:
        raise ValueError(f"the role {data['role']!r} is not one of {', '.join(_ROLES)}")
    content = data["content"]
    parts = content if isinstance(content, list) else [content]
    return Message(data["role"], [_part(part) for part in parts], data.get("recipient"))


def _part(data: str | Mapping[str, Any]) -> TextContent | AudioContent:
    if isinstance(data, str):
        return TextContent(data)
    if data.get("type") == "text":
        return TextContent(str(data["text"]))
    if data.get("type") != "audio":
        raise ValueError(f"a content of the type {data.get('type')!r}; there are 'text' and 'audio'")
    raw = data.get("raw_audio")
    return AudioContent(next((str(data[name]) for name in _URLS if data.get(name)), "placeholder"), raw)


def _audio_of(messages: Sequence[Message]) -> Iterator[AudioContent]:
    return (cast("AudioContent", part) for message in messages for part in message.parts() if part.type == "audio")


@torch.no_grad()
def _encoded(content: AudioContent, folder: Path, codec: CodecModule) -> torch.Tensor:
    """Codes (int16 [codebook, frame]) of a clip."""
    source = folder / content.audio_url if content.raw_audio is None else base64.b64decode(content.raw_audio)
    wave = torch.from_numpy(read_audio(source, codec.sample_rate).samples)
    if len(wave) < codec.samples_per_frame:
        raise AudioError(f"{content.audio_url}: shorter than a frame; leave it out")
    return codec.encode(wave[None])[0].to(torch.int16)
