"""Prompts of the Higgs family: conversations to positions, and the one builder that training and inference share."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from parlando.core.errors import InputError, PromptTooLongError, TextError
from parlando.core.types import IGNORED_LABEL, Prompt, Reference, Voice
from parlando.models.higgs.parts.chatml import (
    ANSWER,
    GENERATE_INSTRUCTION,
    MULTI_SPEAKER_INSTRUCTION,
    SPEAK,
    AudioContent,
    Layout,
    Message,
    pieces,
    system_content,
)
from parlando.models.higgs.parts.delay import build_delay, labels
from parlando.models.higgs.tokenizer import TextTokenizer
from parlando.text.length import LengthPrior
from parlando.text.phonemes import Spell

_MARKUP = re.compile(r"<\|[^|<>]*\|>")


@dataclass(frozen=True)
class PromptConfig:
    """Sizes and manners of a checkpoint's prompts.

    ``references_in`` says where reference clips go: in turns of their own before the sentence, or (the first of each
    speaker) in the system message.
    """

    num_codebooks: int
    codebook_size: int
    context_length: int
    layout: Layout = "original"
    references_in: Literal["turns", "system"] = "turns"
    length: LengthPrior = field(default_factory=LengthPrior)


@dataclass(frozen=True)
class TrainingExample:
    """A whole conversation, and what is to come after each of its positions (no shift is left to do).

    ``labels`` is int64 [position, codebook], ``text_labels`` int64 [position]; `IGNORED_LABEL` is not learnt.
    """

    prompt: Prompt
    labels: np.ndarray
    text_labels: np.ndarray


class ChatPrompt:
    """Renders conversations to prompts: placeholders become one position per delayed frame of their clip."""

    def __init__(self, tokenizer: TextTokenizer, config: PromptConfig) -> None:
        self._tokenizer, self._config = tokenizer, config

    def render(
        self,
        messages: Sequence[Message],
        clips: Sequence[np.ndarray] = (),
        suffix: str = SPEAK,
        spell: Spell | None = None,
    ) -> Prompt:
        """Positions of a conversation; ``clips`` are the codes (int64 [codebook, frame]) of its audio, in order.

        Raises:
            InputError: clips and audio contents differ in number, or a clip does not fit the model's codebooks.
        """
        texts = pieces(messages, self._config.layout, suffix)
        ids = [token for text in texts for token in self._tokenizer.encode(text, spell)]
        delayed = [self._delayed(clip) for clip in clips]
        placeholders = sum(token in self._placeholders for token in ids)
        if placeholders != len(delayed):
            raise InputError(
                f"the conversation has {placeholders} places for audio and {len(delayed)} clips; match them"
            )
        lengths = iter([len(clip) for clip in delayed])
        runs = [self._run(token, next(lengths)) if token in self._placeholders else [(token, False)] for token in ids]
        tokens, mask = zip(*(position for run in runs for position in run), strict=True)
        codes = np.concatenate([np.zeros((0, self._config.num_codebooks), dtype=np.int64), *delayed])
        return Prompt(tokens=tokens, audio_mask=np.array(mask, dtype=bool), codes=codes)

    def training(
        self, messages: Sequence[Message], clips: Sequence[np.ndarray], start_index: int = 0
    ) -> TrainingExample:
        """A whole conversation, of which the assistant's turns from ``start_index`` on are learned: words and clips.

        Raises:
            InputError: as for `render`, or no turn of an assistant's with something before it is left to learn.
        """
        ends = np.cumsum([sum(isinstance(part, AudioContent) for part in message.parts()) for message in messages])
        spans = [
            slice(
                len(self.render(messages[:turn], clips[: ends[turn - 1]], ANSWER)),
                len(self.render(messages[: turn + 1], clips[: ends[turn]], "")),
            )
            for turn, message in enumerate(messages)
            if message.role == "assistant" and turn >= max(1, start_index)
        ]
        if not spans:
            raise InputError("the conversation has no turn of an assistant's to learn; add one after a user's")
        return supervise(self.render(messages, clips, ""), spans)

    @property
    def _placeholders(self) -> tuple[int, int]:
        return self._tokenizer.audio_in, self._tokenizer.audio_out

    def _run(self, token: int, num_frames: int) -> list[tuple[int, bool]]:
        """A placeholder's positions; the transformers layout marks the frames after the last whole one as delay."""
        delay = self._tokenizer.delay
        num_delay = self._config.num_codebooks - 1 if self._config.layout == "transformers" and delay is not None else 0
        return [(token, True)] * (num_frames - num_delay) + [(delay or 0, True)] * num_delay

    def _delayed(self, clip: np.ndarray) -> np.ndarray:
        """Codes [codebook, frame] -> delayed codes [delayed frame, codebook], checked."""
        size = self._config.codebook_size
        if clip.ndim != 2 or clip.shape[0] != self._config.num_codebooks:
            raise InputError(
                f"a clip has codes of shape {clip.shape}; this model has {self._config.num_codebooks} codebooks"
            )
        if clip.size and not 0 <= clip.min() <= clip.max() < size:
            raise InputError(f"a clip has codes outside 0..{size - 1}; encode it with this model's codec")
        return build_delay(clip, size, size + 1).T


@dataclass(frozen=True)
class _Conversation:
    messages: tuple[Message, ...] = ()
    clips: tuple[np.ndarray, ...] = ()

    def then(self, role: str, content: str | AudioContent, clip: np.ndarray | None = None) -> _Conversation:
        clips = self.clips if clip is None else (*self.clips, clip)
        return _Conversation((*self.messages, Message(role, content)), clips)


class HiggsPromptBuilder:
    """Sentences and voices to prompts (implements `core.stages.PromptBuilder`)."""

    def __init__(self, tokenizer: TextTokenizer, config: PromptConfig) -> None:
        self.tokenizer, self.config = tokenizer, config
        self.chat = ChatPrompt(tokenizer, config)

    def build(self, sentence: str, voice: Voice) -> Prompt:
        """The prompt after which the model speaks one sentence.

        Raises:
            TextError: there is nothing to pronounce.
            PromptTooLongError: prompt and expected audio exceed the context; the message says which part is long.
            InputError: a reference's codes do not fit this model.
        """
        sentence = _without_markup(sentence)
        return self._build([voice], sentence, [sentence])

    def spans(self, sentence: str) -> list[tuple[int, int]]:
        """The characters of a sentence that each of its tokens stands for."""
        return self.tokenizer.spans(_without_markup(sentence))

    def build_dialogue(self, turns: Sequence[tuple[int, str]], voices: Sequence[Voice]) -> Prompt:
        """The prompt after which the model speaks a dialogue; each turn is an index into ``voices`` and its text.

        Raises:
            InputError: a turn names no voice, and as `build`.
        """
        texts = [_without_markup(text) for _, text in turns]
        return self._build(voices, _dialogue(turns, voices), texts)

    def build_training(
        self, sentence: str, voice: Voice, codes: np.ndarray, spell: Spell | None = None
    ) -> TrainingExample:
        """The prompt of `build` with its answer (``codes``, int64 [codebook, frame]) and labels for that answer.

        ``spell`` says which words of the sentence and of transcripts to write by letters.

        Raises:
            PromptTooLongError: the example exceeds the context.
        """
        return self._build_training([voice], _without_markup(sentence), codes, spell)

    def build_training_dialogue(
        self, turns: Sequence[tuple[int, str]], voices: Sequence[Voice], codes: np.ndarray, spell: Spell | None = None
    ) -> TrainingExample:
        """The prompt of `build_dialogue` with its answer, as `build_training`.

        Raises:
            InputError: a turn names no voice.
            PromptTooLongError: the example exceeds the context.
        """
        return self._build_training(voices, _dialogue(turns, voices), codes, spell)

    def _build_training(
        self, voices: Sequence[Voice], content: str, codes: np.ndarray, spell: Spell | None
    ) -> TrainingExample:
        conversation = self._before_answer(voices, content).then("assistant", AudioContent(), codes)
        rendered = self.chat.render(conversation.messages, conversation.clips, suffix="", spell=spell)
        prompt = Prompt(rendered.tokens, rendered.audio_mask, rendered.codes, content, float(codes.shape[1]))
        self._check_length(prompt, 0, content)
        answer = codes.shape[1] + self.config.num_codebooks + 1
        first = int(np.flatnonzero(prompt.audio_mask)[-answer])
        return supervise(prompt, [slice(first - 1, len(prompt))])

    def expected_frames(self, text: str) -> float:
        """The length prior for a text.

        Raises:
            TextError: there is nothing in it to pronounce.
        """
        units, pauses = self.tokenizer.measure(text)
        if not units:
            raise TextError(f"nothing to pronounce in {text!r}; this model speaks English, in the letters from a to z")
        return self.config.length.frames(units, pauses)

    def _build(self, voices: Sequence[Voice], content: str, texts: Sequence[str]) -> Prompt:
        expected = self.expected_frames(" ".join(texts))
        conversation = self._before_answer(voices, content)
        prompt = self.chat.render(conversation.messages, conversation.clips)
        unread = self.tokenizer.unread(" ".join(texts))
        # What comes before the last turn; only the builder writes the end of one.
        ends = [place for place, token in enumerate(prompt.tokens) if token == self.tokenizer.eot]
        prompt = replace(
            prompt, sentence=content, expected_frames=expected, unread=unread,
            voice_positions=ends[-2] + 1 if len(ends) > 1 else 0,
            sentence_positions=(ends[-1] - len(self.tokenizer.encode(content)), ends[-1]),
        )  # fmt: skip
        self._check_length(prompt, math.ceil(expected) + self.config.num_codebooks + 1, content)
        return prompt

    def _before_answer(self, voices: Sequence[Voice], content: str) -> _Conversation:
        """Everything up to and including the turn that asks for the sentence."""
        conversation = self._system(voices)
        if self.config.references_in == "turns":
            for index, reference in _references(voices):
                tag = f"[SPEAKER{index}] " if len(voices) > 1 else ""
                conversation = conversation.then("user", tag + _without_markup(reference.text))
                conversation = conversation.then("assistant", AudioContent(), reference.codes)
        return conversation.then("user", content)

    def _system(self, voices: Sequence[Voice]) -> _Conversation:
        """The system message, left out when references speak for themselves."""
        has_references = any(voice.references for voice in voices)
        scene = next((_without_markup(_manner(voice)) for voice in voices if _manner(voice)), None)
        lines, clips = self._speaker_lines(voices, alternate=len(voices) > 1 and not has_references)
        if has_references and not scene and not lines:
            return _Conversation()
        many = len(voices) > 1 and not has_references
        instruction = MULTI_SPEAKER_INSTRUCTION if many else GENERATE_INSTRUCTION
        return _Conversation((Message("system", system_content(instruction, scene, lines)),), clips)

    def _speaker_lines(
        self, voices: Sequence[Voice], alternate: bool
    ) -> tuple[list[tuple[str, str | AudioContent]], tuple[np.ndarray, ...]]:
        """A line per speaker that the system message has something to say about, tags in the order of strings."""
        tagged = sorted((f"SPEAKER{index}", voice) for index, voice in enumerate(voices))
        lines: list[tuple[str, str | AudioContent]] = []
        clips: list[np.ndarray] = []
        for index, (tag, voice) in enumerate(tagged):
            if voice.references and self.config.references_in == "system":
                lines.append((tag, AudioContent()))
                clips.append(voice.references[0].codes)
            elif voice.description:
                lines.append((tag, _without_markup(voice.description)))
            elif alternate:
                lines.append((tag, "masculine" if index % 2 else "feminine"))
        return lines, tuple(clips)

    def _check_length(self, prompt: Prompt, to_come: int, content: str) -> None:
        context = self.config.context_length
        if len(prompt) + to_come <= context:
            return
        spoken = len(self.tokenizer.encode(content))
        parts = {
            "the sentence": spoken + to_come,
            "the audio": len(prompt.codes),
            "the scene and descriptions": len(prompt) - len(prompt.codes) - spoken,
        }
        longest = max(parts, key=lambda part: parts[part])
        raise PromptTooLongError(
            f"prompt of {len(prompt)} positions and about {to_come} frames of speech exceed the model's context of "
            f"{context}; {longest} takes most ({parts[longest]}), shorten it"
        )


def supervise(prompt: Prompt, spans: Sequence[slice]) -> TrainingExample:
    """Label all that stands within spans of positions: the codes of their clips, and the text around these."""
    tokens, is_audio = np.array(prompt.tokens, dtype=np.int64), np.asarray(prompt.audio_mask)
    inside = np.zeros(len(prompt), dtype=bool)
    for span in spans:
        inside[span] = True
    code_labels = np.full((len(prompt), prompt.codes.shape[1]), IGNORED_LABEL)
    text_labels = np.full_like(tokens, IGNORED_LABEL)
    audio = np.flatnonzero(is_audio)
    borders = np.flatnonzero(np.diff(audio) > 1) + 1  # between two clips there is text
    for places, codes in zip(np.split(audio, borders), np.split(prompt.codes, borders), strict=True):
        if len(places) and inside[places[0]]:
            code_labels[places - 1] = labels(codes.T).T
    written = np.flatnonzero(inside & ~is_audio)
    text_labels[written - 1] = tokens[written]
    return TrainingExample(prompt, code_labels, text_labels)


def _dialogue(turns: Sequence[tuple[int, str]], voices: Sequence[Voice]) -> str:
    """The user's turn of a dialogue: a tagged line per turn."""
    for speaker, _ in turns:
        if not 0 <= speaker < len(voices):
            raise InputError(f"a turn is spoken by voice {speaker}, and there are {len(voices)}; give one for it")
    return "\n".join(f"[SPEAKER{speaker}] {_without_markup(text)}" for speaker, text in turns)


def _references(voices: Sequence[Voice]) -> Iterator[tuple[int, Reference]]:
    return ((index, reference) for index, voice in enumerate(voices) for reference in voice.references)


def _manner(voice: Voice) -> str:
    """The scene, and how to speak in it: this family reads both there."""
    return " ".join(filter(None, (voice.scene, voice.instruction)))


def _without_markup(text: str) -> str:
    """Text to be spoken, without strings that would act as special tokens."""
    return _MARKUP.sub(" ", text).strip()
